"""Answers onto the connection: whole ones in two messages, live feeds piece by piece until the client leaves."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec
from starlette.types import Receive, Send

from wakeline.edges.rest.operations import Answer, Feed

_ALWAYS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
_encode = msgspec.json.Encoder().encode


def encoded(answer: Answer) -> bytes:
    """Return the body as bytes: JSON, unless it is bytes already."""
    if answer.body is None:
        return b""
    return answer.body if isinstance(answer.body, bytes) else _encode(answer.body)


def fields(answer: Answer, request_id: str, body: bytes) -> list[tuple[bytes, bytes]]:
    """Return the headers of an answer with this body."""
    headers = [(b"x-request-id", request_id.encode()), *_ALWAYS]
    if body:
        headers.append((b"content-type", answer.media.encode()))
    if answer.status != 204:
        headers.append((b"content-length", b"%d" % len(body)))
    headers.extend((name.encode(), value.encode("latin-1")) for name, value in answer.headers)
    return headers


async def answer(answer: Answer, request_id: str, send: Send, *, head: bool) -> None:
    """Send an answer; `head`: without its body (RFC 9110 section 9.3.2)."""
    body = encoded(answer)
    headers = fields(answer, request_id, body)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else body})


async def feed(feed: Feed, request_id: str, receive: Receive, send: Send) -> None:
    """Send pieces as they come, until there are no more or the client leaves."""
    headers = [(b"x-request-id", request_id.encode()), *_ALWAYS, (b"content-type", feed.media.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    gone = asyncio.ensure_future(_disconnected(receive))
    pieces = aiter(feed.pieces)
    try:
        while True:
            piece = asyncio.ensure_future(anext(pieces, None))
            await asyncio.wait({piece, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not piece.done():
                piece.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await piece
                return
            if (data := piece.result()) is None:
                break
            await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        gone.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
