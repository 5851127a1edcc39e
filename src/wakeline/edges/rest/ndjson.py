"""Bodies of many lines, a JSON object each: read as they come, never more than a batch in memory.

Rule: lines are numbered from 1, blank ones too; what is wrong with one is said beside the others.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from wakeline.edges.rest.operations import Lines
from wakeline.edges.rest.problems import Problem
from wakeline.edges.rest.shapes import View
from wakeline.model.errors import BodyTooLarge

LINE_LIMIT = 64 * 1024
BATCH = 1000
"""Lines that are on disk before the next are read."""

MOST_REJECTED = 10_000
"""Wrong lines after which a stream is not read on: each costs an answer, and a stream of nothing else has no end."""


class RejectedLine(View, frozen=True, kw_only=True):
    """A line that is not kept, and why."""

    line: int
    problem: Problem


Line = tuple[int, bytes | None]
"""A line with its number; None stands for one that is too long, which is not kept in memory."""


async def numbered(stream: Lines) -> AsyncIterator[Line]:
    """Yield the lines that are not blank."""
    async for lines in bundles(stream):
        for line in lines:
            yield line


async def bundles(stream: Lines) -> AsyncIterator[list[Line]]:
    """Yield the lines that are not blank, as many at a time as a piece of the body ends."""
    number, rest, skipping = 0, b"", False
    async for piece in stream:
        *lines, rest = (rest + piece).split(b"\n")
        bundle: list[Line] = []
        for line in lines:
            number += 1
            if skipping or len(line) > LINE_LIMIT:
                bundle.append((number, None))
                skipping = False
            elif line and not line.isspace():
                bundle.append((number, line))
        if bundle:
            yield bundle
        if len(rest) > LINE_LIMIT:
            rest, skipping = b"", True
    if skipping:
        yield [(number + 1, None)]
    elif rest.strip():
        yield [(number + 1, rest)]


def whole(line: bytes | None) -> bytes:
    """Return a line. Raises BodyTooLarge for one that was not kept."""
    if line is None:
        raise BodyTooLarge(f"the line is longer than {LINE_LIMIT} bytes")
    return line


def not_read_on() -> BodyTooLarge:
    """Return the refusal of the line after too many wrong ones."""
    return BodyTooLarge(
        f"{MOST_REJECTED} lines before this one were wrong, so it and what follows were not read",
        fix="Mend the lines, and send on from this one.",
    )
