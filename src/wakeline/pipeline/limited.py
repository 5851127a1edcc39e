"""Who has had as many pushes as they may (DESIGN 5.6): shown to whoever asks, and kept over a restart.

Rule: only who is limited now is kept, at most `MOST_KEPT` of them. Whoever had something left begins anew after a restart, which
gives them one burst more at most; keeping what everybody had left would mean writing a million numbers a minute.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator

import msgspec

from wakeline.model.app import App
from wakeline.model.notification import PushType
from wakeline.pipeline.limits import Limited, UserLimits
from wakeline.pipeline.parts import Parts

MOST_KEPT = 5_000

_SLICE = 2_000
"""So many counts are looked at before others get the loop: less than a millisecond."""

_NAME = "limited"


class _Kept(msgspec.Struct, frozen=True):
    """What is kept: when it was written (Unix ms), and of those who were limited then: app, user, type, arrival (Unix ms)."""

    at: int
    counts: list[tuple[int, str, PushType, float]]


class LimitedUsers:
    """Looks at the counters of `UserLimits`, and writes and reads those that matter."""

    def __init__(self, parts: Parts, limits: UserLimits) -> None:
        self._parts = parts
        self._limits = limits
        self._recalled = False
        self._written = False

    async def of_user(self, app: App, user: str) -> list[Limited]:
        """Return of which types a user may have no more now; nothing where the app or the settings set no limits."""
        await self.recall()
        return self._limits.limited(app.id, user, self._parts.clock.now()) if self.applies(app) else []

    def applies(self, app: App) -> bool:
        """Tell whether users of an app are limited at all."""
        return app.settings.limits and self._parts.settings.limits.per_user

    async def page(self, app: App, *, after: tuple[str, str], limit: int) -> list[Limited]:
        """Return the limited users of an app by name and type, those after a name and type."""
        await self.recall()
        if not self.applies(app):
            return []
        found = [one async for one in self._all(app.id) if _place(one) > after]
        return heapq.nsmallest(limit, found, key=_place)

    async def forget_user(self, app: App, user: str) -> None:
        """Drop all that is known of a user, on disk too."""
        await self.recall()
        self._limits.forget_user(app.id, user)
        await self.keep()

    async def keep(self) -> None:
        """Write who is limited, for a restart."""
        counts: list[tuple[int, str, PushType, float]] = []
        async for one in self._all():
            whom = one.app, one.subject, one.push_type
            counts.append((*whom, self._limits.arrival(whom)))
            if len(counts) == MOST_KEPT:
                break
        if counts or self._written:
            kept = _Kept(self._parts.clock.now(), counts)
            await self._parts.facts.set(_NAME, msgspec.json.encode(kept).decode() if counts else None)
            self._written = bool(counts)

    async def recall(self) -> None:
        """Count on from what was kept: once, before anything is counted or, where no gateway runs, before anything is asked."""
        text = None if self._recalled else await self._parts.facts.get(_NAME)
        self._recalled = True
        if text is None:
            return
        kept = msgspec.json.decode(text, type=_Kept)
        # A wall clock that was set back meanwhile would limit them for longer than was meant.
        back = max(0, kept.at - self._parts.clock.now())
        self._limits.recall({(app, user, push_type): at - back for app, user, push_type, at in kept.counts})
        self._written = True

    async def _all(self, app: int | None = None) -> AsyncIterator[Limited]:
        """Yield who is limited now, of an app or of all, giving way to others now and then."""
        now, everybody = self._parts.clock.now(), self._limits.subjects()
        for first in range(0, len(everybody), _SLICE):
            for one in self._limits.among(everybody[first : first + _SLICE], now):
                if app in (None, one.app):
                    yield one
            await asyncio.sleep(0)


def _place(one: Limited) -> tuple[str, PushType]:
    return one.subject, one.push_type
