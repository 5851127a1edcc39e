"""The REST edge of a gateway in memory behind the public listener, with its hot route below ASGI or without one."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Sequence

from starlette.types import Receive, Scope, Send

from unit.edges.rest.gateway import Gateway, opened
from wakeline.config import Server, Settings
from wakeline.config.tree import Logs
from wakeline.edges.rest.auth import digest
from wakeline.model.key import ApiKey
from wakeline.model.key import Scope as Right
from wakeline.service import listeners
from wakeline.service.hot_connection import HotConnection

QUIET = Logs()
LOOPBACK = Server(listen="127.0.0.1:0")
LAST = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
_SECONDS = 20.0
_LENGTH = re.compile(rb"content-length: (\d+)")
_DATE = re.compile(rb"date: [^\r]+")
_MADE_ID = re.compile(rb"\b[0-9a-f]{24}\b")


def key_text(name: str) -> str:
    """Return the key of that name: the same in each gateway."""
    return "wk_" + name.ljust(43, "_")


KEYS = (
    ApiKey(id=0, name="", prefix="wk_send", digest=digest(key_text("send")), scopes=(Right.SEND,)),
    ApiKey(id=0, name="", prefix="wk_read", digest=digest(key_text("read")), scopes=(Right.READ,)),
    ApiKey(id=0, name="", prefix="wk_else", digest=digest(key_text("else")), scopes=(Right.SEND,), apps=("else",)),
    ApiKey(id=0, name="", prefix="wk_late", digest=digest(key_text("late")), scopes=(Right.SEND,), expires=1),
    ApiKey(id=0, name="", prefix="wk_gone", digest=digest(key_text("gone")), scopes=(Right.SEND,), revoked=1),
)


class Served:
    """A gateway that listens. `by_asgi`: what the application was asked, as method and path."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.by_asgi: list[str] = []
        self.listener: listeners.Listener

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve by ASGI, and note it."""
        if scope["path"] != "/healthz":
            self.by_asgi.append(f"{scope['method']} {scope['path']}")
        await self.gateway.app(scope, receive, send)

    async def connect(self) -> Client:
        """Return a client."""
        return Client(*await asyncio.open_connection("127.0.0.1", self.listener.port))

    @property
    def connections(self) -> list[HotConnection]:
        """Return the connections that serve the hot route themselves."""
        state = self.listener._server.server_state
        return [one for one in state.connections if isinstance(one, HotConnection)]

    async def read(self) -> None:
        """Return when the listener has read what was said before: it has served another client since."""
        client = await self.connect()
        await client.say(LAST)
        await client.rest()
        await client.leave()

    async def transcript(self, said: Sequence[bytes], answers: int) -> bytes:
        """Say pieces, each once the one before was read; return all that is answered until the connection ends.

        After so many answers (none: the pieces do that) the client asks for the last one, unless it is hung up on.
        """
        client = await self.connect()
        try:
            for piece in said[:-1]:
                await client.say(piece)
                await self.read()
            await client.say(said[-1])
            heard = b""
            for _ in range(answers):
                heard += await client.answer()
            if answers and not client.reader.at_eof() and b"connection: close" not in heard:
                await client.say(LAST)
            return heard + await client.rest()
        finally:
            await client.leave()


class Client:
    """A connection of bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    async def answer(self) -> bytes:
        """Return one answer; less if the connection ends before."""
        try:
            head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), _SECONDS)
            if head.startswith(b"HTTP/1.1 100"):
                return head + await self.answer()
            found = _LENGTH.search(head)
            return head + await asyncio.wait_for(self.reader.readexactly(int(found[1]) if found else 0), _SECONDS)
        except asyncio.IncompleteReadError as error:
            return error.partial

    async def rest(self) -> bytes:
        """Return what comes until the connection ends."""
        return await asyncio.wait_for(self.reader.read(), _SECONDS)

    async def leave(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


def comparable(heard: bytes) -> bytes:
    """Return a transcript without what differs from run to run: dates and ids that were made."""
    return _MADE_ID.sub(b"<id>", _DATE.sub(b"date: <now>", heard))


@contextlib.asynccontextmanager
async def served(
    *, hot: bool, settings: Settings | None = None, server: Server = LOOPBACK, logs: Logs = QUIET
) -> AsyncIterator[Served]:
    """A gateway with an app, a device of user alice, and `KEYS`; it listens as `server` says."""
    gateway = await opened(settings)
    for key in KEYS:
        await gateway.store.api_keys.create(key)
    await gateway.with_app()
    made = Served(gateway)
    bound = Settings(server=server, logs=logs)
    made.listener = listeners.public(made, bound, gateway.app.hot if hot else None)
    made.listener.start()
    try:
        yield made
    finally:
        await made.listener.stop(at_once=True)
        await gateway.client.aclose()
        await gateway.store.close()
