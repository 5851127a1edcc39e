"""Programs nobody here wrote judge our Web Push: a push service reads what we send, a library sends to our simulator.

web-push-testing (npm) is the push service and the browser: it verifies VAPID and decrypts. pywebpush (PyPI) is the sender; what
it makes of an answer and what we make of it have to agree.
"""

from __future__ import annotations

import json
import os
import secrets
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from interop.clients import NODE_DIRECTORY
from wakeline.model.notification import Alert, Call, Content, Notification, PushType
from wakeline.model.outcome import Outcome, OutcomeClass
from wakeline.model.route import Lane
from wakeline.wire import webpush
from wakeline.wire.webpush.keys import encoded, point_of

if TYPE_CHECKING:
    from interop.conftest import Services

pytestmark = pytest.mark.interop

_MISSING = "the extra `interop` is not installed: pywebpush did NOT judge our Web Push"
CONTACT = "mailto:ops@example.com"
CONTENTS = {
    "alert": Content(
        type=PushType.ALERT, alert=Alert(title="Anna", body='Grüße 👋 "quoted"', badge=3), data={"room": 7}
    ),
    "call": Content(type=PushType.CALL, call=Call(id="c1", caller="Anna", video=True)),
    "background": Content(type=PushType.BACKGROUND, data={"sync": True}),
    "largest": Content(type=PushType.ALERT, alert=Alert(body="x" * 5000), truncate=True),
}


@pytest.fixture(scope="session")
def vapid_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


class Sender:
    """Our wire code with a plain HTTP client of Python's own around it."""

    def __init__(self, key: ec.EllipticCurvePrivateKey | None, ca_file: Path | None = None) -> None:
        self._key = key
        self._context = ssl.create_default_context(cafile=str(ca_file)) if ca_file else None

    def send(self, subscription: dict[str, Any], content: Content) -> tuple[Outcome, bytes]:
        """Return what the answer means, and the text that was encrypted."""
        keys = subscription["keys"]
        taken = webpush.subscription(
            subscription["endpoint"], keys["p256dh"], keys["auth"], pointer="", allow_http=self._context is None
        )
        now = int(time.time())
        notification = Notification(
            key=now << 14,
            app=1,
            content=content,
            lane=Lane.ALERT,
            due=now * 1000,
            expires=(now + 60) * 1000,
            created=now * 1000,
        )
        message = webpush.prepare(notification, now * 1000)
        proof = webpush.vapid(self._key, taken.origin, CONTACT, now).encode() if self._key else b""
        body = message.body(taken, "", secrets.token_bytes(webpush.ENTROPY_BYTES))
        fields = {name.decode(): value.decode() for name, value in message.headers(proof)}
        request = urllib.request.Request(taken.endpoint, body, fields, method="POST")  # noqa: S310 - our loopback port
        try:
            with urllib.request.urlopen(request, timeout=30, context=self._context) as answer:  # noqa: S310 - the same
                return _read(answer), message.plaintext()
        except urllib.error.HTTPError as answer:
            with answer:
                return _read(answer), message.plaintext()


def _read(answer: Any) -> Outcome:
    fields = [(name.lower().encode(), value.encode()) for name, value in answer.headers.items()]
    return webpush.read(answer.status, fields, answer.read())


# web-push-testing


