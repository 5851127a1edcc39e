"""What a stranger may cost us: heads, bodies and answers that never end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from starlette.types import Receive, Scope, Send

from wakeline.config import Server, Settings
from wakeline.service import connections, listeners
from wakeline.service.connections import HEAD_SECONDS, LONGEST_HEAD
from wakeline.service.http2_connection import STILL_SECONDS

pytestmark = pytest.mark.anyio

WHOLE = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
FEED = b"GET /feed HTTP/1.1\r\nHost: x\r\n\r\n"
FLOOD = b"GET /flood HTTP/1.1\r\nHost: x\r\n\r\n"
UNREAD = b"POST /unread HTTP/1.1\r\nHost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n"
BODY = b"POST / HTTP/1.1\r\nHost: x\r\ncontent-length: 10\r\n\r\n12345"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the body, but of /unread; answer 200: /feed never ends, /flood is more than any buffer holds."""
    if scope["path"] != "/unread":
        while (await receive()).get("more_body"):
            pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-said", b"yes")]})
    more = scope["path"] in {"/feed", "/flood"}
    await send({"type": "http.response.body", "body": b"hello", "more_body": more})
    while scope["path"] == "/flood":
        await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
        await asyncio.sleep(0)
    while more and (await receive())["type"] != "http.disconnect":
        pass


class Stranger:
    """A client who writes bytes and looks whether it is still connected."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    async def hear(self, end: bytes) -> bytes:
        return await asyncio.wait_for(self.reader.readuntil(end), 20)

    async def is_hung_up_on(self) -> bool:
        with contextlib.suppress(ConnectionError):
            while await asyncio.wait_for(self.reader.read(65536), 20):
                pass
        return True


@pytest.fixture
async def listener(anyio_backend: str) -> AsyncIterator[listeners.Listener]:
    made = listeners.public(app, Settings(server=Server(listen="127.0.0.1:0")))
    made.start()
    yield made
    await made.stop(at_once=True)


Meet = Callable[[], Awaitable[Stranger]]


@pytest.fixture
async def meet(listener: listeners.Listener) -> AsyncIterator[Meet]:
    """Connect strangers, and see all of them off at the end."""
    met: list[Stranger] = []

    async def one() -> Stranger:
        met.append(Stranger(*await asyncio.open_connection("127.0.0.1", listener.port)))
        return met[-1]

    yield one
    for each in met:
        each.writer.close()
        with contextlib.suppress(ConnectionError):
            await each.writer.wait_closed()


def later(listener: listeners.Listener, seconds: float) -> None:
    """Have the listener look at its connections as if so many seconds had passed."""
    listener.sweep(asyncio.get_running_loop().time() + seconds)


async def served(meet: Meet) -> None:
    """Return when the listener has read what was said before: it has served another client since."""
    one = await meet()
    await one.say(WHOLE)
    await one.hear(b"hello")


@pytest.mark.parametrize(
    "said",
    [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: 1", WHOLE + b"GET / HTTP/1.1\r\nX", b"\r\n"],
    ids=["nothing", "half a line", "half a head", "half a second head", "empty lines"],
)
async def test_a_head_that_does_not_come_is_not_waited_for(
    listener: listeners.Listener, meet: Meet, said: bytes
) -> None:
    slow = await meet()
    await slow.say(said)
    if said.startswith(WHOLE):
        await slow.hear(b"hello")
        await slow.say(b"-Slow: 1")
    await served(meet)

    later(listener, HEAD_SECONDS + 1)

    assert await slow.is_hung_up_on()


async def test_a_head_that_drips_is_not_waited_for(listener: listeners.Listener, meet: Meet) -> None:
    slow = await meet()
    for piece in (b"GET / HTTP/1.1\r\n", b"Host: x\r\n", b"X-A: 1\r\n"):
        await slow.say(piece)
        await served(meet)

    later(listener, HEAD_SECONDS + 1)

    assert await slow.is_hung_up_on()


async def test_a_head_without_end_is_431(listener: listeners.Listener, meet: Meet) -> None:
    greedy = await meet()
    await greedy.say(b"GET / HTTP/1.1\r\nHost: x\r\n")
    for _ in range(2 + LONGEST_HEAD // 8000):
        await served(meet)
        await greedy.say(b"X-A: " + b"a" * 8000 + b"\r\n")

    assert (await greedy.hear(b"\r\n")).startswith(b"HTTP/1.1 431")


async def test_a_body_that_stops_is_not_waited_for(listener: listeners.Listener, meet: Meet) -> None:
    slow = await meet()
    await slow.say(BODY)
    await served(meet)

    later(listener, STILL_SECONDS - 10)
    await slow.say(b"678")
    await served(meet)
    later(listener, STILL_SECONDS + 1)

    assert await slow.is_hung_up_on()


async def test_a_body_that_nobody_reads_ends_soon(listener: listeners.Listener, meet: Meet) -> None:
    slow = await meet()
    await slow.say(UNREAD)
    await slow.hear(b"hello")
    await slow.say(b"1\r\na\r\n")
    await served(meet)

    later(listener, HEAD_SECONDS + 1)

    assert await slow.is_hung_up_on()


async def until_nothing_goes_out(listener: listeners.Listener, meet: Meet) -> None:
    """Return when the buffers of a client that fetches nothing are full, and ours as well: it has not moved for a while."""
    unsent: list[int] = []
    while not any(unsent[-20:]) or unsent[-20:] != unsent[-1:] * 20:
        await served(meet)
        unsent.append(max(one.transport.get_write_buffer_size() for one in listener._server.server_state.connections))


async def test_an_answer_that_nobody_fetches_is_given_up(listener: listeners.Listener, meet: Meet) -> None:
    slow = await meet()
    await slow.say(FLOOD)
    await slow.hear(b"hello")
    await until_nothing_goes_out(listener, meet)

    later(listener, 1)
    later(listener, STILL_SECONDS + 2)

    assert await slow.is_hung_up_on()


async def test_who_waits_for_us_or_is_silent_between_requests_stays(listener: listeners.Listener, meet: Meet) -> None:
    follower, idle = await meet(), await meet()
    await follower.say(FEED)
    await follower.hear(b"hello")
    await idle.say(WHOLE)
    await idle.hear(b"hello")

    later(listener, 3600)
    await idle.say(WHOLE)

    assert b"hello" in await idle.hear(b"hello")
    assert not follower.reader.at_eof()


async def test_strangers_leave_descriptors_for_what_we_do_ourselves(
    meet: Meet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "most_connections", lambda: 1)
    first = await meet()
    await first.say(FEED)
    await first.hear(b"hello")

    second = await meet()
    await second.say(WHOLE)

    assert await second.is_hung_up_on()
    assert not first.reader.at_eof()
