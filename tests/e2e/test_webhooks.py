"""Webhooks from end to end: made over REST and the command line, told, tried, replayed; and the receivers that we show."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from acme import Stack
from contract import Caller, own_app, problem
from processes import Simulator, end, gateway, pointing_at, until
from webhook_receiver import Receiver, receiving

EXAMPLES = Path(__file__).parents[2] / "examples"
OWN_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
REFUSED = {"status": 400, "reason": "BadCollapseId"}


@pytest.fixture(scope="module")
def telling(tmp_path_factory: pytest.TempPathFactory, fake: Simulator) -> Iterator[Stack]:
    """A gateway that may tell programs on this machine."""
    settings = pointing_at(fake, "[webhooks]\nallow_private = true\nallow_http = true")
    with gateway(tmp_path_factory.mktemp("telling"), settings) as running, running.client() as http:
        yield Stack(gateway=running, simulator=fake, http=http)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def hooked(caller: Caller, receiver: Receiver, *events: str, **more: Any) -> dict[str, Any]:
    """Have a receiver told of events of the caller's app."""
    body = {"url": receiver.url, "events": events, "apps": [caller.app], **more}
    answer = caller.http.post("/v1/webhooks", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    receiver.secret = made["secret"]
    return made


def failed(caller: Caller) -> str:
    """Send a push that its push service refuses and return the notification's id."""
    phone = caller.phone()
    caller.simulator.script(phone.token, REFUSED)
    id_ = caller.send(phone)
    caller.settled(id_)
    return id_


def told(receiver: Receiver, number: int = 1) -> list[dict[str, Any]]:
    """Return what was taken once there is so much of it."""
    return until(lambda: found if len(found := receiver.messages()) >= number else None, f"{number} messages are taken")


def test_a_failure_is_told_with_the_request_and_the_answer(telling: Stack, receiver: Receiver) -> None:
    caller = own_app(telling)
    made = hooked(caller, receiver, "push.failed")
    id_ = failed(caller)
    (message,) = told(receiver)
    log = until(
        lambda: caller.http.get(f"/v1/webhooks/{made['id']}/deliveries").json()["deliveries"], "the delivery is logged"
    )

    assert set(message) == {"type", "timestamp", "data"}
    data = message["data"]
    assert (message["type"], data["notification"], data["app"]) == ("push.failed", id_, caller.app)
    assert (data["outcome"]["code"], data["response"]["code"]) == (913, 400)
    assert data["request"]["method"] == "POST"
    assert "BadCollapseId" in data["response"]["body"]
    assert (log[0]["state"], log[0]["status"], log[0]["tries"]) == ("taken", 204, 1)
    assert log[0]["id"] == receiver.came()[0].id


def test_a_receiver_written_for_mesibo_gets_its_envelope(telling: Stack, receiver: Receiver) -> None:
    caller = own_app(telling)
    hooked(caller, receiver, "push.failed", shape="mesibo")
    receiver.answer = 200
    id_ = failed(caller)
    (message,) = told(receiver)
    (push,) = message["events"]

    assert (message["server"], message["v"], push["type"], push["status"]) == ("mesibo", 2, "push", "failed")
    assert (push["response"]["code"], push["notification"]) == (400, id_)
    assert push["user"]["address"].startswith("user-")
    assert push["request"]["body"]


def test_a_receiver_that_fails_is_shown_and_told_again(telling: Stack, receiver: Receiver) -> None:
    caller = own_app(telling)
    receiver.answer = 503
    made = hooked(caller, receiver, "push.failed")
    path = f"/v1/webhooks/{made['id']}"
    failed(caller)
    failing = until(
        lambda: (one := caller.http.get(path).json())["health"]["standing"] == "failing" and one, "it is seen to fail"
    )
    receiver.answer = 204
    told(receiver)
    working = until(
        lambda: (
            one
            if (one := caller.http.get(path).json())["health"]["standing"] == "working" and not one["waiting"]
            else None
        ),
        "it works again",
    )

    assert failing["health"]["status"] == 503
    assert failing["health"]["next_try"]
    assert failing["waiting"] + failing["behind"] > 0
    assert (working["waiting"], working["behind"], working["health"]["failures"]) == (0, 0, 0)
    assert len({one.id for one in receiver.came()}) == 1


def test_a_disabled_webhook_is_told_nothing_and_what_it_missed_can_be_told_again(
    telling: Stack, receiver: Receiver
) -> None:
    caller = own_app(telling)
    made = hooked(caller, receiver, "push.failed")
    path = f"/v1/webhooks/{made['id']}"
    off = caller.http.patch(path, json={"disabled": True}).json()
    id_ = failed(caller)
    before = receiver.came()
    problem(caller.http.post(f"{path}/replay", json={"since": "2020-01-01T00:00:00Z"}), 409, "conflict")
    on = caller.http.patch(path, json={"disabled": False}).json()
    again = caller.http.post(f"{path}/replay", json={"since": "2020-01-01T00:00:00Z"}).json()
    (message,) = told(receiver)

    assert (off["disabled"], off["health"]["standing"]) == ("operator", "disabled")
    assert (on["disabled"], on["health"]["standing"]) == (None, "working")
    assert before == []
    assert again == {"messages": 1}
    assert message["data"]["notification"] == id_


def test_messages_are_told_again_under_their_ids(telling: Stack, receiver: Receiver) -> None:
    caller = own_app(telling)
    made = hooked(caller, receiver, "push.failed")
    failed(caller)
    failed(caller)
    told(receiver, 2)
    first, second = (one.id for one in receiver.came())
    path = f"/v1/webhooks/{made['id']}"

    def came(number: int) -> list[str]:
        return until(
            lambda: ids if len(ids := [one.id for one in receiver.came()]) >= number else None, f"{number} came"
        )

    def logged() -> bool:
        found = caller.http.get(f"{path}/deliveries", params={"state": "taken"}).json()["deliveries"]
        return [one["id"] for one in found] == [second, first]

    until(logged, "both are logged")
    by_id = caller.http.post(f"{path}/replay", json={"ids": [second]})
    assert came(3)[2:] == [second]
    ranged = telling.gateway.json("webhook", "replay", made["id"], "--since", "2020-01-01T00:00")
    assert sorted(came(5)[3:]) == sorted([first, second])
    assert (by_id.status_code, by_id.json(), ranged) == (202, {"messages": 1}, {"messages": 2})
    for wrong in ({}, {"ids": [first], "since": "2026-01-01T00:00:00Z"}, {"until": "2026-01-01T00:00:00Z"}):
        problem(caller.http.post(f"{path}/replay", json=wrong), 422, "invalid")
    for wrong_id in ("msg_0_1", first.replace("msg_", "msg_0"), "x", "0", "-1"):
        problem(caller.http.post(f"{path}/replay", json={"ids": [wrong_id]}), 422, "invalid", "/ids/0")
    problem(
        caller.http.post(f"{path}/replay", json={"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}),
        422,
        "invalid",
        "/until",
    )


def test_a_webhook_is_tried_out(telling: Stack, receiver: Receiver) -> None:
    made = telling.gateway.json("webhook", "create", receiver.url, "--event", "credential.failed", "--name", "ops")
    receiver.secret = made["secret"]
    path = f"/v1/webhooks/{made['id']}"
    tried = telling.http.post(f"{path}/test").json()
    (message,) = told(receiver)
    receiver.answer = 500
    refused = telling.gateway.json("webhook", "test", made["id"], code=1)
    shown = telling.http.get(path).json()
    log = telling.http.get(f"{path}/deliveries").json()["deliveries"]

    assert (tried["taken"], tried["status"]) == (True, 204)
    assert message["type"] == "webhook.test"
    assert (refused["taken"], refused["status"]) == (False, 500)
    assert shown["health"]["standing"] == "working"
    assert [one["type"] for one in log] == ["webhook.test"] * 2
    problem(telling.http.post(f"{path}/replay", json={"ids": [log[0]["id"]]}), 422, "invalid")


def test_both_secrets_sign_while_one_is_rotated(telling: Stack, receiver: Receiver) -> None:
    made = telling.http.post("/v1/webhooks", json={"url": receiver.url, "events": ["portal.moved"]}).json()
    path = f"/v1/webhooks/{made['id']}"
    rotated = telling.http.post(f"{path}/rotate", json={}).json()
    for secret in (made["secret"], rotated["secret"]):
        receiver.secret = secret
        assert telling.http.post(f"{path}/test").json()["taken"] is True
    telling.http.post(f"{path}/rotate", json={"overlap": 0, "secret": OWN_SECRET}).raise_for_status()
    for secret, status in ((OWN_SECRET, 204), (rotated["secret"], 401)):
        receiver.secret = secret
        assert telling.http.post(f"{path}/test").json()["status"] == status


@contextmanager
def program(*command: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "WEBHOOK_SECRET": OWN_SECRET}
    )
    try:
        yield process
    finally:
        end(process)


@pytest.mark.parametrize(
    "command",
    [
        (sys.executable, "webhook_receiver.py"),
        pytest.param(
            ("node", "webhook-receiver.mjs"),
            marks=pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed"),
        ),
    ],
)
def test_the_receivers_that_we_show_take_what_is_ours_once(telling: Stack, command: tuple[str, str]) -> None:
    caller = own_app(telling)
    with program(command[0], str(EXAMPLES / command[1]), "0") as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        made = caller.http.post(
            "/v1/webhooks", json={"url": url, "events": ["push.failed"], "apps": [caller.app], "secret": OWN_SECRET}
        ).json()
        id_ = failed(caller)
        line = process.stdout.readline()
        log = f"/v1/webhooks/{made['id']}/deliveries"
        (message,) = until(lambda: caller.http.get(log).json()["deliveries"], "it is logged")
        again = caller.http.post(f"/v1/webhooks/{made['id']}/replay", json={"ids": [message["id"]]})
        taken = until(
            lambda: (
                one
                if (one := caller.http.get(log).json()["deliveries"][0])["changed"] != message["changed"]
                and one["state"] == "taken"
                else None
            ),
            "it is told again",
        )
        forged = httpx2.post(url, json={"type": "push.failed"}, trust_env=False, timeout=60)
        tried = caller.http.post(f"/v1/webhooks/{made['id']}/test").json()
        following = process.stdout.readline()

    assert "push.failed" in line
    assert id_ in line
    assert again.json() == {"messages": 1}
    assert (taken["state"], forged.status_code, tried["taken"]) == ("taken", 401, True)
    assert "webhook.test" in following


def test_what_phones_say_is_told_in_order_and_once(telling: Stack, receiver: Receiver) -> None:
    caller = own_app(telling)
    hooked(caller, receiver, "push.acknowledged", "push.opened")
    phone = caller.phone()
    id_ = caller.send(phone)
    caller.settled(id_)
    for status in ("acknowledged", "acknowledged", "opened", "acknowledged"):
        body = {"notification": id_, "device": phone.device, "status": status}
        caller.http.post("/v1/receipts", json=body).raise_for_status()
    messages = told(receiver, 2)

    assert [message["type"] for message in messages] == ["push.acknowledged", "push.opened"]
    for message in messages:
        data = message["data"]
        assert (data["notification"], data["device"], data["users"]) == (id_, phone.device, [phone.user])
        assert data["outcome"]["class"] == "accepted"
