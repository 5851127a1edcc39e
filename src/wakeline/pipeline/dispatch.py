"""Claiming for the senders: one loop, no task for a delivery.

A turn claims what is due and hands over as much as each sender has room for: calls of all routes first, then each route's
lanes in turns. A turn is bounded, so that a call never waits for the end of a newsletter. Claimed jobs wait in memory in
small numbers (`AHEAD`); a route that stops gives them back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from wakeline.model.delivery import DeliveryState
from wakeline.model.errors import WakelineError
from wakeline.model.outcome import Outcome
from wakeline.model.route import HoldReason, Lane
from wakeline.pipeline.agenda import Agenda, Spot
from wakeline.pipeline.ahead import Ahead
from wakeline.pipeline.answers import Answers
from wakeline.pipeline.canary import Canary
from wakeline.pipeline.claim import Claims
from wakeline.pipeline.feed import Feed
from wakeline.pipeline.load import HOP, Load
from wakeline.pipeline.meter import Stage
from wakeline.pipeline.parts import Parts
from wakeline.pipeline.ramp import PULSE
from wakeline.pipeline.resolve import FANOUT_ROUTE
from wakeline.pipeline.route import RouteTable
from wakeline.pipeline.settle import Settle
from wakeline.pipeline.shelf import Shelf
from wakeline.pipeline.ship import Shipping
from wakeline.pipeline.way import Way, refusal_of
from wakeline.ports import Due
from wakeline.wire.outcomes import Refusal, ours

_log = structlog.get_logger()

AHEAD = 1000
"""Deliveries of one route and lane that may be claimed and not yet handed over."""

CLAIM = 500
"""Deliveries of lanes below calls that a turn claims, about: twice what it hands over, or a lane that always has more to claim
would never have enough on its shelf to leave the claiming to the others."""

PIECE = 250
"""Deliveries that are claimed at once."""

LOOK_AGAIN = 1.0
"""Seconds until the next turn while nothing is claimed; whoever ends that state calls."""

_BRAKED_AGAIN = 60_000
"""Milliseconds after which a target whose route is braked is looked at again."""


class Dispatch:
    """The loop's body. `turn` does bounded work; `next` says when there will be more."""

    def __init__(
        self,
        parts: Parts,
        table: RouteTable,
        settle: Settle,
        answers: Answers,
        checks: Claims,
        canary: Canary,
        wake: Callable[[], None],
    ) -> None:
        self._parts = parts
        self._table = table
        self._settle = settle
        self.wake = wake
        self._checks = checks
        self._agenda = Agenda()
        self._shelf = Shelf(parts, settle, checks)
        self._feed = Feed(parts, table, checks, self._shelf, Shipping(parts, answers, self._shelf), canary)
        self.ahead = Ahead(wake)
        self.stopped = False
        self.full = False
        """The disk is nearly full: nothing is claimed (promise 7)."""

    def call(self, route: int, lane: Lane, due: int) -> None:
        """Note that the queue has work (`Queue.listen`)."""
        if route != FANOUT_ROUTE:
            self._agenda.call((route, lane), due)

    async def turn(self) -> bool:
        """Do a bounded piece of work; returns whether anything was done."""
        now = self._parts.clock.now()
        await self._retract_held()
        if not self.claims:
            return False
        if self._agenda.unread(self._parts.clock.monotonic()):
            self._agenda.read(await self._due(now))
            self.ahead.keep(self._agenda.due(now))
            self._shelf.tidy()
        due = self._agenda.due(now)
        done = False
        for spot in due:
            if spot[1] is Lane.CALL:
                done |= await self._claim(spot, now) > 0
        done |= await self._feed.calls(now)
        claimed = 0
        for spot in due:
            if spot[1] is not Lane.CALL:
                claimed += await self._claim_some(spot, CLAIM - claimed, now)
        return await self._feed.routes(now) or done or claimed > 0

    async def _due(self, now: int) -> list[Due]:
        """Ask the queue what is due; if it cannot say, it is asked again in the next turn."""
        try:
            return [due for due in await self._parts.queue.due(now) if due.route != FANOUT_ROUTE]
        except BaseException:
            self._agenda.spoil()
            raise

    def next(self) -> float | None:
        """Return the seconds until the next turn makes sense; None: not before something calls."""
        if not self.claims:
            return LOOK_AGAIN
        now, monotonic = self._parts.clock.now(), self._parts.clock.monotonic()
        waits = [wait for wait in [self._agenda.next(now, monotonic)] if wait is not None]
        for way in self._table.ways():
            if way.breaker.probe_at is not None and way.breaker.probe_at > monotonic:
                waits.append(way.breaker.probe_at - monotonic)
            if way.paused_until > monotonic:
                waits.append(way.paused_until - monotonic)
            elif (
                way.ramp is not None and self._shelf.stands((way.route.id, Lane.BULK)) and not way.ramp.room(monotonic)
            ):
                waits.append(PULSE)
        return min(waits, default=None)

    @property
    def claims(self) -> bool:
        """Tell whether work is taken: not while results cannot be written, the disk is full, or the service stops."""
        return not (self._settle.failing or self.full or self.stopped)

    @property
    def calls_about(self) -> bool:
        """Tell whether whatever takes its time should take it in small pieces."""
        return self._feed.calls_about

    def waiting(self, route: int) -> int:
        """Count the deliveries of a route that are claimed and not handed over."""
        return self._shelf.waiting(route)

    # --- claiming

    async def _claim_some(self, spot: Spot, most: int, now: int) -> int:
        """Claim about `most` deliveries at one spot, piece by piece: a piece takes as long as others may wait for the loop."""
        claimed = 0
        while claimed < most:
            piece = await self._claim(spot, now)
            claimed += piece
            await asyncio.sleep(0)
            if piece < PIECE:
                break
        return claimed

    async def _claim(self, spot: Spot, now: int) -> int:
        """Claim what is due at one spot, if its route may send, and return how many deliveries it was.

        What can never be sent is settled at once; what the store cannot be asked about now is given back.
        """
        route, lane = spot
        way = self._table.way(route)
        if way is None:
            self._agenda.exhausted(spot)
            return 0
        limit, refusal = self._allowance(way, lane)
        limit = min(limit, PIECE)
        if limit <= 0:
            return 0
        jobs = await self._parts.queue.claim(route, lane, limit=limit, now=now)
        taken = sum(len(job.recipients) // 8 for job in jobs)
        if taken < limit:
            self._agenda.exhausted(spot)
        self.ahead.claimed(spot, jobs, exhausted=taken < limit)
        if jobs:
            waited = self._parts.clock.now() - jobs[0].due
            self._parts.meter.passed(Stage.CLAIM, lane.name.lower(), max(0, waited) / 1000)
        loads: list[Load] = []
        try:
            loads += await self._checks.loads(jobs)
            if refusal is None:
                for load in await self._checks.check(self._unbraked(way, loads)):
                    self._shelf.add(spot, load)
        except Exception as error:
            self._agenda.exhausted(spot)
            await self._shelf.give_back(jobs, loads)
            if not isinstance(error, WakelineError):
                raise
            _log.error("claim.failed", route=route, lane=lane.name, detail=error.detail)
            return 0
        if refusal is not None:
            for load in loads:
                self._checks.end_all(load, DeliveryState.FAILED, refusal)
        return taken

    def _allowance(self, way: Way, lane: Lane) -> tuple[int, Outcome | None]:
        """Return how much may be claimed, and the refusal it meets if it is not to be sent."""
        if way.credential is None and self._table.stranded(way) is None:
            return AHEAD, ours(Refusal.NO_CREDENTIAL)
        hold = self._table.barrier(way)
        ahead = self._shelf.ahead((way.route.id, lane))
        if hold is None:
            paused = way.paused_until > self._parts.clock.monotonic() and lane is not Lane.CALL
            return (0 if paused or ahead > AHEAD // 2 else AHEAD - ahead), None
        silent = hold.reason is HoldReason.BREAKER
        if lane is Lane.CALL:
            # A silent provider is asked for every call: a request too many costs less than a call that was never tried.
            return AHEAD - ahead, None if silent else refusal_of(hold)
        probes = silent and not self.waiting(way.route.id) and way.breaker.may_probe(self._parts.clock.monotonic())
        return int(probes), None

    def _unbraked(self, way: Way, loads: list[Load]) -> list[Load]:
        """Put back those that would try the other environment for a route whose brake is closed."""
        if not any(load.job.code == HOP for load in loads):
            return loads
        home = self._table.counterpart(way)
        if home is None or not home.braked:
            return loads
        later = self._parts.clock.now() + _BRAKED_AGAIN
        for load in loads:
            if load.job.code == HOP:
                self._shelf.put_off(load, range(len(load.packed)), later, ours(Refusal.BRAKE))
        return [load for load in loads if not load.finished]

    # --- taking back

    async def _retract_held(self) -> None:
        """Give back what waits for routes that may not send; calls on them fail at once."""
        for spot in self._shelf.spots():
            way = self._table.way(spot[0])
            hold = self._table.barrier(way) if way is not None else None
            silent = hold is not None and hold.reason is HoldReason.BREAKER
            if hold is None and way is not None and way.credential is not None:
                continue
            loads = self._shelf.at(spot)
            probing = silent and way is not None and way.breaker.may_probe(self._parts.clock.monotonic())
            if spot[1] is not Lane.CALL:
                # What has begun, or waits for room, stays for the probe of a silent provider.
                if not probing and await self._shelf.retract(
                    spot, [load for load in loads if not (silent and load.touched)]
                ):
                    self._agenda.spoil()
            elif not silent:
                refusal = refusal_of(hold) if hold is not None else ours(Refusal.NO_CREDENTIAL)
                for load in loads:
                    self._shelf.end(load, DeliveryState.FAILED, refusal)

    def expire(self) -> None:
        """End what waited too long for room: no sender is asked, and nobody else would notice."""
        self._shelf.expire(self._parts.clock.now())

    def cancel(self, notification: int) -> int:
        """Take the claimed and unsent deliveries of a notification out; returns how many."""
        return self._shelf.cancel(notification)

    async def stop(self) -> None:
        """Claim no more and give back what was not begun."""
        self.stopped = True
        await self._shelf.clear()

    async def leave(self) -> int:
        """Give back the jobs that are not finished, after the last flush; returns how many."""
        return await self._shelf.leave()
