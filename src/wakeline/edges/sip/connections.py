"""A TCP, TLS or WebSocket connection: messages cut out of the stream, keep-alives answered, and the end of peers that are none.

The connection that a phone registered over is the way to it (RFC 5626): nobody can connect to a phone behind a NAT. It stays open
as long as it lives, however silent: the kernel probes it, which wakes no radio more often than the phone's own keep-alives do.
Hung up on are those who say nothing whole in `GREETING` seconds or leave a message unfinished for as long, and those who let more
than `UNREAD` bytes lie unread: what we send them is sent no more.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from typing import Protocol, cast

from wakeline.edges.sip.flows import Address, FlowGone, Transport
from wakeline.wire.sip.framing import PONG, BrokenStream, Framer, KeepAlive
from wakeline.wire.sip.websocket import Heard, Say, WebSocketFramer

PIECE = 16_384
GREETING = 30.0
UNREAD = 1024 * 1024
_PROBES = (("TCP_KEEPIDLE", 120), ("TCP_KEEPINTVL", 30), ("TCP_KEEPCNT", 4))
"""Four minutes of silence from a machine that is gone end a connection; where the system has these options."""


class Owner(Protocol):
    """What a connection tells its endpoint."""

    def connected(self, connection: Connection) -> None:
        """It is open."""

    def framed(self, connection: Connection, data: bytes) -> None:
        """A message came."""

    def broken(self, connection: Connection, wrong: BrokenStream) -> None:
        """What came is no SIP, or too large: nothing more will be read. It is closed afterwards."""

    def alive(self, connection: Connection) -> None:
        """The peer gave a sign of life that is no message."""

    def crowded(self, connection: Connection) -> bool:
        """Return whether to stop reading; `resume` is called later."""

    def lost(self, connection: Connection) -> None:
        """It is closed."""


class Connection(asyncio.Protocol):
    """One connection, ours or the peer's. `serial` is its number."""

    def __init__(self, owner: Owner, transport: Transport, serial: int, *, at: Address | None = None) -> None:
        self._owner = owner
        self._kind = transport
        self._serial = serial
        self._listens_at = at
        self._web = WebSocketFramer() if transport.web else None
        self._framer = self._web or Framer()
        self._stream: asyncio.Transport | None = None
        self._remote = self._local = Address("", 0)
        self._greeting: asyncio.TimerHandle | None = None
        self._closing = False
        self._paused = False
        self._rest = b""
        self.reached_as: set[Address] = set()
        """By which addresses it was asked for; kept by the endpoint."""

    @property
    def name(self) -> str:
        """Return the name by which it is found while it is open."""
        return f"{self._kind.value}:{self._remote}#{self._serial}"

    @property
    def transport(self) -> Transport:
        """Return what it runs over."""
        return self._kind

    @property
    def remote(self) -> Address:
        """Return the peer's address."""
        return self._remote

    @property
    def local(self) -> Address:
        """Return where we listen, which is where the peer would connect to; of a transport we do not listen for: our end."""
        return self._local

    @property
    def open(self) -> bool:
        """Return whether something can be sent."""
        return self._stream is not None and not self._closing and not self._stream.is_closing()

    def send(self, data: bytes) -> None:
        """Send one message. Raises FlowGone; then the connection is closed."""
        if self._stream is None or not self.open:
            raise FlowGone("The connection is closed")
        if self._stream.get_write_buffer_size() > UNREAD:
            self.abort()
            raise FlowGone("The peer does not read")
        self._stream.write(data if self._web is None else self._web.wrap(data))

    def close(self) -> None:
        """Send what is left, then end it."""
        self._closing = True
        if self._stream is not None:
            self._stream.close()

    def abort(self) -> None:
        """End it at once."""
        self._closing = True
        if self._stream is not None:
            self._stream.abort()

    def resume(self) -> None:
        """Read on."""
        if self.open:
            asyncio.get_running_loop().call_soon(self._read_on)

    # --- asyncio.Protocol --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the stream."""
        self._stream = cast("asyncio.Transport", transport)  # uvloop's are no subclass
        self._remote = _address(transport.get_extra_info("peername"))
        ours = _address(transport.get_extra_info("sockname"))
        listens = self._listens_at
        self._local = ours if listens is None else Address(listens.host or ours.host, listens.port)
        _probe(transport.get_extra_info("socket"))
        self._expect()
        self._owner.connected(self)

    def data_received(self, data: bytes) -> None:
        """Hand over what is whole."""
        self._rest += data
        self._read_on()

    def _read_on(self) -> None:
        """Work off one piece; what is beyond has its turn later, so that a read full of keep-alives holds nobody up."""
        piece, self._rest = self._rest[:PIECE], self._rest[PIECE:]
        found = self._framer.feed(piece)
        for item in found:
            self._take(item)
        if found:
            self._expect_nothing()
            self._answer_keep_alives(found)
        if not self.open:
            return
        if self._framer.waiting and self._greeting is None:
            self._expect()
        if self._owner.crowded(self):
            self._pause()
        elif self._rest:
            self._pause()
            asyncio.get_running_loop().call_soon(self._read_on)
        else:
            self._read_again()

    def _pause(self) -> None:
        if self._stream is not None and not self._paused:
            self._paused = True
            self._stream.pause_reading()

    def _read_again(self) -> None:
        if self._stream is not None and self._paused:
            self._paused = False
            self._stream.resume_reading()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Tell the endpoint."""
        self._closing = True
        self._expect_nothing()
        self._owner.lost(self)

    def _take(self, item: Heard) -> None:
        match item:
            case Say(data, last):
                self._say(data, last=last)
            case bytes():
                self._owner.framed(self, item)
            case KeepAlive():
                return
            case BrokenStream():
                self._owner.broken(self, item)
                self.close()

    def _say(self, data: bytes, *, last: bool) -> None:
        """Write what the WebSocket has to say for itself."""
        if self._stream is not None and self.open:
            self._stream.write(data)
        if last:
            self.close()

    def _answer_keep_alives(self, found: Sequence[Heard]) -> None:
        """Answer a ping (RFC 5626 section 3.5.1), many at once with one pong; a peer that reads none is hung up on by `send`."""
        if KeepAlive.PING in found:
            with contextlib.suppress(FlowGone):
                self.send(PONG)
        if any(isinstance(item, KeepAlive) for item in found):
            self._owner.alive(self)

    def _expect(self) -> None:
        """Wait for the rest of what began, or for the first message; a peer that is between messages may be silent."""
        self._greeting = asyncio.get_running_loop().call_later(GREETING, self._waited)

    def _waited(self) -> None:
        self._greeting = None
        self.abort()

    def _expect_nothing(self) -> None:
        if self._greeting is not None:
            self._greeting.cancel()
            self._greeting = None


def _address(pair: tuple[str, int] | None) -> Address:
    """Return an address of the kernel; a peer that is gone already has none."""
    return Address(pair[0], pair[1]) if pair else Address("", 0)


def _probe(connected: socket.socket) -> None:
    """Have the kernel find out whether the peer is there still, and send small messages without waiting for more."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for name, value in _PROBES:
        if (option := getattr(socket, name, None)) is not None:
            connected.setsockopt(socket.IPPROTO_TCP, option, value)
