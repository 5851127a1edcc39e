"""Our webhooks, judged by the receivers that people have: PyPI standardwebhooks and npm standardwebhooks, over HTTP."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from interop.clients import NODE_DIRECTORY
from stories.clock import START
from wakeline.config import Webhooks
from wakeline.model.event import Event, EventData, EventType, ReceivedResponse, SentRequest
from wakeline.model.outcome import Action, Outcome, OutcomeClass
from wakeline.model.webhook import Endpoint, EndpointSecret, Shape
from wakeline.providers.webhook import WebhookPost
from wakeline.service.clock import SystemClock
from wakeline.storage.memory.registers import MemoryApps, MemoryCredentials
from wakeline.storage.sealing import Sealer
from wakeline.transport.guard import Guard, system_resolver
from wakeline.transport.http import GuardedClient
from wakeline.wire.standard_webhooks import secret_text
from webhook_receiver import Receiver, receiving

pytestmark = pytest.mark.anyio

OLD, NEW, FOREIGN = b"o" * 24, b"n" * 64, b"f" * 32
FAILED = Outcome(
    outcome_class=OutcomeClass.TOKEN_DEAD, action=Action.RETIRE, code=911, status=410, reason="Unregistered"
)
SENT = SentRequest(
    method="POST", url="https://api.push.apple.com/3/device/…abc123", headers=(("apns-topic", "a.b"),), body="{}"
)
EVERY_EVENT = [
    Event(
        type=event_type,
        at=START + number,
        app="acme",
        seq=number,
        data=EventData(
            users=("Ünal ✉",),
            note='"quoted"\n',
            outcome=FAILED,
            request=SENT,
            response=ReceivedResponse(code=410, body="\u2028"),
        ),
    )
    for number, event_type in enumerate(EventType, 1)
]


@pytest.fixture
async def post() -> AsyncIterator[WebhookPost]:
    async with GuardedClient(Guard(resolve=system_resolver, allow_private=True, allow_http=True)) as http:
        registers = {"apps": MemoryApps(), "credentials": MemoryCredentials(Sealer(b"k" * 32))}
        yield WebhookPost(Webhooks(), SystemClock(), http, **registers)  # type: ignore[arg-type]  # each by its name


def secrets(*values: bytes) -> list[EndpointSecret]:
    return [EndpointSecret(value=value) for value in values]


async def tell(post: WebhookPost, url: str, *values: bytes, shape: Shape = Shape.STANDARD) -> list[int]:
    endpoint = Endpoint(url=url, id=1, created=START, shape=shape)
    return [(await post.send(endpoint, secrets(*values), event)).status for event in EVERY_EVENT]


@pytest.mark.parametrize("shape", Shape)
@pytest.mark.parametrize("known", [OLD, NEW])
async def test_python_takes_every_event_also_while_a_secret_is_rotated(
    post: WebhookPost, known: bytes, shape: Shape
) -> None:
    receiver = Receiver()
    receiver.secret = secret_text(known)
    with receiving(receiver):
        assert set(await tell(post, receiver.url, NEW, OLD, shape=shape)) == {204}
    assert len(receiver.messages()) == len(EVERY_EVENT)


async def test_python_refuses_what_is_signed_with_another_secret(post: WebhookPost) -> None:
    receiver = Receiver()
    receiver.secret = secret_text(FOREIGN)
    with receiving(receiver):
        assert set(await tell(post, receiver.url, NEW, OLD)) == {401}


@pytest.mark.parametrize("known", [OLD, NEW])
async def test_node_takes_every_event_also_while_a_secret_is_rotated(
    post: WebhookPost, node_modules: Path, known: bytes
) -> None:
    with node_receiver(node_modules, known) as url:
        assert set(await tell(post, url, NEW, OLD)) == {204}
        told = seen(url)
    assert told["refused"] == []
    assert [one["payload"]["type"] for one in told["taken"]] == [event_type.value for event_type in EventType]
    assert len({one["id"] for one in told["taken"]}) == len(EVERY_EVENT)
    assert told["taken"][0]["payload"]["data"]["users"] == ["Ünal ✉"]


async def test_node_refuses_what_is_signed_with_another_secret(post: WebhookPost, node_modules: Path) -> None:
    with node_receiver(node_modules, FOREIGN) as url:
        assert set(await tell(post, url, NEW, OLD)) == {400}
        assert set(seen(url)["refused"]) == {"No matching signature found"}


@contextlib.contextmanager
def node_receiver(modules: Path, secret: bytes) -> Iterator[str]:
    command = ["node", str(NODE_DIRECTORY / "webhook_receiver.js"), str(modules), secret_text(secret)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/"
        finally:
            process.kill()


def seen(url: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx2.get(url, timeout=30, trust_env=False).json()
    return found
