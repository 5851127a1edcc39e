"""Connections of strangers: how much one may say before its request is complete, and how long that may take.

uvicorn bounds the silence between two requests and nothing else, so here are the other three: a head that grows or drips
(the "slowloris"), a body that stops, an answer that is not fetched. Nothing is measured per request but one reading of the
clock; `sweep` looks at all connections now and then. Who is answered before all was said may finish (`lingering_close`).
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterable

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from wakeline.service.http2_connection import PREFACE, STILL_SECONDS, Http2Connection
from wakeline.service.lingering_close import LingeringTransport

LONGEST_HEAD = 64 * 1024
"""Bytes of a request's first line and headers that are waited for; what comes in one read is taken as it is."""

HEAD_SECONDS = 20.0
"""From the first byte of a request, or from the connection's beginning, to the end of its headers."""

_RESERVED = 256
"""File descriptors that strangers leave to the store, the push services and the administrator."""

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"  # RFC 6585 section 5


class BoundedConnection(HttpToolsProtocol):
    """One connection of the public listener."""

    transport: LingeringTransport
    _in_head = True
    _turns = 0
    _head = 0
    _unsent = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn narrows it as well
        """Begin to count the time; one too many is hung up on."""
        super().connection_made(transport)
        self.transport = LingeringTransport(transport, self._is_heard_out)
        now = self.loop.time()
        self._heard = self._fetched = now
        self._since: float | None = now
        if len(self.connections) > most_connections():
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Count what belongs to a head that is not complete. Whoever begins with HTTP/2 is served by other rules."""
        self._heard = self.loop.time()
        if not self._turns and not self._head and data.startswith(PREFACE):
            Http2Connection(self).begin(data)
            return
        if self.transport.is_lingering:
            return
        turns = self._turns
        self._head += len(data)
        super().data_received(data)
        if not self._in_head or turns != self._turns:
            return
        self._since = self._since or self._heard
        if self._head > LONGEST_HEAD and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_headers_complete(self) -> None:
        """Stop the head's clock."""
        self._turn(in_head=False)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Expect another head."""
        self._turn(in_head=True)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Give the rest of a body that was answered unread as much time as a head."""
        if not self._in_head:
            self._since = self.loop.time()
        super().on_response_complete()

    def shutdown(self) -> None:
        """End, as soon as nothing is under way: whoever has said half a head is not waited for."""
        if self._in_head:
            self._head = 0
        super().shutdown()

    def _is_heard_out(self) -> bool:
        """Tell whether the request is complete, or none begun; if not, its rest has as much time as a head."""
        if self._in_head and not self._head:
            return True
        self._since = self.loop.time()
        return False

    def _turn(self, *, in_head: bool) -> None:
        self._in_head, self._since, self._head = in_head, None, 0
        self._turns += 1

    def is_overdue(self, now: float) -> bool:
        """Tell whether its client has kept us waiting too long. `now` on the loop's clock."""
        if self._since is not None and now - self._since > HEAD_SECONDS:
            return True
        # While we do not read, it is we who keep the client waiting.
        owes_body = not self._in_head and not self.flow.read_paused
        return (owes_body and now - self._heard > STILL_SECONDS) or self._does_not_fetch(now)

    def _does_not_fetch(self, now: float) -> bool:
        before, self._unsent = self._unsent, self.transport.get_write_buffer_size()
        if not self._unsent or self._unsent < before:
            self._fetched = now
        return now - self._fetched > STILL_SECONDS


def sweep(connections: Iterable[BoundedConnection | Http2Connection], now: float) -> None:
    """Hang up on those who keep us waiting. `now` on the loop's clock."""
    for connection in [one for one in connections if one.is_overdue(now)]:
        connection.transport.abort()


def most_connections() -> int:
    """Return how many connections strangers may hold at once."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(limit - _RESERVED, limit // 2)
