"""What is claimed and not yet handed over, and what has gone and not come back: the loads of all routes.

A load stands on the shelf of its route and lane until everything of it has gone; it is known until everything is settled.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from wakeline.model.delivery import DeliveryState, Job
from wakeline.model.outcome import Outcome
from wakeline.pipeline.agenda import Spot
from wakeline.pipeline.claim import Claims
from wakeline.pipeline.load import HOP, LIMITED, Load
from wakeline.pipeline.parts import Parts
from wakeline.pipeline.settle import Settle
from wakeline.wire.outcomes import Refusal, ours


class Shelf:
    """Loads by route and lane."""

    def __init__(self, parts: Parts, settle: Settle, checks: Claims) -> None:
        self._parts = parts
        self._settle = settle
        self._checks = checks
        self._queues: dict[Spot, deque[Load]] = {}
        self._live: dict[int, Load] = {}

    def add(self, spot: Spot, load: Load) -> None:
        """Put a checked load at the end of its lane."""
        self._live[load.job.id] = load
        self._queues.setdefault(spot, deque()).append(load)

    def spots(self) -> list[Spot]:
        """Return where loads stand."""
        return [spot for spot, loads in self._queues.items() if loads]

    def stands(self, spot: Spot) -> bool:
        """Tell whether loads stand there."""
        return bool(self._queues.get(spot))

    def at(self, spot: Spot) -> list[Load]:
        """Return the loads of a spot, in order."""
        return list(self._queues.get(spot, ()))

    def ahead(self, spot: Spot) -> int:
        """Count the deliveries of a spot that wait here."""
        return sum(load.unsent for load in self._queues.get(spot, ()))

    def waiting(self, route: int) -> int:
        """Count the deliveries of a route that wait here."""
        return sum(load.unsent for (owner, _), loads in self._queues.items() if owner == route for load in loads)

    def expire(self, now: int) -> None:
        """End what is too late, wherever it stands."""
        for loads in self._queues.values():
            for load in [load for load in loads if load.unsent and load.job.expires <= now]:
                self.end(load, DeliveryState.EXPIRED, self._checks.late(load.job))

    def head(self, spot: Spot, now: int) -> Load | None:
        """Return the first load of a spot that has something to send; what is too late ends here."""
        loads = self._queues.get(spot)
        while loads:
            load = loads[0]
            if load.unsent and load.job.expires <= now:
                self.end(load, DeliveryState.EXPIRED, self._checks.late(load.job))
            if load.unsent:
                return load
            loads.popleft()
        return None

    def end(self, load: Load, state: DeliveryState, outcome: Outcome) -> int:
        """Settle what of a load has not gone; returns how many."""
        numbers = load.drop()
        self._checks.end(load, numbers, state, outcome)
        self.ended(load)
        return len(numbers)

    def ended(self, load: Load) -> None:
        """Forget a load once all of it is settled."""
        if load.finished:
            self._live.pop(load.job.id, None)

    def tidy(self) -> None:
        """Forget what was settled behind our back, and empty lanes."""
        self._live = {job: load for job, load in self._live.items() if not load.finished}
        self._queues = {spot: loads for spot, loads in self._queues.items() if loads}

    async def retract(self, spot: Spot, loads: Iterable[Load]) -> bool:
        """Give loads back: whole ones by their lease, begun ones as new jobs of what has not gone; tell if leases were given."""
        whole: list[int] = []
        for load in list(loads):
            self._queues[spot].remove(load)
            if load.touched:
                self._put_back(load)
            else:
                whole.append(load.job.id)
                self._live.pop(load.job.id, None)
        if whole:
            await self._parts.queue.release(whole)
        return bool(whole)

    async def give_back(self, jobs: Sequence[Job], loads: Iterable[Load]) -> None:
        """Undo a claim that failed half-way: no lease may outlive the attempt to make loads of its jobs."""
        begun = [load for load in loads if load.touched]
        for load in begun:
            self.put_off(load, load.unsettled(), self._parts.clock.now(), ours(Refusal.ROUTE_HELD))
        kept = {load.job.id for load in begun}
        await self._parts.queue.release([job.id for job in jobs if job.id not in kept])

    def _put_back(self, load: Load) -> None:
        self.put_off(load, load.drop(), self._parts.clock.now(), ours(Refusal.ROUTE_HELD))
        self.ended(load)

    def limit(self, load: Load, number: int, due: int) -> None:
        """Put a recipient back until its device may have another push; it counts as held meanwhile."""
        outcome = ours(Refusal.DEVICE_RATE_LIMITED)
        now, attempt = self._parts.clock.now(), load.job.attempt
        self._settle.again(load, number, due=due, attempt=attempt, outcome=outcome, made=None, code=LIMITED, at=now)
        self.ended(load)

    def put_off(self, load: Load, numbers: Sequence[int], due: int, outcome: Outcome) -> None:
        """Put recipients of a load back into the queue, as they were."""
        now = self._parts.clock.now()
        for number in numbers:
            self._settle.again(
                load,
                number,
                due=due,
                attempt=load.job.attempt,
                outcome=outcome,
                made=None,
                code=HOP if load.job.code == HOP else 0,
                at=now,
            )

    def cancel(self, notification: int) -> int:
        """Take the unsent deliveries of a notification out; returns how many."""
        taken = 0
        for load in list(self._live.values()):
            numbers = load.drop_of(notification)
            taken += len(numbers)
            self._checks.end(load, numbers, DeliveryState.CANCELLED, ours(Refusal.CANCELLED))
            self.ended(load)
        return taken

    async def clear(self) -> None:
        """Give back what was not begun, and send no more of what was."""
        for spot in self.spots():
            await self.retract(spot, [load for load in self._queues[spot] if not load.touched])
            for load in self._queues.pop(spot):
                load.drop()

    async def leave(self) -> int:
        """Give back the jobs that are not finished, after the last flush wrote their progress; returns how many."""
        left = [job for job, load in self._live.items() if not load.finished]
        self._live = {}
        if left:
            await self._parts.queue.release(left)
        return len(left)
