"""Requests and answers in events: what is told of is what a push service really got and said, without secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from acme import Stack
from contract import Caller, Phone, feed, own_app
from processes import until

SECRET_HEADERS = {"authorization", "host", "content-length", "user-agent", "accept", "accept-encoding"}


@contextmanager
def following(stack: Stack, caller: Caller, types: str) -> Iterator[Iterator[dict[str, Any]]]:
    query = {"app": caller.app, "types": types}
    with stack.http.stream("GET", "/v1/events", params=query, timeout=60) as answer:
        yield feed(answer)


def logged(stack: Stack, caller: Caller) -> dict[str, Any] | None:
    """Return the line that tells of a failure of this app."""
    return next((line for line in stack.gateway.events("push.failed") if line["app"] == caller.app), None)


def is_what_was_sent(data: dict[str, Any], caller: Caller, phone: Phone) -> None:
    """Compare a recorded request with the one that the push service got."""
    (sent,) = caller.received(phone)
    request = data["request"]
    name = phone.token.removeprefix("fcm:")
    assert request["method"] == "POST"
    assert request["url"].endswith(sent["path"].replace(phone.token, f"...{name[-6:]}"))
    shown = {key: value for key, value in request["headers"].items() if key not in SECRET_HEADERS}
    assert shown.items() <= sent["headers"].items()
    assert "redacted" in request["headers"]["authorization"]
    written = json.dumps(sent["body"]) if not isinstance(sent["body"], str) else sent["body"]
    assert json.loads(request["body"].replace(f"...{name[-6:]}", phone.token)) == json.loads(written)
    assert phone.token not in json.dumps(data)
    assert "eyJ" not in json.dumps(data)


def test_a_failure_shows_what_apple_got_and_said(stack: Stack) -> None:
    caller = own_app(stack)
    phone = caller.phone()
    stack.simulator.script(phone.token, {"status": 400, "reason": "BadCollapseId"})
    with following(stack, caller, "push.failed") as events:
        caller.send(phone, alert={"title": "Meeting", "body": "at ten"}, collapse_id="m1", data={"room": 7})
        data = next(events)["data"]["data"]
    is_what_was_sent(data, caller, phone)
    assert (data["response"]["code"], data["response"]["reason"]) == (400, "BadCollapseId")
    assert json.loads(data["response"]["body"]) == {"reason": "BadCollapseId"}
    assert "body" not in data["outcome"]
    line = until(lambda: logged(stack, caller), "the failure is logged")
    assert (line["device"], line["status"], line["reason"]) == (phone.device, 400, "BadCollapseId")
    assert not [secret for secret in (phone.token, "at ten") if secret in json.dumps(line)]


def test_a_failure_shows_what_google_got_and_said(stack: Stack) -> None:
    caller = own_app(stack)
    phone = caller.phone("fcm")
    stack.simulator.script(phone.token, {"status": 404, "error": "UNREGISTERED"})
    with following(stack, caller, "push.failed") as events:
        caller.send(phone, alert={"title": "Meeting"}, data={"room": "7"})
        data = next(events)["data"]["data"]
    is_what_was_sent(data, caller, phone)
    assert data["response"]["code"] == 404
    assert "UNREGISTERED" in data["response"]["body"]


def test_a_debug_window_shows_successes_and_is_over_when_it_is_closed(stack: Stack) -> None:
    caller = own_app(stack)
    apple, google = caller.phone(), caller.phone("fcm")
    caller.http.put(f"{caller.path}/debug", json={"seconds": 600}).raise_for_status()
    with following(stack, caller, "push.accepted") as events:
        for phone in (apple, google):
            caller.send(phone, alert={"title": "Meeting"})
            data = next(events)["data"]["data"]
            is_what_was_sent(data, caller, phone)
            assert data["response"]["code"] == 200
        assert stack.gateway.json("app", "debug", "show", caller.app)["recorded"] == 2
        closed = caller.http.delete(f"{caller.path}/debug").json()
        caller.send(apple)
        after = next(events)["data"]["data"]
    assert closed["open"] is False
    assert closed["recorded"] == 2
    assert closed["spent_ms"] > 0
    assert not {"request", "response"} & after.keys()
