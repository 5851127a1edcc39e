"""Sockets and messages for tests of the SIP edge: a net of ours with a user that only takes down, and peers that speak plainly."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import Self

from wakeline.edges.sip.client_transactions import ClientTransaction, Failure
from wakeline.edges.sip.endpoint import Bind, Endpoint
from wakeline.edges.sip.flows import Address, Flow, Transport
from wakeline.edges.sip.server_transactions import ServerTransaction
from wakeline.edges.sip.transaction_layer import TransactionLayer
from wakeline.wire.sip.message import Request, Response
from wakeline.wire.sip.timers import Timers

LOOPBACK = "127.0.0.1"
PATIENCE = 5.0
"""Seconds that something on loopback may take."""


class Notes:
    """A transaction user that takes down what it is told; it answers nothing by itself."""

    def __init__(self) -> None:
        self._requests: asyncio.Queue[ServerTransaction] = asyncio.Queue()
        self._acks: asyncio.Queue[Request] = asyncio.Queue()
        self._answers: asyncio.Queue[Response] = asyncio.Queue()
        self._failures: asyncio.Queue[Failure] = asyncio.Queue()
        self._lost: asyncio.Queue[Flow] = asyncio.Queue()
        self._alive: asyncio.Queue[Flow] = asyncio.Queue()

    def request(self, server: ServerTransaction) -> None:
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
    ) -> None:
        self.user = Notes()
        self.clock = HandClock()
        self.layer = TransactionLayer(self.user, clock=self.clock, timers=Timers(), room=room)
        self.endpoint = Endpoint(
            [Bind(transport, Address(LOOPBACK, 0)) for transport in transports],
            self.layer,
            clock=self.clock,
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
    """A peer that speaks UDP."""

    def __init__(self) -> None:
        self._came: asyncio.Queue[bytes] = asyncio.Queue()
        self._transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(LOOPBACK, 0))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._socket.close()

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