class PushService:
    """npm web-push-testing, in a process of its own."""

    def __init__(self, port: int) -> None:
        self._origin = f"http://127.0.0.1:{port}"

    def ask(self, path: str, document: dict[str, object]) -> Any:
        request = urllib.request.Request(  # noqa: S310 - our own loopback port
            self._origin + path, json.dumps(document).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our own loopback port
            body = answer.read()
        return json.loads(body)["data"] if body.startswith(b"{") else None

    def subscribe(self, key: ec.EllipticCurvePrivateKey | None) -> dict[str, Any]:
        options: dict[str, object] = {"userVisibleOnly": "true"}
        if key is not None:
            options["applicationServerKey"] = encoded(point_of(key.public_key()))
        made: dict[str, Any] = self.ask("/subscribe", options)
        return made

    def messages(self, subscription: dict[str, Any]) -> list[str]:
        found: list[str] = self.ask("/get-notifications", {"clientHash": subscription["clientHash"]})["messages"]
        return found


@pytest.fixture(scope="module")
def push_service(node_modules: Path) -> Iterator[PushService]:
    command = ["node", str(NODE_DIRECTORY / "webpush_service.js"), str(node_modules)]
    environment = {"PATH": os.environ["PATH"]}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        yield PushService(json.loads(process.stdout.readline())["port"])
        process.terminate()


@pytest.mark.parametrize("name", CONTENTS)
def test_a_push_service_verifies_us_and_its_browser_reads_the_message(
    push_service: PushService, vapid_key: ec.EllipticCurvePrivateKey, name: str
) -> None:
    subscription = push_service.subscribe(vapid_key)
    outcome, sent = Sender(vapid_key).send(subscription, CONTENTS[name])
    assert (outcome.outcome_class, outcome.status) == (OutcomeClass.ACCEPTED, 201)
    assert push_service.messages(subscription) == [sent.decode()]


def test_a_subscription_without_a_key_is_served_without_vapid(push_service: PushService) -> None:
    subscription = push_service.subscribe(None)
    outcome, sent = Sender(None).send(subscription, CONTENTS["alert"])
    assert outcome.accepted
    assert push_service.messages(subscription) == [sent.decode()]


def test_another_key_than_the_subscriptions_is_refused(
    push_service: PushService, vapid_key: ec.EllipticCurvePrivateKey
) -> None:
    subscription = push_service.subscribe(vapid_key)
    for key in (ec.generate_private_key(ec.SECP256R1()), None):
        outcome, _ = Sender(key).send(subscription, CONTENTS["alert"])
        assert (outcome.accepted, outcome.status) == (False, 400)
    assert push_service.messages(subscription) == []


def test_a_browser_with_other_keys_cannot_read_it(
    push_service: PushService, vapid_key: ec.EllipticCurvePrivateKey
) -> None:
    subscription = push_service.subscribe(vapid_key)
    elsewhere = push_service.subscribe(vapid_key)
    outcome, _ = Sender(vapid_key).send({**subscription, "keys": elsewhere["keys"]}, CONTENTS["alert"])
    assert (outcome.outcome_class, outcome.status) == (OutcomeClass.PAYLOAD, 400)
    assert push_service.messages(subscription) == []


def test_an_expired_subscription_is_dead(push_service: PushService, vapid_key: ec.EllipticCurvePrivateKey) -> None:
    subscription = push_service.subscribe(vapid_key)
    push_service.ask(f"/expire-subscription/{subscription['clientHash']}", {})
    outcome, _ = Sender(vapid_key).send(subscription, CONTENTS["alert"])
    assert (outcome.outcome_class, outcome.status, outcome.code) == (OutcomeClass.TOKEN_DEAD, 410, 911)
    assert push_service.messages(subscription) == []


# pywebpush


def _pywebpush(services: Services, subscription: dict[str, Any], key: ec.EllipticCurvePrivateKey) -> tuple[int, str]:
    """Return the status that pywebpush saw, and what it would wait for before another try."""
    pywebpush = pytest.importorskip("pywebpush", reason=_MISSING)
    py_vapid = pytest.importorskip("py_vapid", reason=_MISSING)
    requests = pytest.importorskip("requests", reason=_MISSING)
    with requests.Session() as session:
        session.verify = str(services.ca_file)
        session.trust_env = False
        try:
            answer = pywebpush.webpush(
                {name: subscription[name] for name in ("endpoint", "keys")},
                data='{"title":"Hello"}',
                vapid_private_key=py_vapid.Vapid02(key),
                vapid_claims={"sub": CONTACT},
                ttl=60,
                timeout=30,
                requests_session=session,
            )
        except pywebpush.WebPushException as error:
            return error.status_code, error.retry_after or ""
        return answer.status_code, ""


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"status": 201}, OutcomeClass.ACCEPTED),
        ({"status": 400}, OutcomeClass.PAYLOAD),
        ({"status": 404}, OutcomeClass.TOKEN_DEAD),
        ({"status": 410}, OutcomeClass.TOKEN_DEAD),
        ({"status": 413}, OutcomeClass.PAYLOAD),
        ({"status": 429, "headers": {"retry-after": "7"}}, OutcomeClass.THROTTLED),
    ],
    ids=lambda value: str(value["status"]) if isinstance(value, dict) else "",
)
def test_pywebpush_sees_of_the_simulator_what_we_see(
    services: Services, vapid_key: ec.EllipticCurvePrivateKey, answer: dict[str, object], expected: OutcomeClass
) -> None:
    key = encoded(point_of(vapid_key.public_key()))
    subscription = services.post("/subscriptions", vapid_public_key=key)
    services.script(subscription["target"], {**answer, "times": 2})
    status, wait = _pywebpush(services, subscription, vapid_key)
    outcome, sent = Sender(vapid_key, services.ca_file).send(subscription, CONTENTS["alert"])
    assert (outcome.outcome_class, outcome.status) == (expected, status)
    if wait:
        assert outcome.retry_after == float(wait)
    theirs, ours = services.requests(subscription["target"])
    assert (theirs["body"], ours["body"]) == ({"title": "Hello"}, json.loads(sent))


def test_pywebpush_and_we_are_refused_with_another_key(
    services: Services, vapid_key: ec.EllipticCurvePrivateKey
) -> None:
    somebody_else = services.post("/subscriptions")["keys"]["p256dh"]
    subscription = services.post("/subscriptions", vapid_public_key=somebody_else)
    assert _pywebpush(services, subscription, vapid_key)[0] == 403
    outcome, _ = Sender(vapid_key, services.ca_file).send(subscription, CONTENTS["alert"])
    assert (outcome.outcome_class, outcome.status, outcome.code) == (OutcomeClass.MISMATCH, 403, 912)


def test_py_vapid_verifies_our_tokens(vapid_key: ec.EllipticCurvePrivateKey) -> None:
    py_vapid = pytest.importorskip("py_vapid", reason=_MISSING)
    ours = webpush.vapid(vapid_key, "https://push.example.net", CONTACT, int(time.time()))
    # Its reader takes the list without the white space that RFC 9110 allows in it, and npm web-push writes.
    assert py_vapid.Vapid02.verify(ours.replace(", ", ","))
    token, point = (part.partition("=")[2] for part in ours.removeprefix("vapid ").split(", "))
    other = encoded(point_of(ec.generate_private_key(ec.SECP256R1()).public_key()))
    assert py_vapid.Vapid02.verify(f"vapid t={token},k={point}")
    assert not py_vapid.Vapid02.verify(f"vapid t={token},k={other}")
