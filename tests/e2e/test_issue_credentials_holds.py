"""What waits, and what waited too long, says what it waits for: pauses, holds and brakes are told apart."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from acme import Stack
from contract import Caller, own_app
from processes import until


@pytest.fixture
def caller(stack: Stack) -> Caller:
    """Return the backend of an app whose routes may be held."""
    return own_app(stack)


@pytest.fixture
def paused(caller: Caller) -> Iterator[Caller]:
    """Return the backend of a paused app."""
    caller.http.patch(caller.path, json={"paused": True}).raise_for_status()
    yield caller
    caller.http.patch(caller.path, json={"paused": False}).raise_for_status()


def waiting(caller: Caller, notification: str) -> dict[str, Any]:
    found: dict[str, Any] = caller.in_state(notification, "held")["deliveries"][0]["outcome"]
    return found


def route_of(caller: Caller) -> int:
    routes = caller.http.get("/v1/routes").json()["routes"]
    return int(next(one["id"] for one in routes if one["app"] == caller.app))


def test_a_push_that_a_paused_app_kept_too_long_says_so(paused: Caller) -> None:
    held = paused.send(paused.phone(), alert={"body": "x"})
    late = paused.send(paused.phone(), alert={"body": "x"}, ttl=1)

    assert waiting(paused, held)["reason"] == "paused"
    outcome = paused.delivery(late)["outcome"]
    assert (paused.delivery(late)["state"], outcome["code"]) == ("expired", 902)
    assert "ttl ended" in outcome["cause"]
    assert "paused" in outcome["cause"]
    assert "paused" in paused.explain(late)["cause"]
    assert "esume" in paused.explain(late)["fix"]


def test_a_call_in_a_paused_app_blames_the_pause(paused: Caller) -> None:
    failed = paused.delivery(paused.send(paused.phone("apns-voip"), call={"id": "1", "caller": "Ann"}))
    assert (failed["state"], failed["outcome"]["code"], failed["outcome"]["reason"]) == ("failed", 902, "paused")


def test_what_waits_on_a_route_that_an_operator_holds_says_so(caller: Caller) -> None:
    phone = caller.phone()
    caller.settled(caller.send(phone))
    route = route_of(caller)
    caller.http.post(f"/v1/routes/{route}/hold").raise_for_status()

    held = caller.send(phone)
    assert waiting(caller, held)["reason"] == "route_held"
    caller.http.post(f"/v1/routes/{route}/release").raise_for_status()
    assert caller.delivery(held)["state"] == "accepted"


def test_what_waits_behind_a_brake_says_so(caller: Caller) -> None:
    tokens = [secrets.token_hex(32) for _ in range(60)]
    for token in tokens:
        caller.simulator.script(token, {"status": 400, "reason": "BadDeviceToken", "times": None})
    for token in tokens:
        target = {"kind": "apns", "value": token}
        caller.post(to={"targets": [target]}, alert={"body": "x"}).raise_for_status()
    until(lambda: caller.http.get("/v1/brakes", params={"app": caller.app}).json()["brakes"], "the brake closes")

    outcome = waiting(caller, caller.send(caller.phone()))

    assert (outcome["code"], outcome["reason"]) == (902, "brake")
    assert "wakeline brake" in outcome["fix"]
