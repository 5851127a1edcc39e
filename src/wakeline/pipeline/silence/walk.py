"""The duty that looks for silence: reads what was accepted long enough ago, counts it, has it judged, tells what was found.

Off every hot path: nothing is written or counted while pushes are sent. What a phone confirmed is read from the ledger once
[silence] grace is over, page by page; where more is sent than it may read, what is beyond is left out, which changes no rate.
Only the counts are kept. The sums of `doubt` live in memory: after a start the last day is read again, and not counted again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import msgspec
import structlog

from wakeline.model.event import Event, EventData, EventType
from wakeline.model.silence import HOUR, Count, Slice, Suspicion, traits_of
from wakeline.pipeline.parts import Parts
from wakeline.pipeline.silence.judge import Judge, Sent, SliceRates
from wakeline.pipeline.silence.tally import DAY, KEPT, Tally
from wakeline.ports.silence import Mark, Settled, SettledPage

_log = structlog.get_logger()

PAGE = 100
"""Notifications that are read at once."""

PIECE = 25
"""Deliveries that are judged before others get the loop: half a millisecond, and some more once an hour."""

PAGES = 50
"""Pages of one look."""

LATE = 1_800_000
"""Milliseconds that the watch may lag behind before it leaves out what it cannot keep up with."""

AGAIN = 1000
"""Pages that are read again after a start, at most."""

REMEMBERED = 30 * DAY * HOUR
"""Milliseconds for which a silence that is over is remembered."""

_KEEPING_UP = 60_000


class SilenceWatch:
    """Watches all apps whose devices confirm what they get."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._judges: dict[int, Judge] = {}
        self._begun = parts.clock.now()
        self._at = Mark(self._begun)
        self._again_until: Mark | None = None
        self._again = 0
        self._hour = 0
        self._recalled = False
        self._bearing: set[int] = set()
        self._counts: list[Count] = []
        self._changed: dict[tuple[int, Slice, int], Suspicion] = {}
        self._events: list[Event] = []

    def suspicions(self) -> list[Suspicion]:
        """Return the silences that are remembered, the newest first; what has no end lasts."""
        return self._parts.silence.suspicions()

    def rates(self, app: int) -> list[SliceRates]:
        """Return how the slices of an app do, the widest first; empty: none of its devices confirms anything."""
        judge = self._judges.get(app)
        return judge.rates(self._parts.clock.now() // HOUR) if judge is not None else []

    async def recall(self) -> None:
        """Take over what was counted and found before a start."""
        if self._recalled:
            return
        self._recalled = True
        tallies: dict[int, Tally] = {}
        for hour in range(self._begun // HOUR - KEPT, self._begun // HOUR + 1):
            for count in await self._parts.silence.counts(hour):
                tally = tallies.setdefault(count.app, Tally())
                tally.add((count.lane, count.traits), hour, count.sent, count.heard)
            await asyncio.sleep(0)
        known = [one for one in self._parts.silence.suspicions() if (one.until or one.noticed) <= self._begun]
        for app in tallies.keys() | {one.app for one in known}:
            self._judges[app] = Judge(app, tallies.get(app, Tally()), [one for one in known if one.app == app])
        mark = await self._parts.silence.mark()
        if mark is not None and mark.done <= self._begun:
            self._again_until, self._at = mark, Mark(mark.done - DAY * HOUR)
        # What a clock that was ahead noticed would last until that time comes.
        self._note(
            msgspec.structs.replace(one, until=self._begun)
            for one in self._parts.silence.suspicions()
            if one.until is None and one.noticed > self._begun
        )

    async def look(self) -> None:
        """Look at what has become old enough since the last time."""
        if self._parts.clock.now() // HOUR < self._hour - 1:
            self._begin_anew()
        await self.recall()
        await self._let_go()
        await self._write()
        await self._turn(self._parts.clock.now() // HOUR)
        before = self._parts.clock.now() - 1000 * self._parts.settings.silence.grace
        for _ in range(PAGES):
            if not await self._look_on(before):
                return
            await asyncio.sleep(0)
        if self._again_until is None and before - self._at.done > LATE:
            _log.info("silence.left_out", seconds=(before - self._at.done) // 1000)
            self._at = Mark(before - _KEEPING_UP)

    async def _let_go(self) -> None:
        """Forget apps whose pushes bear no token for a receipt any more: their phones say nothing since they are not asked."""
        bearing = {app.id for app in self._parts.apps.all() if app.settings.receipts}
        ended, self._bearing = self._bearing - bearing, bearing
        for app in [app for app in ended & self._judges.keys() if self._parts.apps.by_id(app) is not None]:
            now, judge = self._parts.clock.now(), self._judges.pop(app)
            self._note(msgspec.structs.replace(one, until=now) for one in judge.suspicions if one.until is None)
            await self._write()
            await self._parts.silence.forget(app)

    def _begin_anew(self) -> None:
        """Go on after the wall clock was put back by hours: what is remembered of a later time would stop the watch until then."""
        self._begun = self._parts.clock.now()
        self._at = Mark(self._begun)
        self._judges, self._again_until, self._again = {}, None, 0
        self._hour, self._recalled = 0, False

    async def _look_on(self, before: int) -> bool:
        """Look at one page; tells whether there may be more."""
        again = self._again_until
        until = before if again is None else min(before, again.done + 1)
        page = await self._parts.silence.settled(self._speaking(), after=self._at, before=until, limit=PAGE)
        self._at = page.mark
        await self._take(page, counting=again is None)
        if again is None:
            return page.more
        self._again += 1
        if not page.more or self._again >= AGAIN:
            # What was done later, until the start, may not have been confirmed because nobody was there to hear it.
            self._again_until, self._at = None, Mark(max(again.done, self._begun))
        return True

    def _speaking(self) -> set[int]:
        """Return the apps whose devices confirm what they get, or are told to."""
        return {app.id for app in self._parts.apps.all() if app.settings.receipts or app.id in self._judges}

    async def _take(self, page: SettledPage, *, counting: bool) -> None:
        for app, sent in _by_app(page.sent).items():
            for start in range(0, len(sent), PIECE):
                await asyncio.sleep(0)
                self._judge(app, sent[start : start + PIECE], counting=counting)
        await self._write()

    def _judge(self, app: int, sent: Sequence[Sent], *, counting: bool) -> None:
        judge = self._judges.get(app)
        if judge is None:
            judge = self._judges[app] = Judge(app, Tally())
        counted, changed = judge.take(sent, counting=counting)
        self._note(changed)
        self._counts += [
            Count(app=app, hour=hour, lane=leaf[0], traits=leaf[1], sent=cell[0], heard=cell[1])
            for (hour, leaf), cell in counted.items()
        ]

    def _note(self, changed: Iterable[Suspicion]) -> None:
        for one in changed:
            self._changed[one.app, one.part, one.noticed] = one
            self._events.append(self._event(one))

    async def _write(self) -> None:
        """Keep what was found and counted, with the place where that was, in one commit; what cannot be kept is kept later."""
        if not (self._counts or self._changed):
            return
        counting = self._again_until is None
        kept = await self._parts.silence.record(
            self._counts, tuple(self._changed.values()), self._events, mark=self._at if counting else None
        )
        self._counts, self._changed, self._events = [], {}, []
        for one in kept:
            if one.app in self._judges:
                self._judges[one.app].adopt([one])

    def _event(self, suspicion: Suspicion) -> Event:
        app = self._parts.apps.by_id(suspicion.app)
        event_type = EventType.SILENCE_SUSPECTED if suspicion.until is None else EventType.SILENCE_ENDED
        return Event(
            type=event_type,
            at=self._parts.clock.now(),
            app=app.slug if app is not None else "",
            data=EventData(note=suspicion.note),
        )

    async def _turn(self, hour: int) -> None:
        """Begin an hour: forget what is old, end what has lasted for too long."""
        if hour == self._hour:
            return
        self._hour = hour
        gone = [app for app in self._judges if self._parts.apps.by_id(app) is None]
        for app in gone:
            del self._judges[app]
        for judge in self._judges.values():
            self._note(judge.turn(hour))
            await asyncio.sleep(0)
        await self._write()
        await self._parts.silence.prune(hour=hour - KEPT, before=hour * HOUR - REMEMBERED)


def _by_app(sent: Iterable[Settled]) -> dict[int, list[Sent]]:
    apps: dict[int, list[Sent]] = {}
    for one in sent:
        traits = traits_of(one.facts, one.kind)
        apps.setdefault(one.app, []).append(Sent(one.at, one.lane, one.device, traits, one.heard))
    return apps
