"""Whose turn it is: what reads and then changes the same thing happens one after the other.

Rule: two REGISTER of one address-of-record end as one behind the other, never as a mixture; others do not wait for them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Hashable


class Turns:
    """A queue for each thing; one that nobody stands in is forgotten."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._locks: dict[Hashable, asyncio.Lock] = {}
        self._waiting: dict[Hashable, int] = {}

    @contextlib.asynccontextmanager
    async def of(self, thing: Hashable) -> AsyncIterator[None]:
        """Wait for the turn."""
        self._waiting[thing] = self._waiting.get(thing, 0) + 1
        try:
            async with self._locks.setdefault(thing, asyncio.Lock()):
                yield
        finally:
            self._waiting[thing] -= 1
            if not self._waiting[thing]:
                del self._waiting[thing], self._locks[thing]
