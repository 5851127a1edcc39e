"""The way out of the transaction layer: a next hop becomes a flow, a message its bytes.

A request to a hop over UDP that is larger than 1300 bytes goes by TCP, since a datagram that is cut in pieces is often lost; where
nobody accepts a connection it goes by UDP after all (RFC 3261 section 18.1.1). One to a flow stays on it: to a phone behind a NAT
there is no other way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import structlog

from wakeline.edges.sip.endpoint import Endpoint
from wakeline.edges.sip.flows import Address, Flow, FlowGone, Hop, Transport
from wakeline.model.errors import LocalProtocolError, TransportError
from wakeline.wire.sip.message import Request, Response

LARGE = 1300
TRY_TCP = 1.0
"""Seconds that a call is held up by a peer that may not speak TCP: a firewall that drops says nothing."""
WITHOUT_TCP = 600.0
"""Seconds for which that is remembered."""
_REMEMBERED = 1000

_log = structlog.get_logger()


class Outlet:
    """Sends through an endpoint, which is set before anything is sent."""

    def __init__(self) -> None:
        self._attached: Endpoint | None = None
        self._without_tcp: dict[Address, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def attach(self, endpoint: Endpoint) -> None:
        """Send through these sockets."""
        self._attached = endpoint

    @property
    def endpoint(self) -> Endpoint:
        """Return the sockets."""
        if self._attached is None:
            raise LocalProtocolError("The transaction layer has no sockets")
        return self._attached

    def reached(
        self, request: Request, to: Flow | Hop, then: Callable[[Flow], None], failed: Callable[[], None]
    ) -> None:
        """Call `then` with the flow that a request takes: at once if it is at hand. `failed` is called later than this returns."""
        if not isinstance(to, Hop):
            then(to)
            return
        large = to.transport is Transport.UDP and len(request.to_bytes()) > LARGE
        flow = None if large else self.endpoint.at_hand(to)
        if flow is not None:
            then(flow)
        else:
            self._spawn(self._reach(to, then, failed, large=large))

    def send(self, flow: Flow, message: Request | Response) -> None:
        """Send what nobody waits for an answer to."""
        try:
            flow.send(message.to_bytes(stream=flow.transport.reliable))
        except FlowGone as gone:
            _log.debug("sip.not_sent", reason=str(gone))

    def reply_elsewhere(self, flow: Flow, port: int, data: bytes) -> None:
        """Send a response to a peer whose connection is closed: to where it says that it listens (RFC 3261 section 18.2.2)."""
        self._spawn(self._reply(Hop(flow.transport, Address(flow.remote.host, port)), data))

    def stop(self) -> None:
        """Give up what is being reached."""
        for task in self._tasks:
            task.cancel()

    async def _reach(self, hop: Hop, then: Callable[[Flow], None], failed: Callable[[], None], *, large: bool) -> None:
        try:
            flow = await (self._by_tcp(hop) if large else self.endpoint.reach(hop))
        except TransportError as error:
            _log.debug("sip.unreachable", hop=str(hop.address), reason=str(error))
            failed()
        else:
            then(flow)

    async def _by_tcp(self, hop: Hop) -> Flow:
        """Return a connection to a hop that was meant to be reached over UDP; who accepts none is not asked again for a while."""
        now = asyncio.get_running_loop().time()
        if self._without_tcp.get(hop.address, 0.0) > now:
            return await self.endpoint.reach(hop)
        try:
            async with asyncio.timeout(TRY_TCP):
                return await self.endpoint.reach(Hop(Transport.TCP, hop.address))
        except (TransportError, TimeoutError):
            if len(self._without_tcp) >= _REMEMBERED:
                self._without_tcp.clear()
            self._without_tcp[hop.address] = now + WITHOUT_TCP
            return await self.endpoint.reach(hop)

    async def _reply(self, hop: Hop, data: bytes) -> None:
        try:
            (await self.endpoint.reach(hop)).send(data)
        except TransportError as error:
            _log.debug("sip.response_not_sent", reason=str(error))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
