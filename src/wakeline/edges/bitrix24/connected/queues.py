"""Queues at portals: what asks a portal, or changes an installation after asking, happens one after the other for each of them.

Rule: two installations at the same moment end as one of the two, never as a mixture; and however many strangers come with tokens,
one question at a time is asked for an installation, and only so many wait.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from wakeline.edges.bitrix24.connected.refused import too_often

MOST_WAITING = 64


class Queues:
    """A queue for each installation; one that nobody stands in is forgotten."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._locks: dict[int, asyncio.Lock] = {}
        self._waiting: dict[int, int] = {}

    @contextlib.asynccontextmanager
    async def of(self, installation: int) -> AsyncIterator[None]:
        """Wait for the turn. Raises Refused if too many wait already."""
        count = self._waiting.get(installation, 0)
        if count >= MOST_WAITING:
            raise too_often()
        self._waiting[installation] = count + 1
        try:
            async with self._locks.setdefault(installation, asyncio.Lock()):
                yield
        finally:
            self._waiting[installation] -= 1
            if not self._waiting[installation]:
                del self._waiting[installation], self._locks[installation]
