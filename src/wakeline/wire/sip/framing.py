"""Where messages begin and end on a TCP or TLS connection (RFC 3261 section 18.3), and keep-alives between them.

Bytes go in as they come, whole messages and keep-alives come out. A double CRLF between messages is a ping, which is answered with
one CRLF, which is a pong (RFC 5626 section 3.5.1). The body ends where Content-Length says; a peer that gives none means no body,
since nothing else can be told. After `BrokenStream` nothing more can be found on the connection: answer if that can be answered,
and close.
"""

from __future__ import annotations

import re
from enum import Enum

import msgspec

from wakeline.wire.sip.broken import Broken
from wakeline.wire.sip.headers import whole_number
from wakeline.wire.sip.message import MAX_MESSAGE
from wakeline.wire.sip.pieces import decode

PONG = b"\r\n"
PING = b"\r\n\r\n"

_LENGTH = re.compile(rb"\r\n(?:Content-Length|l)[ \t]*:((?:[^\r]|\r\n[ \t])*)", re.IGNORECASE)
_END = b"\r\n\r\n"


class KeepAlive(Enum):
    """What comes between messages."""

    PING = "ping"
    PONG = "pong"


class BrokenStream(msgspec.Struct, frozen=True):
    """Where the next message ends cannot be told. `header` is what there is of it, to `parse` and answer `wrong.answer`."""

    wrong: Broken
    header: bytes


Framed = bytes | KeepAlive | BrokenStream


class Framer:
    """Cuts one connection's bytes into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._needed = 0
        self._half_ping = False
        self._broken = False

    @property
    def waiting(self) -> int:
        """Return how many bytes of an unfinished message are held: a peer that never ends one is closed by whoever has a clock."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Framed]:
        """Take bytes; return what they complete, in order. After BrokenStream, which is last, nothing more is returned."""
        found: list[Framed] = []
        if self._broken:
            return found
        self._buffer += data
        while len(self._buffer) >= self._needed and (item := self._next()) is not None:
            found.append(item)
            if isinstance(item, BrokenStream):
                self._broken = True
                self._buffer.clear()
                break
        return found

    def _next(self) -> Framed | None:
        buffer = self._buffer
        if not buffer:
            return None
        if buffer[0] in b"\r\n":
            return self._between()
        if not self._needed:
            end = buffer.find(_END, self._searched)
            if end < 0:
                # An end may lie across two reads: its last three bytes are looked at again.
                self._searched = max(0, len(buffer) - 3)
                return self._too_large() if len(buffer) > MAX_MESSAGE else None
            wrong = self._measure(end)
            if wrong is not None:
                return BrokenStream(wrong, bytes(buffer[: end + 4]))
        return self._whole() if len(buffer) >= self._needed else None

    def _between(self) -> Framed | None:
        """Read line ends before a message. A ping that comes in two reads is first a pong, then a ping."""
        buffer = self._buffer
        if buffer.startswith(PING):
            del buffer[: len(PING)]
            self._half_ping = False
            return KeepAlive.PING
        if buffer == b"\r" or buffer == b"\r\n\r":  # noqa: PLR1714 - a bytearray has no hash to be looked up by
            return None
        if not buffer.startswith(PONG):
            return BrokenStream(Broken("What stands between messages is no CRLF"), b"")
        del buffer[: len(PONG)]
        self._half_ping = not self._half_ping and not buffer
        return KeepAlive.PONG if self._half_ping or buffer else KeepAlive.PING

    def _measure(self, end: int) -> Broken | None:
        """Find how long the message is whose header ends there."""
        lengths = {length.strip() for length in _LENGTH.findall(self._buffer, 0, end + 2)}
        if len(lengths) > 1:
            return Broken("There is more than one Content-Length")
        body = whole_number(decode(lengths.pop())) if lengths else 0
        if body is None:
            return Broken("Content-Length is no number")
        if end + 4 + body > MAX_MESSAGE:
            return Broken("The message is larger than 64 KiB", 513)
        self._needed = end + 4 + body
        return None

    def _whole(self) -> bytes:
        whole = bytes(self._buffer[: self._needed])
        del self._buffer[: self._needed]
        self._needed = self._searched = 0
        self._half_ping = False
        return whole

    def _too_large(self) -> BrokenStream:
        return BrokenStream(Broken("The header is larger than 64 KiB", 513), b"")
