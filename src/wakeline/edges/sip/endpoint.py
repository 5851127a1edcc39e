"""The sockets of the SIP edge: listeners over UDP, TCP, TLS and WebSocket, connections to others, and flows found by their names.

What comes in goes through the inbox to `Listener.received`, one message at a time. What goes out takes a flow: that of a request
that came, that of a registered phone by its name (`flow`), or that of a hop (`at_hand`, else `reach`). Connections are shared: a
request to a hop takes the connection that is open to it already, whoever opened it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
import structlog

from wakeline.edges.sip.connections import Connection
from wakeline.edges.sip.datagrams import DatagramFlow, DatagramSocket
from wakeline.edges.sip.flows import Address, Flow, FlowGone, Hop, Transport, numeric
from wakeline.edges.sip.inbox import Inbox
from wakeline.edges.sip.open_connections import OpenConnections
from wakeline.model.errors import ConfigError, ConnectFailed, TimedOut
from wakeline.wire.sip.framing import BrokenStream
from wakeline.wire.sip.stun import is_stun, stun_answer

CONNECT = 4.0
"""Seconds to open a connection."""
_LAST_WORDS = 1.0
_HANDSHAKE = 10.0
"""Seconds for a TLS handshake."""

_log = structlog.get_logger()


class Bind(msgspec.Struct, frozen=True):
    """Where to listen. Port 0: one that is free, see `Endpoint.bound`."""

    transport: Transport
    address: Address


class Listener(Protocol):
    """Who hears what comes."""

    def received(self, flow: Flow, data: bytes) -> None:
        """A message came. Does not raise."""

    def broken(self, flow: Flow, wrong: BrokenStream) -> None:
        """A stream cannot be read on; it is closed afterwards."""

    def alive(self, flow: Flow) -> None:
        """A peer gave a sign of life that is no message."""

    def lost(self, flow: Flow) -> None:
        """A connection is closed."""


class Endpoint:
    """All sockets. `public_host` is what Via says in place of the socket's address; `client_tls` verifies those we connect to."""

    def __init__(
        self,
        binds: Sequence[Bind],
        listener: Listener,
        *,
        clock: Callable[[], float],
        public_host: str = "",
        server_tls: ssl.SSLContext | None = None,
        client_tls: ssl.SSLContext | None = None,
    ) -> None:
        self._binds = binds
        self._listener = listener
        self._public_host = public_host
        self._server_tls = server_tls
        self._client_tls = client_tls
        self._inbox = Inbox(listener.received, clock)
        self._datagrams: list[DatagramSocket] = []
        self._servers: list[asyncio.Server] = []
        self._listens_at: dict[Transport, Address] = {}
        self._connections = OpenConnections()
        self._opening: dict[Hop, asyncio.Task[Connection]] = {}
        self._serial = 0
        self.bound: list[Bind] = []
        """Where it listens, once started."""

    async def start(self) -> None:
        """Bind all. Raises ConnectFailed for an address that cannot be had, or ConfigError, and nothing is bound."""
        try:
            for bind in self._binds:
                await self._bind(bind)
        except BaseException:
            await self.stop()
            raise
        _log.info("sip.listening", at=[f"{bind.transport.value}:{bind.address}" for bind in self.bound])

    async def stop(self) -> None:
        """Close all: what was written to connections still goes out, if it goes quickly."""
        for server in self._servers:
            server.close()
        for task in self._opening.values():
            task.cancel()
        for datagrams in self._datagrams:
            datagrams.close()
        for connection in self._connections:
            connection.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS):
                await self._connections.all_closed()
        for connection in self._connections:
            connection.abort()
        await self._connections.all_closed()

    @property
    def connections(self) -> int:
        """Return how many connections are open."""
        return len(self._connections)

    @property
    def dropped(self) -> int:
        """Return how many datagrams found no room."""
        return self._inbox.dropped

    # --- ways out ----------------------------------------------------------------------------------------------------

    def flow(self, name: str) -> Flow | None:
        """Return the flow of that name; None if it was a connection that is closed, or of a process before this."""
        if not name.startswith("udp:"):
            return self._connections.named(name)
        address, _, mark = name.removeprefix("udp:").partition("@")
        host, _, port = address.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not numeric(host) or not port.isdecimal():
            return None
        return self._datagram_flow(Address(host, int(port)), f"@{mark}" if mark else None)

    def at_hand(self, hop: Hop) -> Flow | None:
        """Return the flow to a hop that can be used now; None: `reach` it."""
        if hop.transport is not Transport.UDP:
            return self._connections.to(hop.transport, hop.address)
        return self._datagram_flow(hop.address) if numeric(hop.address.host) else None

    async def reach(self, hop: Hop) -> Flow:
        """Return the flow to a hop; connects, or looks a name up, if it must. Raises TransportError."""
        flow = self.at_hand(hop)
        if flow is not None:
            return flow
        if hop.transport is Transport.UDP:
            return await self._looked_up(hop.address)
        task = self._opening.get(hop)
        if task is None:
            task = self._opening[hop] = asyncio.get_running_loop().create_task(self._open(hop))
            task.add_done_callback(lambda done: self._opened(hop, done))
        return await asyncio.shield(task)

    def _opened(self, hop: Hop, task: asyncio.Task[Connection]) -> None:
        self._opening.pop(hop, None)
        if not task.cancelled():
            task.exception()  # it may be that nobody waits any more

    def _datagram_flow(self, address: Address, mark: str | None = None) -> DatagramFlow | None:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        for datagrams in self._datagrams:
            if datagrams.family == family and mark in (None, datagrams.mark):
                return DatagramFlow(datagrams, address)
        return None

    async def _looked_up(self, address: Address) -> Flow:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError) as error:
            raise ConnectFailed(f"{address.host} has no address: {_words(error)}") from error
        for *_, pair in found:
            flow = self._datagram_flow(Address(str(pair[0]), int(pair[1])))
            if flow is not None:
                return flow
        raise ConnectFailed(f"No UDP socket of ours reaches {address.host}")

    async def _open(self, hop: Hop) -> Connection:
        if hop.transport.web:
            raise ConnectFailed("Web pages connect to us; nobody can connect to them")
        tls = self._client_tls if hop.transport.secure else None
        if hop.transport.secure and tls is None:
            raise ConnectFailed("TLS to others is not set up")
        address = hop.address
        try:
            async with asyncio.timeout(CONNECT):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: self._connection(hop.transport), address.host, address.port, ssl=tls
                )
        except TimeoutError as error:
            raise TimedOut(f"{address} did not accept a connection in {CONNECT:.0f} s") from error
        except (OSError, UnicodeError) as error:  # ssl.SSLError is an OSError, a name of odd labels a UnicodeError
            raise ConnectFailed(f"{address} cannot be connected to: {_words(error)}") from error
        # Under the name that was asked for as well: the connection itself knows the number only.
        self._connections.reached_as(connection, address)
        return connection

    # --- ways in -----------------------------------------------------------------------------------------------------

    async def _bind(self, bind: Bind) -> None:
        try:
            if bind.transport is Transport.UDP:
                self._bind_datagrams(bind.address)
            else:
                await self._bind_stream(bind)
        except OSError as error:
            raise ConnectFailed(
                f"sip.listen: {bind.transport.value}:{bind.address} cannot be listened on: {_words(error)}",
                fix="Stop what listens there, or name addresses of this machine that are free.",
            ) from None

    def _bind_datagrams(self, address: Address) -> None:
        bound = _bound(address, socket.SOCK_DGRAM)
        mark = f"@{bound.getsockname()[1]}" if self._datagrams else ""
        datagrams = DatagramSocket(bound, self._public_host, mark, self._datagram)
        self._datagrams.append(datagrams)
        self._note(Transport.UDP, datagrams.bound)

    async def _bind_stream(self, bind: Bind) -> None:
        tls = self._server_tls if bind.transport.secure else None
        if bind.transport.secure and tls is None:
            raise ConfigError(
                "a tls: or wss: address needs a certificate", fix="Set sip.tls_certificate and sip.tls_key."
            )
        listening = _bound(bind.address, socket.SOCK_STREAM)
        host, port = listening.getsockname()[:2]
        self._note(bind.transport, Address(host, port))
        server = await asyncio.get_running_loop().create_server(
            lambda: self._connection(bind.transport),
            sock=listening,
            ssl=tls,
            backlog=1024,
            ssl_handshake_timeout=_HANDSHAKE if tls else None,
        )
        self._servers.append(server)

    def _note(self, transport: Transport, at: Address) -> None:
        self.bound.append(Bind(transport, at))
        self._listens_at.setdefault(transport, at)

    def _connection(self, transport: Transport) -> Connection:
        self._serial += 1
        at = self._listens_at.get(transport)
        wildcard = at is not None and ipaddress.ip_address(at.host).is_unspecified
        if at is not None:
            at = Address(self._public_host or ("" if wildcard else at.host), at.port)
        elif self._public_host:
            at = Address(self._public_host, transport.default_port)
        return Connection(self, transport, self._serial, at=at)

    def _datagram(self, flow: DatagramFlow, data: bytes) -> None:
        if is_stun(data):
            self._stun(flow, data)
        elif data.strip(b"\r\n\0"):
            self._inbox.datagram(flow, data)
        else:
            self._listener.alive(flow)

    def _stun(self, flow: DatagramFlow, data: bytes) -> None:
        answer = stun_answer(data, flow.remote.host, flow.remote.port)
        if answer is not None:
            with contextlib.suppress(FlowGone):
                flow.send(answer)
            self._listener.alive(flow)

    # --- connections.Owner -------------------------------------------------------------------------------------------

    def connected(self, connection: Connection) -> None:
        """Know it by its name and its peer."""
        self._connections.add(connection)

    def framed(self, connection: Connection, data: bytes) -> None:
        """Let it wait its turn."""
        self._inbox.streamed(connection, data)

    def broken(self, connection: Connection, wrong: BrokenStream) -> None:
        """Pass it on."""
        self._listener.broken(connection, wrong)

    def alive(self, connection: Connection) -> None:
        """Pass it on."""
        self._listener.alive(connection)

    def crowded(self, connection: Connection) -> bool:
        """Ask the inbox."""
        return self._inbox.hold(connection.remote.host, connection)

    def lost(self, connection: Connection) -> None:
        """Forget it."""
        if self._connections.remove(connection):
            self._listener.lost(connection)


def _words(error: OSError | UnicodeError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _bound(address: Address, kind: socket.SocketKind) -> socket.socket:
    """Return a bound socket; IPv6 is for IPv6 alone, so that a peer has one address."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    made = socket.socket(family, kind)
    try:
        if kind is socket.SOCK_STREAM:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((address.host, address.port))
    except BaseException:
        made.close()
        raise
    return made
