"""What the contract tests share: a caller of the API as its users write one, and what a simulated push service saw."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import msgspec

from acme import APP, BUNDLE, Stack
from processes import PATIENCE, until
from wakeline.cli.demo import material

_numbers = itertools.count(1)

SETTLED = ("done", "cancelled")


class Phone(msgspec.Struct, frozen=True, kw_only=True):
    """A registered device: its id, its user and the value of its target."""

    device: str
    user: str
    token: str


def problem(answer: httpx2.Response, status: int, code: str, pointer: str | None = None) -> dict[str, Any]:
    """Check the shape that every error has (RFC 9457) and return it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert (found["code"], found["status"]) == (code, status), found
    assert found["title"]
    assert found["detail"]
    if pointer is not None:
        assert pointer in [error["pointer"] for error in found["errors"]], found
    return found


def new_token() -> str:
    """Return a device token that no other test uses."""
    return f"{next(_numbers):08x}{time.time_ns():016x}" + "5a" * 20


def in_future(seconds: float) -> str:
    """Return the time in so many seconds as RFC 3339."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


class Caller:
    """A backend that speaks to one app of a running gateway."""

    def __init__(self, stack: Stack, app: str = APP) -> None:
        self.stack = stack
        self.http = stack.http
        self.simulator = stack.simulator
        self.app = app
        self.path = f"/v1/apps/{app}"

    def phone(
        self, kind: str = "apns", *, user: str | None = None, target: Mapping[str, Any] | None = None, **facts: Any
    ) -> Phone:
        """Register a device of its own."""
        token = new_token() if kind != "fcm" else f"fcm:{new_token()}"
        phone = Phone(device=f"device-{token[:24]}", user=user or f"user-{token[:24]}", token=token)
        body = {"user": phone.user, "targets": [{"kind": kind, "value": token, **(target or {})}], **facts}
        self.http.put(f"{self.path}/devices/{phone.device}", json=body).raise_for_status()
        return phone

    def post(self, **body: Any) -> httpx2.Response:
        """Ask for a notification."""
        return self.http.post(f"{self.path}/notifications", json=body)

    def send(self, *phones: Phone, **body: Any) -> str:
        """Send to users and return the notification's id; an alert unless something else is asked for."""
        content = body if body.keys() & {"alert", "data", "type", "call"} else body | {"alert": {"body": "x"}}
        answer = self.post(to={"users": [phone.user for phone in phones]}, **content)
        assert answer.status_code == 202, answer.text
        found: str = answer.json()["id"]
        return found

    def show(self, notification: str) -> dict[str, Any]:
        """Return a notification as it is now."""
        found: dict[str, Any] = self.http.get(f"{self.path}/notifications/{notification}").raise_for_status().json()
        return found

    def in_state(self, notification: str, *states: str, seconds: float = PATIENCE) -> dict[str, Any]:
        """Return a notification once it is in one of these states."""

        def there() -> dict[str, Any] | None:
            found = self.show(notification)
            return found if found["state"] in states else None

        return until(there, f"{notification} is {' or '.join(states)}", seconds)

    def settled(self, notification: str, seconds: float = PATIENCE) -> dict[str, Any]:
        """Return a notification when nothing of it waits any more."""
        return self.in_state(notification, *SETTLED, seconds=seconds)

    def delivery(self, notification: str, seconds: float = PATIENCE) -> dict[str, Any]:
        """Return the only delivery of a notification when it is settled."""
        (found,) = self.settled(notification, seconds)["deliveries"]
        return dict(found)

    def explain(self, notification: str) -> dict[str, Any]:
        """Return why a notification is where it is."""
        answer = self.http.get(f"{self.path}/notifications/{notification}/explain").raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def device(self, phone: Phone) -> dict[str, Any]:
        """Return a device as the registry has it."""
        found: dict[str, Any] = self.http.get(f"{self.path}/devices/{phone.device}").raise_for_status().json()
        return found

    def received(self, phone: Phone) -> list[dict[str, Any]]:
        """Return the requests that the push service got for a phone."""
        return self.simulator.requests(phone.token)


def only_push(requests: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the one push that these requests are: a call that is not answered within a second goes out once more, as it was."""
    first, *again = requests
    assert all((one["headers"], one["body"]) == (first["headers"], first["body"]) for one in again), requests
    return first


def own_app(stack: Stack) -> Caller:
    """Make an app with credentials of its own, for a test after which routes may be held."""
    caller = Caller(stack, f"own-{next(_numbers)}")
    stack.http.post("/v1/apps", json={"id": caller.app}).raise_for_status()
    for file, form in (
        (material.auth_key(), {"key_id": material.KEY_ID, "team_id": material.TEAM_ID, "topics": BUNDLE}),
        (material.service_account(stack.simulator.token_uri), {}),
    ):
        answer = stack.http.post(f"{caller.path}/credentials", files={"file": file}, data=form)
        assert answer.status_code == 201, answer.text
    return caller


def counted(shown: Mapping[str, Any]) -> dict[str, int]:
    """Return the counts that are not zero; all must be there."""
    counts: dict[str, int] = shown["counts"]
    assert set(counts) == {
        *("accepted", "acknowledged", "opened", "failed", "pending", "held"),
        *("scheduled", "expired", "cancelled", "superseded", "skipped"),
    }
    return {name: number for name, number in counts.items() if number}


def feed(answer: httpx2.Response) -> Iterator[dict[str, Any]]:
    """Yield the events of a feed as `{"id", "event", "data"}`."""
    event: dict[str, Any] = {}
    for line in answer.iter_lines():
        name, _, value = line.partition(":")
        if not line:
            if "data" in event:
                yield event
            event = {}
        elif name:
            event[name] = json.loads(value) if name == "data" else value.strip()
