"""The provider of external push URIs against a program that notes what it is asked and answers as told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from wakeline import config
from wakeline.model.credential import Credential, CredentialSecret
from wakeline.model.errors import ConfigError
from wakeline.model.notification import Alert, Call, Content, PushType
from wakeline.model.outcome import Action, OutcomeClass
from wakeline.model.route import Environment, ProviderKind, Route
from wakeline.ports import Sender
from wakeline.providers import HttpProvider
from wakeline.wire.credential_file import Expectation, inspect

if TYPE_CHECKING:
    from conformance.providers.conftest import Rig

pytestmark = pytest.mark.anyio

RING = Content(type=PushType.CALL, call=Call(id="c1", caller="Alice"), data={"from-uri": "sip:alice@example.org"})
PHONE = "type=apple&token=bb&app-id=org.x.prod&call.token=aa&call.app-id=org.x.voip.prod"
OWN = config.Http(allow_private=True, allow_http=True, request_timeout=30.0)


class Program:
    """Somebody's program behind an external push URI."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, bytes, str]] = []
        self.statuses: list[int] = []
        self.port = 0
        self._writers: list[asyncio.StreamWriter] = []

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Program]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self
            for writer in self._writers:  # nobody may find one open once its loop is gone
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                method, target, _ = head.split(" ", 2)
                fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
                body = await reader.readexactly(int(fields.get("content-length", "0")))
                self.requests.append((method, target, body, fields.get("content-type", "")))
                status = self.statuses.pop(0) if self.statuses else 200
                writer.write(b"HTTP/1.1 %d X\r\nlocation: /elsewhere\r\ncontent-length: 2\r\n\r\nok" % status)
        writer.close()

    def credential(self, query: str, method: str = "GET") -> tuple[Credential, CredentialSecret]:
        uri = f"http://127.0.0.1:{self.port}/push/$event?{query}"
        made = inspect(msgspec.json.encode({"external_push_uri": uri, "method": method}), Expectation(now=0, topics=()))
        assert made.facts is not None
        assert made.secret is not None
        return made.facts, made.secret


@pytest.fixture
async def program(anyio_backend: str) -> AsyncIterator[Program]:
    async with Program().running() as running:
        yield running


def opened(rig: Rig, credential: tuple[Credential, CredentialSecret], settings: config.Http = OWN) -> Sender:
    route = Route(id=4, app=1, provider=ProviderKind.HTTP, environment=Environment.PRODUCTION)
    return rig._keep(HttpProvider(settings, rig.clock).open(route, *credential, lambda: None))


async def test_a_call_fills_in_every_placeholder_wherever_it_stands(rig: Rig, program: Program) -> None:
    query = "a=$type&b=$token&c=$app-id&d=$call-id&e=$from-uri&f=$from-name&g=$token&h=$callid"
    results = await rig.send(opened(rig, program.credential(query)), PHONE, content=RING)
    assert (results.accepted, results.only.status) == ([0], 200)
    [(method, target, body, _)] = program.requests
    assert (method, urlsplit(target).path, body) == ("GET", "/push/call", b"")
    assert {name: value for name, [value] in parse_qs(urlsplit(target).query).items()} == {
        "a": "apple",
        "b": "aa",
        "c": "org.x.voip.prod",
        "d": "c1",
        "e": "sip:alice@example.org",
        "f": "Alice",
        "g": "aa",
        "h": "$callid",
    }


async def test_the_text_of_a_message_is_posted_and_nothing_is_posted_without_one(rig: Rig, program: Program) -> None:
    sender = opened(rig, program.credential("t=$token", "POST"))
    hello = Content(type=PushType.ALERT, alert=Alert(title="Al", body="Höllo"))
    assert (await rig.send(sender, PHONE, content=hello)).accepted == [0]
    assert (await rig.send(sender, PHONE, content=Content())).accepted == [0]
    assert program.requests == [
        ("POST", "/push/message?t=bb", "Höllo".encode(), "text/plain; charset=utf-8"),
        ("POST", "/push/?t=bb", b"", ""),
    ]


async def test_each_recipient_hears_what_became_of_its_own_push(rig: Rig, program: Program) -> None:
    program.statuses = [410, 302, 503, 401]
    settings = msgspec.structs.replace(OWN, max_connections=1)
    sender = opened(rig, program.credential("t=$token"), settings)
    results = await rig.send(sender, *(f"token=t{number}" for number in range(5)), "no phone", bulk=True)
    assert results.accepted == [4]
    assert {at: (outcome.action, outcome.code) for at, outcome in results.others.items()} == {
        0: (Action.RETIRE, 911),
        1: (Action.RETRY, 902),
        2: (Action.RETRY, 902),
        3: (Action.HOLD, 904),
        5: (results.others[5].action, 911),
    }
    assert len(program.requests) == 5


async def test_the_guard_keeps_pushes_from_private_addresses_and_plain_http(rig: Rig, program: Program) -> None:
    for settings in (config.Http(allow_http=True), config.Http(allow_private=True)):
        results = await rig.send(opened(rig, program.credential("t=$token"), settings), PHONE)
        assert results.only.outcome_class is OutcomeClass.REFUSED
    assert program.requests == []


async def test_a_check_reaches_the_program_and_wakes_nobody(rig: Rig, program: Program) -> None:
    sender = opened(rig, program.credential("t=$token"))
    found = await sender.check()
    assert (found.accepted, [target for _, target, _, _ in program.requests]) == (True, ["/"])
    facts, secret = program.credential("t=$token")
    gone = msgspec.structs.replace(secret, private_key=secret.private_key.replace(str(program.port).encode(), b"1"))
    assert not (await opened(rig, (facts, gone)).check()).accepted


async def test_a_preview_shows_what_is_filled_in_and_neither_key_nor_token(rig: Rig, program: Program) -> None:
    shipment = rig.shipment(f"token={'ab' * 32}&type=apple", content=RING)
    facts, _ = program.credential("key=secret&t=$token")
    route = Route(id=4, app=1, provider=ProviderKind.HTTP, environment=Environment.PRODUCTION)
    [recipient] = shipment.recipients
    shown = HttpProvider(OWN, rig.clock).preview(shipment.notification, route, facts, recipient, 0)
    assert dict(shown.headers)["$call-id"] == "c1"
    assert "ab" * 32 not in repr(shown)
    assert "secret" not in repr(shown)


async def test_an_unusable_proxy_is_told(rig: Rig, program: Program) -> None:
    with pytest.raises(ConfigError):
        opened(rig, program.credential("t=$token"), config.Http(proxy="nonsense"))
