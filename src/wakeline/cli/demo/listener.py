"""A program of the demonstration's own that is told what becomes of pushes, and believes only what is signed.

The least that a receiver of webhooks has to do: take the bytes, compare the signature in constant time, answer 204, and know
a message that comes again by its id. Whole programs for users are under examples/.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from wakeline.wire.standard_webhooks import read_secret, signature

_LONGEST = 1024 * 1024


class Listener:
    """What came, by the notification it is about; `url` is where it listens. Give it the `secret` that the webhook got."""

    def __init__(self) -> None:
        self.url = ""
        self.secret = ""
        self._told: dict[str, list[dict[str, Any]]] = {}
        self._taken: set[str] = set()

    def told(self, notification: str) -> list[dict[str, Any]]:
        """Return the events about a notification, in the order in which they came."""
        return self._told.get(notification, [])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection until it is closed."""
        with contextlib.suppress(asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head)}
                length = int(headers.get("content-length", "0"))
                body = await reader.readexactly(min(length, _LONGEST))
                status = "204 No Content" if self._takes(headers, body) else "401 Unauthorized"
                writer.write(f"HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n".encode())
                await writer.drain()
        writer.close()

    def _takes(self, headers: dict[str, str], body: bytes) -> bool:
        """Keep an event that is signed, once however often it comes; tell whether it was signed."""
        message, sent = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not self.secret or not sent.isdecimal():
            return False
        wanted = signature(read_secret(self.secret), message, int(sent), body)
        if not any(hmac.compare_digest(wanted, one) for one in headers.get("webhook-signature", "").split()):
            return False
        if message not in self._taken:
            self._taken.add(message)
            event = msgspec.json.decode(body)
            self._told.setdefault(event["data"].get("notification", ""), []).append(event)
        return True


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[Listener]:
    """Listen on a free port of this machine."""
    listener = Listener()
    server = await asyncio.start_server(listener.serve, "127.0.0.1", 0, limit=_LONGEST)
    try:
        port = server.sockets[0].getsockname()[1]
        listener.url = f"http://127.0.0.1:{port}/told"
        yield listener
    finally:
        server.close()
