"""Closing so that the last answer arrives (RFC 9112 section 9.6).

A server that closes while its client still sends has the kernel answer those bytes with a reset, and at a reset the client's
kernel throws away what it had not read yet: the very 413 that says why. nginx before us would make a 502 of it.
So if the client was not heard out, only our half is closed; what still comes is read and thrown away, until the client closes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class LingeringTransport(asyncio.Transport):
    """A transport whose `close` lets the client finish; the connection throws away what comes while `is_lingering`."""

    __slots__ = ("_may_close", "_transport", "is_lingering")

    def __init__(self, transport: asyncio.Transport, may_close: Callable[[], bool]) -> None:
        """`may_close` tells whether the client was heard out, and that it is waited for if not."""
        super().__init__()
        self._transport = transport
        self._may_close = may_close
        self.is_lingering = False

    def close(self) -> None:
        """Close once all is written; if the client still sends, our half of the connection only. The second time, close."""
        if self.is_lingering or self._transport.is_closing() or self._may_close():
            self._transport.close()
            return
        self.is_lingering = True
        if self._transport.can_write_eof():  # TLS has no half; its client goes by the answer's `connection: close`
            self._transport.write_eof()
        self._transport.resume_reading()

    def is_closing(self) -> bool:
        """Tell whether `close` or `abort` was called."""
        return self.is_lingering or self._transport.is_closing()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write, unless our half is closed."""
        if not self.is_lingering:
            self._transport.write(data)

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def get_write_buffer_size(self) -> int:
        """Return the bytes not sent yet."""
        return self._transport.get_write_buffer_size()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Let another protocol hear what comes."""
        self._transport.set_protocol(protocol)
