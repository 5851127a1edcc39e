"""Request bodies off the connection, never more than is allowed.

Theory: a body is refused by its announced length before a byte is read; one without an announced length (chunked) is
read up to the limit and refused at the first piece beyond it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from starlette.types import Receive

from wakeline.model.errors import BodyTooLarge, MalformedRequest

BODY_LIMIT = 1024 * 1024
"""Bytes of a body that is read whole."""


class Left(Exception):
    """The client went away before its body was complete."""


async def whole(receive: Receive, headers: Mapping[str, str], limit: int = BODY_LIMIT) -> bytes:
    """Return the body, of at most `limit` bytes. Raises BodyTooLarge, MalformedRequest (a length that is no number), Left."""
    announced = headers.get("content-length")
    if announced is not None:
        if not (announced.isascii() and announced.isdigit()):
            raise MalformedRequest("the Content-Length is not a number")
        if int(announced) > limit:
            raise too_large(limit)
    pieces: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Left
        piece = message.get("body", b"")
        more = message.get("more_body", False)
        size += len(piece)
        if size > limit:
            raise too_large(limit)
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class Body:
    """The pieces of a body as they come."""

    def __init__(self, receive: Receive) -> None:
        """Read from this ASGI channel."""
        self._receive = receive

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield pieces. Raises Left."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Left
            more = message.get("more_body", False)
            if piece := message.get("body", b""):
                yield piece


def too_large(limit: int = BODY_LIMIT) -> BodyTooLarge:
    """Return the refusal of a body that is too long."""
    return BodyTooLarge(
        f"the body is longer than {limit} bytes", fix="Send less at once; NDJSON has no limit in total."
    )
