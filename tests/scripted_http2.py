"""A push service in this process, driven by the `h2` library, that a test scripts request by request."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple, cast

import trustme
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, RequestReceived, StreamEnded
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from wakeline.transport.http2_connect import Origin


class Received(NamedTuple):
    """A whole request as the server saw it."""

    session: Session
    stream: int
    path: str
    headers: dict[str, str]
    body: bytes


Script = Callable[[Received], None]


class Session(asyncio.Protocol):
    """One connection of the server."""

    transport: asyncio.Transport

    def __init__(self, server: Server) -> None:
        self.server = server
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.received: list[Received] = []
        self.lost = False
        self.greeted = False
        self.heard = b""
        """What came in and was not read yet."""
        self._heads: dict[int, dict[str, str]] = {}
        self._bodies: dict[int, bytes] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass
        self.server.sessions.append(self)
        if self.server.on_connect is not None:
            self.server.on_connect(self)
            return
        self.greet()

    def greet(self) -> None:
        streams = {SettingCodes.MAX_CONCURRENT_STREAMS: self.server.max_streams}
        self.h2.local_settings = Settings(client=False, initial_values=streams)
        self.h2.initiate_connection()
        self.greeted = True
        self.flush()
        if self.heard:
            self.data_received(b"")

    def data_received(self, data: bytes) -> None:
        self.heard += data
        if self.server.deaf or not self.greeted:
            return
        self._read(self.heard)
        self.heard = b""

    def _read(self, data: bytes) -> None:
        try:
            events = self.h2.receive_data(data)
        except ProtocolError as error:
            self.server.complaints.append(repr(error))
            self.flush()
            self.transport.close()
            return
        for event in events:
            if isinstance(event, RequestReceived):
                assert event.headers is not None
                self._heads[event.stream_id] = {str(name): str(value) for name, value in event.headers}
                self._bodies[event.stream_id] = b""
            elif isinstance(event, DataReceived):
                self._bodies[event.stream_id] += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, StreamEnded):
                head = self._heads.pop(event.stream_id)
                body = self._bodies.pop(event.stream_id)
                request = Received(self, event.stream_id, head[":path"], head, body)
                self.received.append(request)
                self.server.received.append(request)
                self.server.script(request)
        self.flush()

    def connection_lost(self, _: Exception | None) -> None:
        self.lost = True

    def flush(self) -> None:
        if not self.lost:
            self.transport.write(self.h2.data_to_send())

    def limit(self, streams: int) -> None:
        self.h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: streams})
        self.flush()

    def goaway(self, last: int, debug: bytes = b"") -> None:
        # h2 refuses to go on after a GOAWAY of its own, and real servers finish what they have begun.
        payload = last.to_bytes(4, "big") + bytes(4) + debug
        self.transport.write(self.h2.data_to_send() + len(payload).to_bytes(3, "big") + b"\x07\0\0\0\0\0" + payload)


def answer(request: Received, status: int = 200, body: bytes = b"") -> None:
    """Answer a request."""
    session = request.session
    with suppress(ProtocolError):  # the client has reset the stream meanwhile
        session.h2.send_headers(request.stream, [(":status", str(status))], end_stream=not body)
        if body:
            session.h2.send_data(request.stream, body, end_stream=True)
    session.flush()


def refuse(request: Received) -> None:
    """Reset a stream unprocessed."""
    request.session.h2.reset_stream(request.stream, ErrorCodes.REFUSED_STREAM)
    request.session.flush()


def keep_silent(request: Received) -> None:
    """Answer nothing."""


class Server:
    """What a test sets and sees. `deaf`: not even read what comes in."""

    def __init__(self, authority: trustme.CA, context: ssl.SSLContext) -> None:
        self.authority = authority
        self.context = context
        self.port = 0
        self.script: Script = answer
        self.max_streams = 100
        self.deaf = False
        self.on_connect: Callable[[Session], None] | None = None
        self.sessions: list[Session] = []
        self.received: list[Received] = []
        self.complaints: list[str] = []

    def origin(self, *, proxy: str = "", context: ssl.SSLContext | None = None, port: int = 0) -> Origin:
        return Origin(
            host="localhost",
            port=port or self.port,
            ssl_context=context or self.client_context(),
            proxy=proxy,
        )

    def client_context(self) -> ssl.SSLContext:
        """A context that trusts this server alone: reading the system's store would take longer than most tests."""
        context = ssl.create_default_context(cadata=self.authority.cert_pem.bytes().decode())
        context.set_alpn_protocols(["h2"])
        return context

    def paths(self) -> list[str]:
        return [request.path for request in self.received]


@asynccontextmanager
async def serving(authority: trustme.CA) -> AsyncIterator[Server]:
    """Run a server on an ephemeral port until the context ends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2"])
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    server = Server(authority, context)
    listener = await asyncio.get_running_loop().create_server(
        lambda: Session(server), "127.0.0.1", 0, ssl=context, ssl_shutdown_timeout=0.5
    )
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for session in server.sessions:
            session.transport.abort()
        await listener.wait_closed()


class LoopTime:
    """The clock of the running loop, which a test may have leap: what is due then happens at once."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._real = loop.time
        self._ahead = 0.0
        loop.time = self  # type: ignore[method-assign]  # the loop asks it for everything that is timed

    def __call__(self) -> float:
        return self._real() + self._ahead

    async def leap(self, seconds: float) -> None:
        """Let time pass, and a few turns of the loop for what is due."""
        self._ahead += seconds
        for _ in range(20):
            await asyncio.sleep(0.001)


async def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until something holds; the test fails if it never does."""
    async with asyncio.timeout(seconds):
        while True:
            if condition():
                return
            await asyncio.sleep(0.002)
