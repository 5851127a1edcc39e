"""How far walks are ahead of the senders: bulk jobs that were made and nobody has claimed yet, by route and lane.

Counted, since asking the queue would cost a look at each job that waits for a retry. A job may also end without being
claimed (cancelled, expired, its app forgotten), so a spot where nothing is left to claim counts as empty, whatever was
counted before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from wakeline.model.delivery import Job, NewJob
from wakeline.pipeline.agenda import Spot


class Ahead:
    """The counters; `fell` is called when one of them falls, so that a walk that waits for that may go on."""

    def __init__(self, fell: Callable[[], None]) -> None:
        self._fell = fell
        self._jobs: dict[Spot, int] = {}

    def made(self, jobs: Iterable[NewJob]) -> None:
        """Count jobs that a step of a walk put into the queue."""
        for job in jobs:
            spot = job.route, job.lane
            self._jobs[spot] = self._jobs.get(spot, 0) + 1

    def claimed(self, spot: Spot, jobs: Iterable[Job], *, exhausted: bool) -> None:
        """Count down; `exhausted`: nothing is left there."""
        before = self._jobs.pop(spot, 0)
        left = 0 if exhausted else before - sum(job.chunk > 0 and job.attempt == 1 for job in jobs)
        if left > 0:
            self._jobs[spot] = left
        if left < before:
            self._fell()

    def keep(self, busy: Collection[Spot]) -> None:
        """Forget the spots where nothing is due."""
        idle = [spot for spot in self._jobs if spot not in busy]
        for spot in idle:
            del self._jobs[spot]
        if idle:
            self._fell()

    def routes(self, least: int) -> set[int]:
        """Return the routes of which so many jobs or more wait in one lane."""
        return {route for (route, _), jobs in self._jobs.items() if jobs >= least}
