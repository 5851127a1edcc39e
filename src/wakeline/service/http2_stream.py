"""One request over HTTP/2, as ASGI has it: what the application receives and sends, at the pace of the client's windows."""

from __future__ import annotations

import asyncio
from typing import Protocol

from starlette.types import Message, Scope


class Carrier(Protocol):
    """The connection under a stream."""

    def give_back(self, number: int, credit: int) -> None:
        """Let the client send as much again as was read."""

    def room(self, number: int) -> int:
        """Return how many bytes of a body may be written now."""

    def answer(self, stream: Stream, start: Message, *, last: bool) -> None:
        """Write status and headers; `last`: there is no body."""

    def write(self, stream: Stream, body: bytes, *, last: bool) -> None:
        """Write a piece of a body, for which there is room."""


class Stream:
    """One request: what the application receives and sends."""

    def __init__(self, connection: Carrier, number: int, scope: Scope) -> None:
        self.number = number
        self.scope = scope
        self.ended = False
        """The client has sent all."""
        self.gone = False
        """The client, or its connection, is gone."""
        self.answered = False
        self.changed = asyncio.Event()
        self._connection = connection
        self._pieces: list[tuple[bytes, int]] = []
        self._told = False
        self._start: Message = {}

    def arrived(self, data: bytes, credit: int) -> None:
        """Keep a piece of the body; `credit` is given back to the client's window when it is read."""
        self._pieces.append((data, credit))
        self.changed.set()

    async def receive(self) -> Message:
        """See ASGI."""
        while not (self._pieces or self.gone or (self.ended and not self._told)):
            self.changed.clear()
            await self.changed.wait()
        if self.gone or (self._told and not self._pieces):
            return {"type": "http.disconnect"}
        pieces, self._pieces = self._pieces, []
        self._told = self.ended
        self._connection.give_back(self.number, sum(credit for _, credit in pieces))
        body = b"".join(data for data, _ in pieces)
        return {"type": "http.request", "body": body, "more_body": not self.ended}

    async def send(self, message: Message) -> None:
        """See ASGI; what is sent to a client that is gone is dropped, as uvicorn does."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        if self._start:
            start, self._start = self._start, {}
            if not self.gone:
                self._connection.answer(self, start, last=not (body or more))
            if not (body or more):
                return
        await self._write(body, last=not more)

    async def _write(self, body: bytes, *, last: bool) -> None:
        left = memoryview(body)
        while not self.gone:
            room = self._connection.room(self.number)
            if room or not left:
                piece, left = left[:room], left[room:]
                self._connection.write(self, bytes(piece), last=last and not left)
                if not left:
                    return
            else:
                self.changed.clear()
                await self.changed.wait()
