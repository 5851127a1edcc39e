"""The hot route below ASGI: whatever is asked, its answers are those of the application, byte by byte."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Callable, Sequence

import msgspec
import pytest
from structlog.testing import capture_logs

from unit.edges.rest.gateway import Gateway
from unit.service.served import LAST, Served, comparable, key_text, served
from wakeline import ports
from wakeline.config import Settings
from wakeline.config.tree import QueueSection
from wakeline.edges.rest.reading import BODY_LIMIT
from wakeline.model.errors import StoreUnavailable
from wakeline.observe.health import Phase
from wakeline.ports.bitrix24_connector import CallBegan, CallEnded

pytestmark = pytest.mark.anyio

Pair = tuple[Served, Served]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def pair(anyio_backend: str) -> AsyncIterator[Pair]:
    """Two gateways that live through the same, one of them with the hot route below ASGI."""
    async with served(hot=True) as hot, served(hot=False) as plain:
        yield hot, plain


PATH = "/v1/apps/acme-chat/notifications"
BODY = b'{"to":{"users":["alice"]},"alert":{"title":"Hi"}}'
OTHER = b'{"to":{"users":["alice"]},"alert":{"title":"Ho"}}'
CALL = b'{"to":{"users":["alice"]},"call":{"id":"c1","caller":"4930123456"}}'
TYPE = "Content-Type: application/json"


def ask(
    body: bytes = BODY,
    *more: str,
    first: str = f"POST {PATH} HTTP/1.1",
    key: str | None = "send",
    kind: str = TYPE,
    length: bool = True,
) -> bytes:
    """Return a request as bytes; `more` are further lines of its head."""
    lines = [first, "Host: x", *([f"Authorization: Bearer {key_text(key)}"] if key else ()), kind, *more]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "".join(f"{line}\r\n" for line in lines if line).encode("latin-1") + b"\r\n" + body


def chunked(*pieces: bytes, trailer: bytes = b"") -> bytes:
    """Return a request whose body has no announced length."""
    said = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return ask(b"", "Transfer-Encoding: chunked", length=False) + said + b"0\r\n" + trailer + b"\r\n"


class Case(msgspec.Struct, frozen=True):
    """What a client says, in pieces; how many answers it gets; how many of its requests ASGI serves."""

    name: str
    said: tuple[bytes, ...]
    by_asgi: int = 0
    answers: int = 1
    prepare: Callable[[Gateway], None] | None = None
    settings: Settings | None = None


def draining(gateway: Gateway) -> None:
    gateway.health.phase = Phase.DRAINING


def failing(error: Exception) -> Callable[[Gateway], None]:
    """Have the store raise at each commit."""

    async def accept(_: Sequence[ports.Admission]) -> list[ports.Committed]:
        raise error

    return lambda gateway: setattr(gateway.store.acceptance, "accept", accept)


def split(request: bytes, *at: int) -> tuple[bytes, ...]:
    """Cut a request into pieces."""
    cuts = [0, *at, len(request)]
    return tuple(request[start:end] for start, end in itertools.pairwise(cuts))


class Journal:
    """Keeps the calls of one user; `failure` is raised instead of noting one."""

    def __init__(self, user: str, failure: Exception | None = None) -> None:
        self._user = user
        self._failure = failure
        self.noted: list[CallBegan] = []

    def keeps(self, _app: int, user: str) -> bool:
        return user == self._user

    async def began(self, calls: Sequence[CallBegan]) -> None:
        if self._failure is not None:
            raise self._failure
        self.noted += calls

    async def ended(self, call: CallEnded) -> bool:
        return any(each.call_id == call.call_id for each in self.noted)


def journal(user: str, failure: Exception | None = None) -> Callable[[Gateway], None]:
    """Have somebody keep a record of the calls of a user."""
    return lambda gateway: setattr(gateway.ports, "calls", Journal(user, failure))


HEAD = len(ask()) - len(BODY)
FULL = Settings(queue=QueueSection(max_pending=1))

HOT = (
    Case("good", (ask(),)),
    Case("good, twice on one connection", (ask(), ask(OTHER)), answers=2),
    Case("a type with parameters", (ask(kind="CONTENT-TYPE: Application/JSON ; charset=utf-8"),)),
    Case("no type", (ask(kind=""),)),
    Case("a request id", (ask(BODY, "X-Request-ID: order-7"),)),
    Case("a request id that is none", (ask(BODY, "X-Request-Id: a b"),)),
    Case("names in capitals", (ask().replace(b"Authorization", b"AUTHORIZATION").replace(b"Host", b"HOST"),)),
    Case("a wrong header last", (ask(BODY, "Authorization: Basic eA=="),), by_asgi=1),
    Case("the right header last", (ask(BODY, f"Authorization: bearer  {key_text('send')} ", key="gone"),)),
    Case("text that is not ASCII in a header", (ask(BODY, "X-Name: J\xf6rg"),)),
    Case("a call", (ask(CALL),)),
    Case("a large header", (ask(BODY, "X-Large: " + "a" * 40_000),)),
    Case("many headers", (ask(BODY, *(f"X-{number}: {number}" for number in range(500))),)),
    Case("keep-alive said", (ask(BODY, "Connection: keep-alive"),)),
    Case("a slow body", split(ask(), HEAD, HEAD + 1, HEAD + 20)),
    Case("a slow head", split(ask(), 3, 20, 60, HEAD - 2)),
    Case("nobody of that name", (ask(BODY.replace(b"alice", b"bob")),)),
    Case("an idempotency key", (ask(BODY, "Idempotency-Key: k0"),)),
    Case("a replay", (ask(BODY, "Idempotency-Key: k1"), ask(BODY, "Idempotency-Key: k1")), answers=2),
    Case("a key with another body", (ask(BODY, "Idempotency-Key: k2"), ask(OTHER, "Idempotency-Key: k2")), answers=2),
    Case("no audience", (ask(b'{"to":{},"alert":{"title":"Hi"}}'),)),
    Case("nothing that can be sent to", (ask(b'{"to":{"targets":[{"kind":"webpush","value":"x"}]},"data":{}}'),)),
    Case("too long a push", (ask(json.dumps({"to": {"users": ["alice"]}, "data": {"a": "a" * 9000}}).encode()),)),
    Case("the longest body", (ask(BODY + b" " * (BODY_LIMIT - len(BODY))),)),
    Case("garbage behind it", (ask() + b"\x00\x01 garbage\r\n\r\n",)),
)

LEFT = (
    Case("pipelined", (b"".join(ask(BODY, f"X-Request-Id: r{n}") for n in range(3)),), by_asgi=2, answers=3),
    Case(
        "pipelined with others",
        (ask() + ask(b"", first="GET /v1/apps HTTP/1.1") + ask(OTHER) + ask(b"{}"),),
        by_asgi=3,
        answers=4,
    ),
    Case("pipelined in pieces", split(ask() + ask(OTHER), len(ask()) + 30), answers=2),
    Case("closing", (ask(BODY, "Connection: close"),), by_asgi=1),
    Case("HTTP/1.0", (ask(first=f"POST {PATH} HTTP/1.0"),), by_asgi=1),
    Case("HTTP/1.0 keep-alive", (ask(BODY, "Connection: keep-alive", first=f"POST {PATH} HTTP/1.0"),), by_asgi=1),
    Case("HTTP/3.7", (ask(first=f"POST {PATH} HTTP/3.7"),)),
    Case("Expect: 100-continue", (ask(BODY, "Expect: 100-continue"),), by_asgi=1),
    Case("Expect, and the body later", split(ask(BODY, "Expect: 100-continue"), HEAD + 22), by_asgi=1),
    Case("Upgrade: h2c", (ask(BODY, "Connection: Upgrade", "Upgrade: h2c"),), by_asgi=1),
    Case("HEAD", (ask(b"", first=f"HEAD {PATH} HTTP/1.1") + LAST,), by_asgi=1, answers=0),
    Case("GET", (ask(b"", first="GET /v1/apps/acme-chat HTTP/1.1", key="read"),), by_asgi=1),
    Case("PUT", (ask(first=f"PUT {PATH} HTTP/1.1"),), by_asgi=1),
    Case("chunked", (chunked(BODY[:9], BODY[9:]),), by_asgi=1),
    Case("chunked with a trailer", (chunked(BODY, trailer=b"X-Late: yes\r\n"),), by_asgi=1),
    Case("chunked, too long", (chunked(b" " * 600_000, b" " * 600_000),), by_asgi=1),
    Case("chunked and a length", (chunked(BODY).replace(b"Host: x", b"Content-Length: 5\r\nHost: x"),)),
    Case("announced too long", (ask(BODY).replace(b"Content-Length: ", b"Content-Length: 9999999"),), by_asgi=1),
    Case("a length that is none", (ask(BODY).replace(b"Content-Length: ", b"Content-Length: x"),)),
    Case("two lengths", (ask(BODY, "Content-Length: 3"),)),
    Case("no body", (ask(b""),), by_asgi=1),
    Case("no body and no length", (ask(b"", length=False),), by_asgi=1),
    Case("not UTF-8", (ask(b'{"to":{"users":["\xff"]}}'),), by_asgi=1),
    Case("not JSON", (ask(b"{to: alice}"),), by_asgi=1),
    Case("not JSON, slowly, then good", (*split(ask(b"{to: alice}"), HEAD, HEAD + 3), ask()), by_asgi=1, answers=2),
    Case("an unknown field", (ask(b'{"too":{}}'),), by_asgi=1),
    Case("deeply nested", (ask(b"[" * 100_000),), by_asgi=1),
    Case("no key", (ask(key=None),), by_asgi=1),
    Case("an unknown key", (ask(key="none"),), by_asgi=1),
    Case("an unknown key, slowly, then good", (*split(ask(key="none"), HEAD), ask()), by_asgi=1, answers=2),
    Case("a revoked key", (ask(key="gone"),), by_asgi=1),
    Case("an expired key", (ask(key="late"),), by_asgi=1),
    Case("a key without the scope", (ask(key="read"),), by_asgi=1),
    Case("a key of another app", (ask(key="else"),), by_asgi=1),
    Case("a phone's token", (ask(BODY, "Authorization: Bearer wkd_x.y", key=None),), by_asgi=1),
    Case("an app that does not exist", (ask(first="POST /v1/apps/nobody/notifications HTTP/1.1"),), by_asgi=1),
    Case("a quoted path", (ask(first="POST /v1/apps/acme%2Dchat/notifications HTTP/1.1"),), by_asgi=1),
    Case("a path with a slash more", (ask(first=f"POST {PATH}/ HTTP/1.1"),), by_asgi=1),
    Case("a path with two slashes", (ask(first="POST //v1/apps/acme-chat/notifications HTTP/1.1"),), by_asgi=1),
    Case("a whole URL", (ask(first=f"POST http://x{PATH} HTTP/1.1"),), by_asgi=1),
    Case("validate_only", (ask(first=f"POST {PATH}?validate_only=true HTTP/1.1"),), by_asgi=1),
    Case("an unknown query", (ask(first=f"POST {PATH}?a=1 HTTP/1.1"),), by_asgi=1),
    Case("an empty query", (ask(first=f"POST {PATH}? HTTP/1.1"),), by_asgi=1),
    Case("NDJSON", (ask(BODY + b"\n" + OTHER, kind="Content-Type: application/x-ndjson"),), by_asgi=1),
    Case("a form", (ask(kind="Content-Type: application/x-www-form-urlencoded"),), by_asgi=1),
    Case("an unread type", (ask(kind="Content-Type: text/xml"),), by_asgi=1),
    Case("a bad idempotency key", (ask(BODY, "Idempotency-Key: " + "k" * 300),), by_asgi=1),
    Case("garbage", (b"\x16\x03\x01 no HTTP\r\n\r\n",)),
)

TROUBLE = (
    Case("a full queue", (ask(), ask(OTHER)), answers=2, settings=FULL),
    Case("a store that is away", (ask(),), prepare=failing(StoreUnavailable("the disk is full"))),
    Case("a defect", (ask(),), prepare=failing(ZeroDivisionError())),
    Case("a gateway that stops", (ask(),), by_asgi=1, prepare=draining),
)
NOTED = (
    Case("a call that is noted", (ask(CALL),), by_asgi=1, prepare=journal("alice")),
    Case("a call of another user", (ask(CALL),), prepare=journal("bob")),
    Case("no call", (ask(),), prepare=journal("alice")),
    Case("a call without a number", (ask(CALL.replace(b"4930123456", b"Carol")),), prepare=journal("alice")),
    Case("a call not noted", (ask(CALL),), by_asgi=1, prepare=journal("alice", StoreUnavailable("the disk is full"))),
    Case("a journal that is broken", (ask(CALL),), by_asgi=1, prepare=journal("alice", ZeroDivisionError())),
)
CASES = (*HOT, *LEFT)


async def told(one: Served, case: Case) -> tuple[bytes, int, list[str]]:
    """Return what a listener answers, how many deliveries it took, and what ASGI served."""
    before = await one.gateway.store.queue.pending()
    one.by_asgi.clear()
    if case.prepare is not None:
        case.prepare(one.gateway)
    heard = await one.transcript(case.said, case.answers)
    return comparable(heard), await one.gateway.store.queue.pending() - before, list(one.by_asgi)


def check(case: Case, hot: tuple[bytes, int, list[str]], plain: tuple[bytes, int, list[str]]) -> None:
    assert hot[:2] == plain[:2]
    assert hot[0].startswith(b"HTTP/1.1 ")
    assert len(hot[2]) == case.by_asgi, hot[2]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_both_ways_answer_alike_byte_by_byte(pair: Pair, case: Case) -> None:
    hot, plain = pair

    check(case, await told(hot, case), await told(plain, case))


@pytest.mark.parametrize("case", TROUBLE, ids=lambda case: case.name)
async def test_both_ways_tell_of_trouble_alike(case: Case) -> None:
    both = served(hot=True, settings=case.settings), served(hot=False, settings=case.settings)
    async with both[0] as hot, both[1] as plain:
        with capture_logs():
            check(case, await told(hot, case), await told(plain, case))


@pytest.mark.parametrize("case", NOTED, ids=lambda case: case.name)
async def test_both_ways_note_calls_alike(case: Case) -> None:
    async with served(hot=True) as hot, served(hot=False) as plain:
        with capture_logs():
            check(case, await told(hot, case), await told(plain, case))
        assert noted(hot) == noted(plain) == (["c1"] if case.name == "a call that is noted" else [])


def noted(one: Served) -> list[str]:
    """Return the calls that a journal was told of."""
    assert isinstance(one.gateway.ports.calls, Journal)
    return [call.call_id for call in one.gateway.ports.calls.noted]
