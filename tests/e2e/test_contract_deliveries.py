"""What a push service answers, and what becomes of the push, the token and the explanation."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from acme import Stack
from contract import Caller, counted, only_push, own_app, problem
from processes import until

DAY_MS = 86_400_000
RING_TIME_MS = 30_000
"""No other push is tried again so soon."""


def now_ms() -> int:
    return int(time.time() * 1000)


def target(caller: Caller, phone: Any) -> dict[str, Any]:
    (found,) = caller.device(phone)["targets"]
    return dict(found)


def test_an_accepted_push_is_shown_with_its_attempt(stack: Stack) -> None:
    caller = Caller(stack)
    phone = caller.phone()
    id_ = caller.send(phone)
    shown = caller.settled(id_)
    assert (shown["id"], shown["state"], shown["recipients"], counted(shown)) == (id_, "done", 1, {"accepted": 1})
    (delivery,) = shown["deliveries"]
    assert (delivery["device"], delivery["target"], delivery["state"]) == (phone.device, "apns", "accepted")
    assert (delivery["outcome"]["class"], delivery["outcome"]["code"]) == ("accepted", 0)
    (attempt,) = delivery["attempts"]
    assert (attempt["number"], attempt["status"]) == (1, 200)
    (request,) = caller.received(phone)
    assert request["headers"]["apns-id"] == delivery["id"]


def test_a_410_later_than_the_confirmation_retires_the_token(stack: Stack) -> None:
    caller = Caller(stack)
    phone = caller.phone()
    stack.simulator.script(phone.token, {"status": 410, "reason": "Unregistered", "timestamp": now_ms() + 60_000})
    delivery = caller.delivery(caller.send(phone))
    assert (delivery["state"], delivery["outcome"]["code"]) == ("failed", 911)
    found = until(lambda: (one := target(caller, phone))["state"] != "active" and one, "the token is retired")
    assert (found["state"], found["reason"]) == ("retired", "Unregistered")
    assert found["evidence"]["status"] == 410
    assert caller.device(phone)["state"] == "retired"
    nobody = caller.send(phone)
    assert caller.settled(nobody)["recipients"] == 0
    assert "nobody" in caller.explain(nobody)["verdict"]


def test_a_410_from_before_the_confirmation_proves_nothing(stack: Stack) -> None:
    caller = Caller(stack)
    phone = caller.phone()
    stack.simulator.script(phone.token, {"status": 410, "reason": "Unregistered", "timestamp": now_ms() - DAY_MS})
    assert caller.delivery(caller.send(phone))["state"] == "failed"
    assert caller.delivery(caller.send(phone))["state"] == "accepted"
    assert target(caller, phone)["state"] == "active"


def test_a_token_of_the_other_environment_heals(stack: Stack) -> None:
    caller = Caller(stack)
    phone = caller.phone()
    sandbox = {"status": 400, "reason": "BadDeviceToken"}
    stack.simulator.script(phone.token, sandbox)
    assert caller.delivery(caller.send(phone))["state"] == "accepted"
    found = until(
        lambda: (one := target(caller, phone))["environment"] == "sandbox" and one, "the environment is learnt"
    )
    assert found["state"] == "active"


def test_a_token_that_neither_environment_knows_is_quarantined_and_can_be_restored(stack: Stack) -> None:
    caller = Caller(stack)
    phone = caller.phone()
    stack.simulator.script(phone.token, {"status": 400, "reason": "BadDeviceToken", "times": 2})
    delivery = caller.delivery(caller.send(phone))
    assert (delivery["state"], delivery["outcome"]["code"], len(delivery["attempts"])) == ("failed", 911, 2)
    until(lambda: target(caller, phone)["state"] == "quarantined", "the token is quarantined")
    restored = caller.http.post(f"{caller.path}/devices/{phone.device}/restore")
    assert restored.json() == {"restored": 1}
    assert target(caller, phone)["state"] == "active"
    assert caller.delivery(caller.send(phone))["state"] == "accepted"


def test_registering_a_retired_token_again_revives_it(stack: Stack) -> None:
    caller = Caller(stack)
    phone = caller.phone()
    stack.simulator.script(phone.token, {"status": 410, "reason": "Unregistered"})
    caller.delivery(caller.send(phone))
    until(lambda: target(caller, phone)["state"] == "retired", "the token is retired")
    body = {"user": phone.user, "targets": [{"kind": "apns", "value": phone.token}]}
    caller.http.put(f"{caller.path}/devices/{phone.device}", json=body).raise_for_status()
    assert caller.delivery(caller.send(phone))["state"] == "accepted"


@pytest.mark.parametrize(
    ("status", "reason", "outcome", "code"),
    [
        (400, "DeviceTokenNotForTopic", "mismatch", 912),
        (400, "BadCollapseId", "payload", 913),
        (413, "PayloadTooLarge", "payload", 913),
    ],
)
def test_a_refusal_fails_the_delivery_and_spares_the_token(
    stack: Stack, status: int, reason: str, outcome: str, code: int
) -> None:
    caller = Caller(stack)
    phone = caller.phone()
    stack.simulator.script(phone.token, {"status": status, "reason": reason})
    delivery = caller.delivery(caller.send(phone))
    assert (delivery["state"], delivery["outcome"]["class"], delivery["outcome"]["code"]) == ("failed", outcome, code)
    assert delivery["outcome"]["cause"]
    assert target(caller, phone)["state"] == "active"


def test_a_call_is_tried_again_inside_its_ring_time(stack: Stack) -> None:
    caller = Caller(stack)
    phone = caller.phone("apns-voip")
    stack.simulator.script(phone.token, {"status": 503, "reason": "ServiceUnavailable"})
    call = {"id": "call-1", "caller": "Bob", "video": True}
    delivery = caller.delivery(caller.send(phone, type="call", call=call))
    assert (delivery["state"], [one["status"] for one in delivery["attempts"]]) == ("accepted", [503, 200])
    first, *_, second = caller.received(phone)
    assert second["headers"]["apns-push-type"] == "voip"
    assert second["headers"]["apns-topic"].endswith(".voip")
    assert second["body"]["call"] == call
    assert first["headers"]["apns-id"] == second["headers"]["apns-id"]
    assert second["at"] - first["at"] < RING_TIME_MS


def test_a_call_on_android_is_a_data_message_of_high_priority(stack: Stack) -> None:
    caller = Caller(stack)
    phone = caller.phone("fcm")
    assert (
        caller.delivery(caller.send(phone, type="call", call={"id": "call-2", "caller": "Eve"}))["state"] == "accepted"
    )
    message = only_push(caller.received(phone))["body"]["message"]
    assert message["android"]["priority"].lower() == "high"
    assert "notification" not in message
    assert "call-2" in str(message["data"])


def test_a_quota_makes_its_route_wait_as_long_as_the_push_service_asks(stack: Stack) -> None:
    caller = own_app(stack)
    phone = caller.phone("fcm")
    stack.simulator.script(phone.token, {"status": 429, "error": "QUOTA_EXCEEDED", "headers": {"retry-after": "120"}})
    id_ = caller.send(phone)
    until(lambda: bool(caller.show(id_)["deliveries"][0]["attempts"]), "the first attempt is settled")
    (waiting,) = caller.show(id_)["deliveries"]
    assert (waiting["state"], waiting["outcome"]["class"], waiting["outcome"]["code"]) == ("held", "throttled", 914)
    wait = datetime.fromisoformat(waiting["due"]) - datetime.now(UTC)
    assert 110 < wait.total_seconds() < 200
    assert "429" in str(caller.explain(id_))
    assert caller.http.delete(f"{caller.path}/notifications/{id_}").json()["cancelled"] == 1


def test_google_saying_unregistered_retires_the_token(stack: Stack) -> None:
    caller = Caller(stack)
    phone = caller.phone("fcm")
    stack.simulator.script(phone.token, {"status": 404, "error": "UNREGISTERED"})
    delivery = caller.delivery(caller.send(phone))
    assert (delivery["state"], delivery["outcome"]["code"]) == ("failed", 911)
    until(lambda: target(caller, phone)["state"] == "retired", "the token is retired")


def test_whatever_is_asked_about_is_explained(stack: Stack) -> None:
    caller = Caller(stack)
    phone = caller.phone()
    id_ = caller.send(phone)
    delivery = caller.delivery(id_)["id"]
    for question in (id_, delivery, phone.user, phone.device, phone.token, "BadDeviceToken", "905", "QUOTA_EXCEEDED"):
        answer = caller.http.get("/v1/explain", params={"q": question})
        assert answer.status_code == 200, question
        found = answer.json()
        assert {"verdict", "cause", "fix", "steps"} <= set(found), question
        assert found["verdict"]
        assert phone.token not in answer.text
    problem(caller.http.get("/v1/explain"), 422, "invalid", "/query/q")


def test_a_token_that_turns_up_elsewhere_moves(stack: Stack) -> None:
    caller = Caller(stack)
    old = caller.phone()
    body = {"user": "next-owner", "targets": [{"kind": "apns", "value": old.token}]}
    moved = caller.http.put(f"{caller.path}/devices/re-installed", json=body).json()["moved"]
    assert moved == [{"kind": "apns", "from_device": old.device}]
    assert caller.device(old)["targets"] == []


def test_what_was_queued_for_a_former_user_is_not_shown_to_the_next(stack: Stack) -> None:
    caller = Caller(stack)
    phone = caller.phone("fcm")
    stack.simulator.script(phone.token, {"status": 503, "error": "UNAVAILABLE", "headers": {"retry-after": "3"}})
    id_ = caller.send(phone, type="call", call={"id": "private"})
    until(lambda: bool(caller.show(id_)["deliveries"][0]["attempts"]), "the first attempt is settled")
    body = {"user": f"{phone.user}-next", "targets": [{"kind": "fcm", "value": phone.token}]}
    caller.http.put(f"{caller.path}/devices/{phone.device}", json=body).raise_for_status()
    delivery = caller.delivery(id_)
    assert delivery["state"] in {"failed", "skipped"}
    assert len(caller.received(phone)) == 1


def test_an_erased_user_leaves_nothing(stack: Stack) -> None:
    caller = Caller(stack)
    alone = caller.phone()
    shared = caller.phone(user=alone.user)
    body = {"user": [alone.user, "stays"], "targets": [{"kind": "apns", "value": shared.token}]}
    caller.http.put(f"{caller.path}/devices/{shared.device}", json=body).raise_for_status()
    gone = caller.http.delete(f"{caller.path}/users/{alone.user}")
    assert gone.status_code == 200
    problem(caller.http.get(f"{caller.path}/users/{alone.user}"), 404, "not_found")
    problem(caller.http.get(f"{caller.path}/devices/{alone.device}"), 404, "not_found")
    assert caller.device(shared)["user"] == "stays"
    assert caller.post(to={"users": [alone.user]}, alert={"body": "x"}).json()["recipients"] == 0
