"""To whom: named users and devices counted exactly, tags and everyone walked in the background, pages of deliveries."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from acme import Stack
from contract import Caller, counted, new_token, own_app, problem
from processes import until

CROWD = 5000


@pytest.fixture(scope="session")
def crowd(stack: Stack) -> Caller:
    """Return an app with 5,000 devices; every fifth has the tag `fifth`."""
    caller = own_app(stack)

    def register(number: int) -> None:
        body: dict[str, Any] = {
            "user": f"user-{number}",
            "targets": [{"kind": "apns", "value": f"{number:08x}" + new_token()}],
            "tags": ["fifth"] if number % 5 == 0 else [],
        }
        caller.http.put(f"{caller.path}/devices/device-{number}", json=body).raise_for_status()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(register, range(CROWD)))
    return caller


def test_everyone_is_everyone_once(crowd: Caller) -> None:
    answer = crowd.post(to={"everyone": True}, alert={"body": "to all"})
    assert answer.status_code == 202
    assert answer.json()["estimate"] == CROWD
    shown = crowd.settled(answer.json()["id"])
    assert (shown["lane"], shown["recipients"], counted(shown)) == ("bulk", CROWD, {"accepted": CROWD})


def test_a_broadcast_that_is_cancelled_in_the_middle_stops(crowd: Caller) -> None:
    crowd.simulator.behave("apns", min_latency_ms=100, max_streams=10)
    try:
        id_ = crowd.post(to={"everyone": True}, alert={"body": "to all"}).json()["id"]
        until(lambda: crowd.show(id_)["counts"]["accepted"] > 0, "some are sent")
        cancelled = crowd.http.delete(f"{crowd.path}/notifications/{id_}").json()["cancelled"]
    finally:
        crowd.simulator.behave("apns", min_latency_ms=None, max_streams=None)
    until(lambda: crowd.show(id_)["counts"]["pending"] == 0, "what was in flight is answered")
    shown = crowd.show(id_)
    counts = counted(shown)
    assert (shown["state"], set(counts)) == ("cancelled", {"accepted", "cancelled"})
    assert 0 < cancelled <= counts["cancelled"]
    assert shown["recipients"] == sum(counts.values()) <= CROWD


def test_a_tag_reaches_those_who_bear_it(crowd: Caller) -> None:
    answer = crowd.post(to={"tags": ["fifth"]}, alert={"body": "to some"})
    assert answer.json()["estimate"] == CROWD // 5
    assert counted(crowd.settled(answer.json()["id"])) == {"accepted": CROWD // 5}


def test_five_hundred_users_are_counted_exactly_and_more_are_estimated(crowd: Caller) -> None:
    users = [f"user-{number}" for number in range(501)]
    named = crowd.post(to={"users": users[:500]}, alert={"body": "x"}).json()
    walked = crowd.post(to={"users": users}, alert={"body": "x"}).json()
    assert named["recipients"] == 500
    assert walked["estimate"] == 501
    shown, more = crowd.settled(named["id"]), crowd.settled(walked["id"])
    assert (shown["lane"], counted(shown)) == ("alert", {"accepted": 500})
    assert (more["lane"], counted(more)) == ("bulk", {"accepted": 501})


def test_who_is_named_twice_gets_it_once(crowd: Caller) -> None:
    to = {"users": ["user-7", "user-7"], "devices": ["device-7", "device-8"]}
    answer = crowd.post(to=to, alert={"body": "x"})
    assert answer.json()["recipients"] == 2
    assert counted(crowd.settled(answer.json()["id"])) == {"accepted": 2}


def test_deliveries_come_in_pages_until_the_end(crowd: Caller) -> None:
    users = [f"user-{number}" for number in range(120)]
    id_ = crowd.post(to={"users": users}, alert={"body": "x"}).json()["id"]
    shown = crowd.settled(id_)
    assert len(shown["deliveries"]) == 50
    path, found = f"{crowd.path}/notifications/{id_}/deliveries", list(shown["deliveries"])
    cursor = shown["next_cursor"]
    while cursor is not None:
        page = crowd.http.get(path, params={"cursor": cursor}).raise_for_status().json()
        found += page["deliveries"]
        cursor = page["next_cursor"]
    assert {one["device"] for one in found} == {f"device-{number}" for number in range(120)}
    assert len(found) == 120
    assert crowd.http.get(path, params={"state": "failed"}).json()["deliveries"] == []
    accepted = crowd.http.get(path, params={"state": "accepted", "limit": 7}).json()
    assert len(accepted["deliveries"]) == 7
    assert accepted["next_cursor"]


def test_each_of_a_broadcast_is_explained(crowd: Caller) -> None:
    id_ = crowd.post(to={"tags": ["fifth"]}, alert={"body": "x"}).json()["id"]
    (delivery, *_) = crowd.settled(id_)["deliveries"]
    found = crowd.http.get("/v1/explain", params={"q": delivery["id"]}).json()
    assert delivery["device"] in found["about"]
    assert "accepted" in found["verdict"]


def test_devices_are_listed_in_pages_by_user_and_by_state(crowd: Caller) -> None:
    path = f"{crowd.path}/devices"
    first = crowd.http.get(path, params={"limit": 100}).json()
    second = crowd.http.get(path, params={"limit": 100, "cursor": first["next_cursor"]}).json()
    ids = [one["device_id"] for one in first["devices"] + second["devices"]]
    assert len(set(ids)) == 200
    (only,) = crowd.http.get(path, params={"user": "user-42"}).json()["devices"]
    assert only["device_id"] == "device-42"
    assert crowd.http.get(path, params={"state": "retired"}).json()["devices"] == []


def test_nobody_is_counted_as_nobody(crowd: Caller) -> None:
    for to in ({"users": ["stranger"]}, {"devices": ["stranger"]}):
        answer = crowd.post(to=to, alert={"body": "x"})
        assert answer.json()["recipients"] == 0
        shown = crowd.settled(answer.json()["id"])
        assert (shown["state"], counted(shown)) == ("done", {})
    assert crowd.post(to={"tags": ["unknown"]}, alert={"body": "x"}).json()["estimate"] == 0


def test_a_raw_target_needs_no_device(crowd: Caller, stack: Stack) -> None:
    token = new_token()
    answer = crowd.post(to={"targets": [{"kind": "apns", "value": token}]}, alert={"body": "x"})
    assert answer.json()["recipients"] == 1
    assert counted(crowd.settled(answer.json()["id"])) == {"accepted": 1}
    assert len(stack.simulator.requests(token)) == 1


def test_a_raw_target_is_no_part_of_everyone(stack: Stack) -> None:
    caller = own_app(stack)
    phone, token = caller.phone(), new_token()
    caller.settled(caller.post(to={"targets": [{"kind": "apns", "value": token}]}, alert={"body": "x"}).json()["id"])
    answer = caller.post(to={"everyone": True}, alert={"body": "to all"})
    assert answer.json()["estimate"] == 1
    assert counted(caller.settled(answer.json()["id"])) == {"accepted": 1}
    assert (len(caller.received(phone)), len(stack.simulator.requests(token))) == (1, 1)
    problem(caller.http.put(f"{caller.path}/devices/raw-mine", json={"user": "u"}), 422, "invalid")
