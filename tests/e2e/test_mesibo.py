"""A user of mesibo moves here: credentials, test pushes and debugging by the requests that his scripts make already."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from acme import Stack
from contract import new_token
from wakeline.cli.demo import material


class Backend:
    """A script of his: one address, one token."""

    def __init__(self, stack: Stack, app: str) -> None:
        stack.http.post("/v1/apps", json={"id": app}).raise_for_status()
        created = stack.http.post("/v1/keys", json={"scopes": ["admin"], "apps": [app]})
        self.token: str = created.raise_for_status().json()["key"]
        self.app = app
        self.bundle = f"org.example.{app}"
        self.url = f"{stack.gateway.address}/mesibo/backend"
        self.http = httpx2.Client(timeout=30, trust_env=False)
        self._stack = stack

    def asks(self, op: str, **more: Any) -> dict[str, Any]:
        answer = self.http.post(self.url, json={"op": op, "token": self.token, **more})
        found: dict[str, Any] = answer.json()
        return found

    def uploads(self, file: bytes, name: str, **more: str) -> dict[str, Any]:
        form = {"op": "pushupload", "token": self.token, **more}
        answer = self.http.post(self.url, data=form, files={"file": (name, file)})
        found: dict[str, Any] = answer.json()
        return found

    def phone(self, user: str, kind: str, token: str) -> None:
        target = {"kind": kind, "value": token} | ({"topic": self.bundle} if kind == "apns" else {})
        path = f"/v1/apps/{self.app}/devices/device-{token[:24]}"
        self._stack.http.put(path, json={"user": user, "targets": [target]}).raise_for_status()


@pytest.fixture
def backend(stack: Stack) -> Iterator[Backend]:
    made = Backend(stack, f"mesibo-{uuid.uuid4().hex[:12]}")
    yield made
    made.http.close()


def test_from_the_credentials_to_the_answer_of_each_phone(stack: Stack, backend: Backend) -> None:
    apple = backend.uploads(material.certificate(backend.bundle), "push.p12", type="apn", password=material.PASSWORD)
    google = backend.uploads(material.service_account(stack.simulator.token_uri), "account.json", id="4")
    assert [(one["op"], one["result"], one["code"]) for one in (apple, google)] == [("pushupload", True, 201)] * 2
    assert apple["credential"]["topics"][0] == backend.bundle
    assert google["id"] == "4"

    iphone, gone, android = new_token(), new_token(), new_token()
    backend.phone("alice", "apns", iphone)
    backend.phone("alice", "fcm", android)
    backend.phone("bob", "apns", gone)
    stack.simulator.script(gone, {"status": 410, "reason": "Unregistered"})
    said = backend.asks("pushtest", addresses=["alice", "bob", "nobody"], id=15)

    assert (said["result"], said["error"], said["code"], said["id"]) == (False, "NOTREACHED", 410, 15)
    assert (said["sent"], said["accepted"]) == (3, 2)
    told = {(one["address"], one.get("kind", "")): one for one in said["devices"]}
    assert {name: (one["result"], one["code"]) for name, one in told.items()} == {
        ("alice", "apns"): (True, 200),
        ("alice", "fcm"): (True, 200),
        ("bob", "apns"): (False, 410),
        ("nobody", ""): (False, 404),
    }
    assert told["bob", "apns"]["outcome"]["code"] == 911
    [request] = stack.simulator.requests(iphone)
    assert request["headers"]["apns-push-type"] == "background"
    assert request["body"]["pushtest"] == "1"

    again = backend.asks("pushtest", addresses="bob")
    assert (again["code"], again["sent"]) == (911, 0)
    assert len(stack.simulator.requests(gone)) == 1


def test_while_debugging_requests_and_answers_are_told(stack: Stack, backend: Backend) -> None:
    backend.uploads(material.auth_key(), "AuthKey.p8", key_id=material.KEY_ID, team_id=material.TEAM_ID)
    token = new_token()
    backend.phone("carol", "apns", token)
    assert backend.asks("pushdebug")["enable"] == 0
    opened = backend.asks("pushdebug", enable=1)
    assert (opened["result"], opened["enable"], opened["debug"]["open"]) == (True, 1, True)

    [device] = backend.asks("pushtest", addresses="carol", title="Hello", body="Carol")["devices"]
    [received] = stack.simulator.requests(token)
    assert device["request"]["method"] == "POST"
    assert received["headers"]["apns-id"] == device["request"]["headers"]["apns-id"]
    assert "Hello" in device["request"]["body"]
    assert token not in repr(device)
    assert "bearer ey" not in repr(device).lower()
    assert device["response"]["code"] == 200

    closed = backend.asks("pushdebug", enable=0)
    assert (closed["enable"], closed["debug"]["recorded"]) == (0, 1)


def test_a_wrong_token_and_an_unknown_operation_are_told_in_its_form(stack: Stack) -> None:
    wrong = stack.http.post("/mesibo/backend", json={"op": "pushtest", "token": "wk_nothing", "addresses": "a"})
    assert (wrong.status_code, wrong.json()["result"], wrong.json()["code"]) == (401, False, 401)
    unknown = stack.http.post("/mesibo/backend/", json={"op": "useradd", "user": {"address": "a"}}).json()
    assert (unknown["op"], unknown["result"], unknown["error"]) == ("useradd", False, "BADOP")
    assert "pushtest" in unknown["fix"]
