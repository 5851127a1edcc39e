"""The live feed: events as they happen, and from where one left off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from acme import Stack
from contract import feed, own_app, problem


@contextmanager
def following(stack: Stack, headers: dict[str, str] | None = None, **query: str) -> Iterator[Iterator[dict[str, Any]]]:
    with stack.http.stream("GET", "/v1/events", params=query, headers=headers or {}, timeout=60) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield feed(answer)


def test_an_event_is_told_as_it_happens(stack: Stack) -> None:
    caller = own_app(stack)
    phone = caller.phone()
    with following(stack, app=caller.app) as events:
        id_ = caller.send(phone)
        first, second = next(events), next(events)
    by_type = {event["event"]: event["data"] for event in (first, second)}
    assert set(by_type) == {"push.accepted", "notification.completed"}
    accepted = by_type["push.accepted"]
    assert set(accepted) == {"type", "timestamp", "data"}
    assert accepted["data"]["notification"] == id_
    assert accepted["data"]["outcome"]["class"] == "accepted"


def test_a_feed_goes_on_after_the_last_event_that_was_seen(stack: Stack) -> None:
    caller = own_app(stack)
    phone = caller.phone()
    with following(stack, app=caller.app, types="notification.completed") as events:
        caller.send(phone)
        seen = next(events)
    missed = caller.send(phone)
    caller.settled(missed)
    with following(stack, {"last-event-id": seen["id"]}, app=caller.app, types="notification.completed") as events:
        after = next(events)
    assert after["data"]["data"]["notification"] == missed
    assert int(after["id"]) > int(seen["id"])


def test_a_failure_tells_the_request_and_the_answer_without_secrets(stack: Stack) -> None:
    caller = own_app(stack)
    phone = caller.phone()
    stack.simulator.script(phone.token, {"status": 400, "reason": "BadCollapseId"})
    with following(stack, app=caller.app, types="push.failed") as events:
        caller.send(phone)
        data = next(events)["data"]["data"]
    assert (data["outcome"]["class"], data["outcome"]["code"]) == ("payload", 913)
    assert data["device"] == phone.device
    assert "BadCollapseId" in str(data)
    assert phone.token not in str(data)
    assert "eyJ" not in str(data)


def test_types_and_apps_that_do_not_exist_are_refused(stack: Stack) -> None:
    problem(stack.http.get("/v1/events?types=push.eaten"), 422, "invalid", "/query/types")
    problem(stack.http.get("/v1/events?app=absent"), 422, "invalid", "/query/app")
