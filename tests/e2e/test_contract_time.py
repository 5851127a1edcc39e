"""Due times, ends, cancelling, pauses and presence."""

from __future__ import annotations

import time
from datetime import datetime

import pytest

from acme import Stack
from contract import Caller, counted, in_future, own_app, problem


def test_a_scheduled_push_waits_for_its_time(stack: Stack) -> None:
    caller = Caller(stack)
    phone = caller.phone()
    due = in_future(3)
    id_ = caller.send(phone, send_at=due)
    shown = caller.show(id_)
    assert (shown["state"], counted(shown)) == ("scheduled", {"scheduled": 1})
    assert "be sent at" in caller.explain(id_)["cause"]
    assert counted(caller.settled(id_)) == {"accepted": 1}
    (request,) = caller.received(phone)
    assert 0 <= request["at"] / 1000 - datetime.fromisoformat(due).timestamp() < 20


def test_a_scheduled_push_is_cancelled_and_never_sent(stack: Stack) -> None:
    caller = Caller(stack)
    phone = caller.phone()
    id_ = caller.send(phone, send_at=in_future(3600))
    path = f"{caller.path}/notifications/{id_}"
    assert caller.http.delete(path).json() == {"id": id_, "cancelled": 1, "in_flight": 0}
    shown = caller.show(id_)
    assert (shown["state"], counted(shown)) == ("cancelled", {"cancelled": 1})
    assert caller.http.delete(path).json() == {"id": id_, "cancelled": 0, "in_flight": 0}
    assert "cancelled" in caller.explain(id_)["verdict"]
    assert caller.received(phone) == []


def test_a_paused_app_keeps_alerts_and_refuses_calls(stack: Stack) -> None:
    caller = own_app(stack)
    phone, voip = caller.phone(), caller.phone("apns-voip")
    assert caller.http.patch(caller.path, json={"paused": True}).json()["paused"] is True
    waits, ends = caller.send(phone), caller.send(phone, ttl=1)
    call = caller.send(voip, type="call", call={"id": "c"})
    assert caller.delivery(call)["outcome"]["code"] == 902
    assert counted(caller.in_state(waits, "held")) == {"held": 1}
    assert caller.show(waits)["deliveries"][0]["outcome"]["code"] == 902
    assert "resume" in caller.explain(waits)["fix"]
    assert counted(caller.settled(ends)) == {"expired": 1}
    caller.http.patch(caller.path, json={"paused": False}).raise_for_status()
    assert counted(caller.settled(waits)) == {"accepted": 1}
    assert len(caller.received(phone)) == 1


def test_a_held_route_keeps_what_it_has_until_it_is_released(stack: Stack) -> None:
    caller = own_app(stack)
    phone = caller.phone()
    caller.settled(caller.send(phone))
    (route,) = (one for one in caller.http.get("/v1/routes").json()["routes"] if one["app"] == caller.app)
    held = caller.http.post(f"/v1/routes/{route['id']}/hold", json={"cause": "for a test"}).json()
    assert (held["hold"]["reason"], held["hold"]["code"]) == ("operator", 902)
    waits, ends = caller.send(phone), caller.send(phone, ttl=1)
    assert counted(caller.in_state(waits, "held")) == {"held": 1}
    expired = caller.delivery(ends)
    assert (expired["state"], expired["outcome"]["code"]) == ("expired", 902)
    released = caller.http.post(f"/v1/routes/{route['id']}/release").json()
    assert released["hold"] is None
    assert counted(caller.settled(waits)) == {"accepted": 1}


def test_a_phone_that_is_connected_is_spared_until_then(stack: Stack) -> None:
    caller = Caller(stack)
    phone = caller.phone()
    until_then = in_future(3)
    said = caller.http.put(f"{caller.path}/devices/{phone.device}/presence", json={"connected_until": until_then})
    assert said.json()["device_id"] == phone.device
    waits, goes = caller.send(phone, only_if_absent=True), caller.send(phone)
    assert counted(caller.settled(goes)) == {"accepted": 1}
    assert counted(caller.settled(waits)) == {"accepted": 1}
    first, second = caller.received(phone)
    assert first["headers"]["apns-id"].startswith(goes[:18])
    assert second["at"] / 1000 >= datetime.fromisoformat(until_then).timestamp()


def test_presence_holds_back_for_90_seconds_at_most(stack: Stack) -> None:
    caller = Caller(stack)
    phone = caller.phone()
    body = {"connected_until": in_future(3600)}
    caller.http.put(f"{caller.path}/devices/{phone.device}/presence", json=body).raise_for_status()
    id_ = caller.send(phone, only_if_absent=True)
    (delivery,) = caller.show(id_)["deliveries"]
    wait = datetime.fromisoformat(delivery["due"]).timestamp() - datetime.fromisoformat(in_future(0)).timestamp()
    assert 80 < wait <= 90
    caller.http.delete(f"{caller.path}/notifications/{id_}").raise_for_status()


def test_a_phone_that_is_away_is_pushed_to_at_once(stack: Stack) -> None:
    caller = Caller(stack)
    assert counted(caller.settled(caller.send(caller.phone(), only_if_absent=True))) == {"accepted": 1}


def test_cancelling_what_nobody_sent_is_404(stack: Stack) -> None:
    caller = Caller(stack)
    path = f"{caller.path}/notifications/01890000-0000-7000-8000-000000000000"
    problem(caller.http.delete(path), 404, "not_found")


@pytest.mark.parametrize("ttl", [0, 60])
def test_the_end_of_its_time_goes_to_the_push_service(stack: Stack, ttl: int) -> None:
    caller = Caller(stack)
    phone = caller.phone()
    begun = time.time()
    caller.settled(caller.send(phone, ttl=ttl))
    (request,) = caller.received(phone)
    taken = int(request["headers"]["apns-expiration"]) - ttl
    assert begun - 1 <= taken <= request["at"] / 1000 + 1 if ttl else taken == 0
