"""Walking an audience: tags, everyone, or more names than one transaction takes. Each step commits its cursor with its jobs.

The cursor of a walk counts names first (users, devices, raw targets, in the order given) and device row ids after them.
A walk runs apart from the dispatcher, a step at a time, and stops while a route that may send has enough jobs ahead of it;
a route on hold does not stop it: what waits there waits in the queue, 8 bytes a recipient.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from wakeline.model.app import App
from wakeline.model.delivery import Job, pack, pack_all, pack_targets
from wakeline.model.device import Address, Candidate, Crowd
from wakeline.model.notification import Audience, Notification
from wakeline.model.outcome import Outcome
from wakeline.model.route import Lane
from wakeline.pipeline.agenda import Agenda
from wakeline.pipeline.audience import Directory, slice_of
from wakeline.pipeline.dispatch import LOOK_AGAIN, Dispatch
from wakeline.pipeline.made import Made
from wakeline.pipeline.parts import Parts
from wakeline.pipeline.remembered import Remembered
from wakeline.pipeline.resolve import FANOUT_ROUTE, PER_JOB, absent_at, choose, choose_columns, kinds_for, parts
from wakeline.pipeline.route import RouteTable
from wakeline.pipeline.terms import NAMED_LIMIT
from wakeline.ports import FanoutStep

DEVICES = 2500
"""Devices in a step."""

SLICE = 500
"""Devices read at once: between two slices a call may pass."""

SLICE_BESIDE_CALLS = 100
"""The same while calls are about."""

AHEAD = 50
"""Jobs that a walk may be ahead of the senders, a route."""

WALKS = 4
"""Walks that take turns."""


class Walk:
    """A claimed fan-out job; `reached` are the targets met by name, so that the walk over devices does not meet them again."""

    def __init__(self, job: Job, notification: Notification) -> None:
        self.job = job
        self.notification = notification
        self.audience = notification.audience or Audience()
        self.named = len(self.audience.users) + len(self.audience.devices) + len(self.audience.targets)
        self.cursor = job.cursor
        self.reached: set[int] | None = None


class Fanout:
    """Takes the steps of all walks in turns."""

    def __init__(self, parts: Parts, table: RouteTable, dispatch: Dispatch, remembered: Remembered) -> None:
        self._parts = parts
        self._table = table
        self._remembered = remembered
        self._dispatch = dispatch
        self._agenda = Agenda()
        self._walks: deque[Walk] = deque()

    def call(self, route: int, lane: Lane, due: int) -> None:
        """Note that the queue has work (`Queue.listen`)."""
        if route == FANOUT_ROUTE:
            self._agenda.call((route, lane), due)

    async def turn(self) -> bool:
        """Take one step of one walk; returns whether anything was done."""
        if not self._dispatch.claims:
            return False
        await self._claim()
        if not self._walks or self._far_ahead():
            return False
        walk = self._walks.popleft()
        try:
            over = await self._step(walk)
        except BaseException:
            # What it remembers may be ahead of what was written: it begins anew where the store says.
            await self._give_back([walk.job])
            raise
        if not over:
            self._walks.append(walk)
        return True

    async def _give_back(self, jobs: Sequence[Job]) -> None:
        self._agenda.spoil()
        await self._parts.queue.release([job.id for job in jobs])

    def next(self) -> float | None:
        """Return the seconds until a walk may begin; None: not before something calls."""
        if not self._dispatch.claims:
            return LOOK_AGAIN
        return self._agenda.next(self._parts.clock.now(), self._parts.clock.monotonic())

    async def stop(self) -> None:
        """Give the walks back; they go on where they are."""
        walks, self._walks = self._walks, deque()
        if walks:
            await self._parts.queue.release([walk.job.id for walk in walks])

    async def _claim(self) -> None:
        now = self._parts.clock.now()
        if self._agenda.unread(self._parts.clock.monotonic()):
            self._agenda.read([due for due in await self._parts.queue.due(now) if due.route == FANOUT_ROUTE])
        for spot in self._agenda.due(now):
            room = WALKS - len(self._walks)
            if room <= 0:
                return
            jobs = await self._parts.queue.claim(*spot, limit=room, now=now)
            if len(jobs) < room:
                self._agenda.exhausted(spot)
            try:
                known = await self._parts.ledger.notifications([job.notification for job in jobs])
            except BaseException:
                await self._give_back(jobs)
                raise
            self._walks.extend(Walk(job, known[job.notification]) for job in jobs if job.notification in known)

    def _far_ahead(self) -> bool:
        """Tell whether a route that may send has enough ahead of it."""
        ways = [self._table.way(route) for route in self._dispatch.ahead.routes(AHEAD)]
        return any(way is not None and self._table.barrier(way) is None for way in ways)

    async def _step(self, walk: Walk) -> bool:
        """Commit one step; returns whether the walk is over."""
        notification = walk.notification
        app = self._parts.apps.by_id(notification.app)
        known = (await self._parts.ledger.notifications([notification.key])).get(notification.key)
        over = app is None or known is None or known.cancelled or walk.job.expires <= self._parts.clock.now()
        if app is None or over:
            await self._parts.queue.step(_end(walk))
            return True
        if walk.reached is None:
            walk.reached = await self._reached_before(app, walk)
        if walk.cursor < walk.named:
            return await self._named(app, walk, walk.reached)
        if walk.audience.tags or walk.reached or notification.only_if_absent:
            return await self._devices(app, walk, walk.reached)
        return await self._everyone(app, walk)

    async def _reached_before(self, app: App, walk: Walk) -> set[int]:
        """Find again what the named part has met so far: after a restart the walk goes on in its middle."""
        reached: set[int] = set()
        for start in range(0, min(walk.cursor, walk.named), NAMED_LIMIT):
            found = await self._look_up(app, walk, start)
            reached.update(candidate.target for candidate, _ in found)
        return reached

    async def _look_up(self, app: App, walk: Walk, start: int) -> list[tuple[Candidate, int]]:
        part = slice_of(walk.audience, start, NAMED_LIMIT)
        directory = Directory()
        await directory.look_up(self._parts.devices, app.id, [part], self._parts.clock.now())
        named = directory.named(part, walk.notification.content.type, app.settings)
        return [(entry.candidate, entry.generation) for entry in named]

    async def _named(self, app: App, walk: Walk, reached: set[int]) -> bool:
        found = await self._look_up(app, walk, walk.cursor)
        fresh = [candidate for candidate, _ in found if candidate.target not in reached]
        reached.update(candidate.target for candidate in fresh)
        generations = {candidate.target: generation for candidate, generation in found}
        cursor = min(walk.cursor + NAMED_LIMIT, walk.named)
        finished = cursor == walk.named and not walk.audience.is_broad
        return await self._commit(app, walk, fresh, generations, cursor, finished=finished)

    async def _devices(self, app: App, walk: Walk, reached: set[int]) -> bool:
        after, chosen, finished = walk.cursor - walk.named, list[Candidate](), False
        for _ in range(DEVICES // SLICE):
            found = await self._parts.devices.walk(app.id, tags=walk.audience.tags, after=after, limit=SLICE)
            if not found:
                finished = True
                break
            after = found[-1].device
            chosen += choose(found, walk.notification.content.type, app.settings)
            await asyncio.sleep(0)
        if reached:
            chosen = [candidate for candidate in chosen if candidate.target not in reached]
        return await self._commit(app, walk, chosen, {}, walk.named + after, finished=finished)

    async def _everyone(self, app: App, walk: Walk) -> bool:
        """Walk devices of which nothing has to be known one by one: in columns, and claiming them need not read them again."""
        content, version = walk.notification.content, self._parts.devices.version
        kinds = kinds_for(content.type, app.settings)
        locales = content.alert is not None and bool(content.alert.localized)
        after, crowds, finished, left = walk.cursor - walk.named, dict[Address, Crowd](), False, DEVICES
        while left > 0:
            limit = SLICE_BESIDE_CALLS if self._dispatch.calls_about else SLICE
            found = await self._parts.devices.sweep(app.id, kinds=kinds, after=after, limit=limit, locales=locales)
            left -= limit
            if not found.last:
                finished = True
                break
            after = found.last
            for address, crowd in choose_columns(found.crowds, kinds):
                if address in crowds:
                    crowds[address].join(crowd)
                else:
                    crowds[address] = crowd
            await asyncio.sleep(0)
        places = await self._table.place(app, content.type, crowds)
        made = Made(walk.notification, walk.job, self._parts.clock.now())
        for address, crowd in crowds.items():
            place = places[address]
            for start in range(0, len(crowd), PER_JOB):
                part = crowd[start : start + PER_JOB]
                if isinstance(place, Outcome):
                    made.refuse(pack_targets(part.targets))
                else:
                    job = made.put(place, walk.job.due, pack_targets(part.targets))
                    self._remembered.keep(job, part, version)
        await self._put(walk, made, walk.named + after, finished=finished)
        return finished

    async def _commit(
        self,
        app: App,
        walk: Walk,
        found: list[Candidate],
        generations: dict[int, int],
        cursor: int,
        *,
        finished: bool,
    ) -> bool:
        """Make jobs of what was found, and commit them with the cursor. `generations` by target; absent means 0."""
        groups: dict[Address, list[Candidate]] = {}
        for candidate in found:
            groups.setdefault(candidate[-3:], []).append(candidate)
        places = await self._table.place(app, walk.notification.content.type, groups)
        now = self._parts.clock.now()
        waiting: dict[tuple[int, int], list[int]] = {}
        unserved: list[int] = []
        for address, group in groups.items():
            place = places[address]
            packed = [pack(candidate.target, generations.get(candidate.target, 0)) for candidate in group]
            if isinstance(place, Outcome):
                unserved += packed
            elif walk.notification.only_if_absent:
                for candidate, recipient in zip(group, packed, strict=True):
                    there = self._parts.connected(app.id, candidate.device_id)
                    due = max(walk.job.due, absent_at(candidate, now, connected=there))
                    waiting.setdefault((place, due), []).append(recipient)
            else:
                waiting.setdefault((place, walk.job.due), []).extend(packed)
        made = Made(walk.notification, walk.job, now)
        for (route, due), recipients in waiting.items():
            for part in parts(recipients):
                made.put(route, due, pack_all(part))
        for part in parts(unserved):
            made.refuse(pack_all(part))
        await self._put(walk, made, cursor, finished=finished)
        return finished

    async def _put(self, walk: Walk, made: Made, cursor: int, *, finished: bool) -> None:
        """Commit what a step made together with its cursor."""
        await self._parts.queue.step(made.step(cursor, finished=finished))
        self._dispatch.ahead.made(made.jobs)
        walk.cursor = cursor


def _end(walk: Walk) -> FanoutStep:
    """Return the step that ends a walk early: its notification is cancelled, late or gone."""
    return FanoutStep(job=walk.job.id, notification=walk.notification.key, cursor=walk.cursor, finished=True, found=0)
