"""One HTTP/2 connection on a socket: the asyncio half of `wire.http2.Connection`. It decides nothing; its pool does.

Unsent bytes. A call must never wait behind full buffers, so at most MAX_UNSENT bytes may be unsent in this process and, where
TCP_NOTSENT_LOWAT exists, about as many in the kernel (beyond what is on its way already). Both transports, the socket's
and TLS's, tell us to pause as soon as anything is left over: the socket's pauses TLS, and only bytes that then stay inside
TLS pause us. `spare` therefore never offers all of the room at once: what it keeps back is written next and brings the
pause, and later the resumption, about.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol

from wakeline.wire.http2 import Answered, Connection

MAX_UNSENT = 65_536
_NOTSENT_LOWAT: int | None = getattr(socket, "TCP_NOTSENT_LOWAT", None)
_ONE_TURN = MAX_UNSENT - 8_192


class Owner(Protocol):
    """What a link tells its pool."""

    def link_received(self, link: Link, told: list[Answered]) -> None:
        """Something was read; `told` is what became of requests."""

    def link_writable(self, link: Link) -> None:
        """The buffer has room again."""

    def link_lost(self, link: Link, error: Exception | None) -> None:
        """The connection is gone; None: it was closed in order, by whichever side."""


class Link(asyncio.Protocol):
    """Moves bytes between a socket and a `Connection`."""

    def __init__(self, owner: Owner, connection: Connection, clock: Callable[[], float]) -> None:
        self.connection = connection
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the server's SETTINGS are here; fails with the error that ended the connection before."""
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._owner = owner
        self._clock = clock
        self._raw: asyncio.WriteTransport | None = None
        self._tls: asyncio.WriteTransport | None = None
        self._paused = False
        self._closing = False

    def attach(self, raw: asyncio.WriteTransport, tls: asyncio.WriteTransport) -> None:
        """Take the transports of a finished handshake and say hello."""
        if self._closing:  # lost already, and uvloop's transports do not like to be touched then
            return
        self._raw, self._tls = raw, tls
        if _NOTSENT_LOWAT is not None and (connected := raw.get_extra_info("socket")) is not None:
            connected.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, MAX_UNSENT)
        raw.set_write_buffer_limits(high=0)
        tls.set_write_buffer_limits(high=1, low=0)
        self.flush()

    @property
    def spare(self) -> int:
        """How many bytes may be written in this turn; 0 while the buffer is full."""
        if self._paused or self._closing or self._raw is None or self._raw.is_closing():
            return 0
        unsent = self._raw.get_write_buffer_size()
        return max(0, min(_ONE_TURN, MAX_UNSENT - unsent) - self.connection.unwritten)

    def flush(self) -> None:
        """Write what the connection has to say."""
        if self._tls is not None and not self._closing and self.connection.has_output():
            self._tls.write(self.connection.take())

    def close(self) -> None:
        """Write what is left and end the connection in order; `link_lost` follows."""
        self.flush()
        self._closing = True
        if self._tls is not None:
            self._tls.close()

    def abort(self) -> None:
        """End the connection at once; `link_lost` follows."""
        self._closing = True
        if self._tls is not None:
            self._tls.abort()

    # --- asyncio.Protocol --------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Read, let the owner act on it, write what both have to say."""
        told = self.connection.receive(data, self._clock())
        if not self.ready.done():
            self._greet()
        # An exception would make asyncio close the connection, so the owner guards its callbacks.
        self._owner.link_received(self, told)
        self.flush()

    def eof_received(self) -> None:
        """Let asyncio close: a server that sends no more answers is of no use."""

    def _greet(self) -> None:
        if self.connection.error is not None:
            self.ready.set_exception(self.connection.error)
        elif self.connection.ready:
            self.ready.set_result(None)

    def pause_writing(self) -> None:
        """Offer no room: bytes are left over (see the module's docstring)."""
        self._paused = True

    def resume_writing(self) -> None:
        """Offer room again."""
        self._paused = False
        self._owner.link_writable(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who waits."""
        if not self.ready.done():
            self.ready.set_exception(exc or ConnectionResetError("the server closed the connection"))
            self.ready.exception()  # it may be that nobody waits any more
        self._closing = True
        if not self.gone.done():
            self.gone.set_result(None)
        self._owner.link_lost(self, exc)
