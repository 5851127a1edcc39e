"""Sockets and messages for tests of the SIP edge: a net of ours with a user that only takes down, and peers that speak plainly."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Sequence
from typing import Self

from wakeline.edges.sip.client_transactions import ClientTransaction, Failure
from wakeline.edges.sip.endpoint import Bind, Endpoint
from wakeline.edges.sip.flows import Address, Flow, Transport
from wakeline.edges.sip.server_transactions import ServerTransaction
from wakeline.edges.sip.transaction_layer import TransactionLayer
from wakeline.wire.sip.framing import Framed, Framer
from wakeline.wire.sip.message import Request, Response, parse
from wakeline.wire.sip.timers import Timers

LOOPBACK = "127.0.0.1"
PATIENCE = 20.0
"""Seconds that something on loopback may take, on a machine that has others to serve."""


class Notes:
    """A transaction user that takes down what it is told; it answers nothing by itself."""

    broken = False

    def __init__(self) -> None:
        self._requests: asyncio.Queue[ServerTransaction] = asyncio.Queue()
        self._acks: asyncio.Queue[Request] = asyncio.Queue()
        self._answers: asyncio.Queue[Response] = asyncio.Queue()
        self._failures: asyncio.Queue[Failure] = asyncio.Queue()
        self._lost: asyncio.Queue[Flow] = asyncio.Queue()
        self._alive: asyncio.Queue[Flow] = asyncio.Queue()

    def request(self, server: ServerTransaction) -> None:
        if self.broken:
            raise ZeroDivisionError("a defect")
        self._requests.put_nowait(server)

    def ack(self, request: Request, flow: Flow) -> None:
        self._acks.put_nowait(request)

    def alive(self, flow: Flow) -> None:
        self._alive.put_nowait(flow)

    def lost(self, flow: Flow) -> None:
        self._lost.put_nowait(flow)

    def answered(self, client: ClientTransaction, response: Response) -> None:
        self._answers.put_nowait(response)

    def failed(self, client: ClientTransaction, failure: Failure) -> None:
        self._failures.put_nowait(failure)

    async def next_request(self) -> ServerTransaction:
        return await asyncio.wait_for(self._requests.get(), PATIENCE)

    async def next_ack(self) -> Request:
        return await asyncio.wait_for(self._acks.get(), PATIENCE)

    async def next_answer(self) -> Response:
        return await asyncio.wait_for(self._answers.get(), PATIENCE)

    async def next_failure(self) -> Failure:
        return await asyncio.wait_for(self._failures.get(), PATIENCE)

    async def next_lost(self) -> Flow:
        return await asyncio.wait_for(self._lost.get(), PATIENCE)

    async def next_alive(self) -> Flow:
        return await asyncio.wait_for(self._alive.get(), PATIENCE)

    @property
    def unread(self) -> int:
        """How many requests and ACKs were handed up that no test took."""
        return self._requests.qsize() + self._acks.qsize()


class HandClock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Net:
    """Our sockets and transaction layer on loopback, with notes for a user and a clock moved by hand."""

    def __init__(
        self,
        transports: Sequence[Transport] = (Transport.UDP,),
        *,
        server_tls: ssl.SSLContext | None = None,
        client_tls: ssl.SSLContext | None = None,
        room: int = 1000,
        host: str = LOOPBACK,
        port: int = 0,
        public_host: str = "",
    ) -> None:
        self.user = Notes()
        self.clock = HandClock()
        self.layer = TransactionLayer(self.user, clock=self.clock, timers=Timers(), room=room)
        self.endpoint = Endpoint(
            [Bind(transport, Address(host, port)) for transport in transports],
            self.layer,
            clock=self.clock,
            public_host=public_host,
            server_tls=server_tls,
            client_tls=client_tls,
        )
        self.layer.attach(self.endpoint)

    async def __aenter__(self) -> Self:
        await self.endpoint.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.layer.stop()
        await self.endpoint.stop()

    def at(self, transport: Transport) -> int:
        """Return the port of a listener."""
        return next(bind.address.port for bind in self.endpoint.bound if bind.transport is transport)

    def pass_time(self, seconds: float) -> None:
        """Move the clock and do what is due, moment by moment."""
        end = self.clock.seconds + seconds
        while self.clock.seconds < end:
            self.clock.seconds = min(end, self.clock.seconds + 0.05)
            self.layer.run_timers()


class Datagrams(asyncio.DatagramProtocol):
    """A peer that speaks UDP. Connections to its port are refused: it is held for TCP as well, and nobody listens there."""

    host = LOOPBACK

    def __init__(self) -> None:
        self._came: asyncio.Queue[bytes] = asyncio.Queue()
        self._transport: asyncio.DatagramTransport | None = None
        self._held: socket.socket | None = None

    async def __aenter__(self) -> Self:
        while self._transport is None:
            self._held = socket.socket()
            self._held.bind((self.host, 0))
            try:
                self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                    lambda: self, local_addr=self._held.getsockname()
                )
            except OSError:  # somebody has this port for UDP
                self._held.close()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._socket.close()
        assert self._held is not None
        self._held.close()

    @property
    def _socket(self) -> asyncio.DatagramTransport:
        assert self._transport is not None
        return self._transport

    @property
    def port(self) -> int:
        port: int = self._socket.get_extra_info("sockname")[1]
        return port

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._came.put_nowait(data)

    def send(self, data: bytes, port: int) -> None:
        self._socket.sendto(data, (LOOPBACK, port))

    async def receive(self) -> bytes:
        return await asyncio.wait_for(self._came.get(), PATIENCE)

    @property
    def unread(self) -> int:
        return self._came.qsize()


def request(
    method: str, branch: str, port: int, *, transport: str = "UDP", to_tag: str = "", more: str = "", body: str = ""
) -> bytes:
    """Return a request of alice to bob, from a port of loopback."""
    tag = f";tag={to_tag}" if to_tag else ""
    number = "1 INVITE" if method == "INVITE" else f"1 {method}"
    return (
        f"{method} sip:bob@example.org SIP/2.0\r\n"
        f"Via: SIP/2.0/{transport} 127.0.0.1:{port};branch={branch};rport\r\n"
        "Max-Forwards: 70\r\n"
        "From: <sip:alice@example.org>;tag=a1\r\n"
        f"To: <sip:bob@example.org>{tag}\r\n"
        f"Call-ID: {branch.removeprefix('z9hG4bK')}@127.0.0.1\r\n"
        f"CSeq: {number}\r\n"
        f"{more}"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


class Stream:
    """A peer that speaks TCP or TLS; it takes its answers one by one."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self._port = port
        self._tls = tls
        self._framer = Framer()
        self._framed: list[Framed] = []
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        name = "sip.example.org" if self._tls else None
        self._streams = await asyncio.open_connection(LOOPBACK, self._port, ssl=self._tls, server_hostname=name)
        return self

    async def __aexit__(self, *_: object) -> None:
        await _closed(self._both[1])

    @property
    def _both(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        assert self._streams is not None
        return self._streams

    @property
    def port(self) -> int:
        port: int = self._both[1].get_extra_info("sockname")[1]
        return port

    @property
    def certificate(self) -> bytes | None:
        """That of the other side, as DER."""
        certificate: bytes | None = self._both[1].get_extra_info("ssl_object").getpeercert(binary_form=True)
        return certificate

    def send(self, data: bytes) -> None:
        self._both[1].write(data)

    async def receive(self) -> bytes:
        """Return the next message. Raises EOFError at the end."""
        while not self._framed:
            data = await asyncio.wait_for(self._both[0].read(65_536), PATIENCE)
            if not data:
                raise EOFError
            self._framed += self._framer.feed(data)
        message = self._framed.pop(0)
        assert isinstance(message, bytes)
        return message

    async def receive_bytes(self, count: int) -> bytes:
        return await asyncio.wait_for(self._both[0].readexactly(count), PATIENCE)

    async def receive_until(self, end: bytes) -> bytes:
        return await asyncio.wait_for(self._both[0].readuntil(end), PATIENCE)

    async def end(self) -> None:
        """Wait until the other side has closed, whether it read all that was sent or not."""
        with contextlib.suppress(ConnectionResetError):
            while await asyncio.wait_for(self._both[0].read(65_536), PATIENCE):
                pass


class Accepting:
    """A peer that listens on TCP and reads lines."""

    def __init__(self) -> None:
        self._lines: asyncio.Queue[bytes] = asyncio.Queue()
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._read, LOOPBACK, 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            await _closed(writer)

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with contextlib.suppress(OSError):
            while line := await reader.readline():
                self._lines.put_nowait(line)
        writer.close()

    async def line(self) -> bytes:
        return await asyncio.wait_for(self._lines.get(), PATIENCE)


async def _closed(writer: asyncio.StreamWriter) -> None:
    """Close a connection, and let nobody find it open once its loop is gone."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def response_to(data: bytes, status: str, tag: str = "b1") -> bytes:
    """Return a peer's response to a request of ours."""
    asked = parse(data)
    response = Response.make(int(status[:3]), status[4:])
    for name in ("via", "from", "to", "call-id", "cseq"):
        response.append_lines(name, asked.lines(name))
    response.set("to", f"{asked.get('to')};tag={tag}")
    return bytes(response)


def our_request(method: str = "INVITE", body: str = "") -> Request:
    """Return a request to send on."""
    made = parse(request(method, "z9hG4bKfrom-a", 5999, body=body))
    assert isinstance(made, Request)
    return made
