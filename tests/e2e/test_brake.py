"""A deploy with the wrong environment, from end to end: the brake closes, no token is lost, an operator undoes it."""

from __future__ import annotations

from typing import Any

import pytest

from acme import Stack
from contract import Caller, own_app, problem
from processes import until

PHONES = 45
REFUSED = {"status": 400, "reason": "BadDeviceToken"}


@pytest.fixture
def deployed(stack: Stack) -> tuple[Caller, str]:
    """An app that sends everything to production, after a deploy of a development build; and a push to all its phones."""
    caller = own_app(stack)
    settings = {"apns_environment": "production", "limits": False}
    stack.http.patch(caller.path, json={"settings": settings}).raise_for_status()
    phones = [caller.phone() for _ in range(PHONES)]
    for phone in phones:
        stack.simulator.script(phone.token, REFUSED)
    id_ = caller.send(*phones)
    caller.in_state(id_, "held")
    return caller, id_


def brakes_of(caller: Caller) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = caller.http.get("/v1/brakes", params={"app": caller.app}).json()["brakes"]
    return found


def all_waiting(caller: Caller, id_: str) -> dict[str, Any] | None:
    """Return the brake once it counts all that is left of the push, and nothing is under way any more."""
    counts = caller.show(id_)["counts"]
    brake = next(iter(brakes_of(caller)), None)
    return brake if brake and not counts["pending"] and brake["waiting"] == counts["held"] > 0 else None


def test_a_wrong_environment_closes_the_brake_and_loses_no_token(stack: Stack, deployed: tuple[Caller, str]) -> None:
    caller, id_ = deployed
    brake = until(lambda: all_waiting(caller, id_), "what is left waits behind the brake")
    assert (brake["state"], brake["hold"]["code"], brake["environment"]) == ("closed", 902, "production")
    fare = until(
        lambda: (one := stack.http.get(caller.path).json()["targets"])["active"] == PHONES and one, "all active"
    )
    assert (fare["quarantined"], fare["retired"]) == (0, 0)

    undone = stack.gateway.json("brake", "undo", str(brake["id"]))
    assert undone["brake"]["state"] == "undone"
    assert caller.settled(id_)["counts"]["accepted"] == brake["waiting"]
    assert [(one["id"], one["state"]) for one in brakes_of(caller)] == [(brake["id"], "undone")]


def test_a_brake_that_never_closed_is_not_found(stack: Stack) -> None:
    problem(stack.http.post("/v1/brakes/999999/undo", json={}), 404, "not_found")
    assert stack.gateway.cli("brake", "release", "--route", "999999").returncode == 3
