"""What share of doubt is usual for a route, kept over restarts: without it a brake would close on what is as it always was.

Rule: only days that are over are kept, and only of routes that met doubt or proof in them; all others have nothing to remember.
"""

from __future__ import annotations

import msgspec

from wakeline.pipeline.brake import DayCount
from wakeline.pipeline.parts import Parts
from wakeline.pipeline.route import RouteTable


class Usual:
    """Writes and reads the days of all brakes."""

    def __init__(self, parts: Parts, table: RouteTable) -> None:
        self._parts = parts
        self._table = table
        self._written: dict[int, tuple[DayCount, ...]] = {}

    async def recall(self) -> None:
        """Give each route the days that were kept of it."""
        for way in self._table.ways():
            kept = await self._parts.facts.get(_name(way.route.id))
            if kept is not None:
                days = msgspec.json.decode(kept, type=tuple[DayCount, ...])
                self._written[way.route.id] = days
                way.brake.recall(days)

    async def write(self) -> None:
        """Keep the days that are over, where they say something new."""
        now = self._parts.clock.now()
        for way in self._table.ways():
            days = way.brake.days(now)
            if days != self._written.get(way.route.id, ()):
                kept = msgspec.json.encode(days).decode() if days else None
                await self._parts.facts.set(_name(way.route.id), kept)
                self._written[way.route.id] = days


def _name(route: int) -> str:
    return f"usual/{route}"
