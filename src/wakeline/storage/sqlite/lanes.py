"""Which jobs are leased, and where claiming goes on: in memory, for one process owns the queue.

Jobs of a route and lane are claimed in the order (due, id). A cursor says how far that has gone, so that a claim costs what
it claims, with a million jobs waiting and thousands leased. What lands behind the cursor (given back, or put with an
earlier due time) goes into a heap that is served first. After a crash nothing of this exists, and every job is free again.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

Place = tuple[int, int]
"""(route, lane)."""

Turn = tuple[int, int]
"""(due, id): the order of claiming."""

BEHIND_LIMIT = 10_000
"""Jobs kept in the heap; beyond that the cursor itself goes back, which costs a scan but no memory."""

_START: Turn = (-(1 << 62), 0)


class Lease(NamedTuple):
    """A job that was claimed."""

    place: Place
    turn: Turn
    notification: int
    deliveries: int


class Entry(NamedTuple):
    """A job as the counters see it."""

    job: int
    place: Place
    due: int
    deliveries: int


class LaneBook(msgspec.Struct):
    """One route and lane: counters, the claim cursor, and the heap of what is behind it."""

    jobs: int = 0
    deliveries: int = 0
    leased: int = 0
    reached: Turn = _START
    behind: list[Turn] = []

    def put_behind(self, turn: Turn) -> None:
        """Remember a job that the cursor has passed."""
        heapq.heappush(self.behind, turn)
        if len(self.behind) > BEHIND_LIMIT:
            due, job = self.behind[0]
            self.reached = (due, job - 1)
            self.behind.clear()


class Lanes:
    """All routes and lanes, the leases, and the jobs that an uncommitted transaction takes away."""

    def __init__(self) -> None:
        self.books: dict[Place, LaneBook] = {}
        self.leases: dict[int, Lease] = {}
        self.pending = 0
        self._withheld: dict[int, Entry] = {}
        self._shared: Counter[int] = Counter()
        self._stopped: dict[int, list[int]] = {}

    def load(self, place: Place, jobs: int, deliveries: int) -> None:
        """Set the counters of a place as they were found at start."""
        self.books[place] = LaneBook(jobs=jobs, deliveries=deliveries)
        self.pending += deliveries

    def is_free(self, job: int) -> bool:
        """Tell whether a job may be leased or withdrawn."""
        return job not in self.leases and job not in self._withheld and job not in self._shared

    def lease(self, job: int, lease: Lease) -> None:
        """Lease a free job."""
        self.leases[job] = lease
        self.books[lease.place].leased += 1

    def release(self, job: int) -> Lease | None:
        """End a lease and have the job claimed again; None if there was none."""
        lease = self.leases.pop(job, None)
        if lease is not None:
            book = self.books[lease.place]
            book.leased -= 1
            self._return(book, lease.turn)
        return lease

    def stop(self, parcel: int, notification: int) -> None:
        """Remember that a notification was cancelled whose leased parcel may come back."""
        self._stopped.setdefault(parcel, []).append(notification)

    def stopped(self, parcel: int) -> list[int]:
        """Return, and forget, what of a parcel was cancelled while it was leased."""
        return self._stopped.pop(parcel, [])

    def share(self, entry: Entry) -> None:
        """Keep a parcel from being claimed while a transaction that takes something out of it is not committed."""
        self._shared[entry.job] += 1

    def unshare(self, entry: Entry, *, taken: int, left: int) -> None:
        """Count what was taken out of a parcel, and give the rest back, if there is any."""
        self._shared[entry.job] -= 1
        if not self._shared[entry.job]:
            del self._shared[entry.job]
        book = self.books.get(entry.place)
        if book is None:
            return
        book.deliveries -= taken
        self.pending -= taken
        if left:
            self._return(book, (entry.due, entry.job))
        else:
            book.jobs -= 1

    def added(self, entries: Iterable[Entry]) -> dict[Place, int]:
        """Count jobs that were put; return when each place has work."""
        woken: dict[Place, int] = {}
        for entry in entries:
            book = self.books.get(entry.place)
            if book is None:
                book = self.books[entry.place] = LaneBook()
            book.jobs += 1
            book.deliveries += entry.deliveries
            self.pending += entry.deliveries
            self._return(book, (entry.due, entry.job))
            woken[entry.place] = min(entry.due, woken.get(entry.place, entry.due))
        return woken

    def finished(self, entry: Entry) -> None:
        """Count a job that is gone, and end its lease."""
        book = self.books[entry.place]
        book.jobs -= 1
        book.deliveries -= entry.deliveries
        self.pending -= entry.deliveries
        self._stopped.pop(entry.job, None)
        if self.leases.pop(entry.job, None) is not None:
            book.leased -= 1

    def shrunk(self, job: int, remaining: int) -> None:
        """Count what is left of a leased job."""
        lease = self.leases.get(job)
        if lease is not None:
            gone = lease.deliveries - remaining
            self.books[lease.place].deliveries -= gone
            self.pending -= gone
            self.leases[job] = lease._replace(deliveries=remaining)

    def withhold(self, entries: Iterable[Entry]) -> None:
        """Keep jobs from being claimed while a transaction that deletes them is not committed."""
        self._withheld.update((entry.job, entry) for entry in entries)

    def withdrawn(self, entries: Iterable[Entry]) -> None:
        """Count withheld jobs as gone: the transaction was committed."""
        for entry in entries:
            del self._withheld[entry.job]
            self.finished(entry)

    def returned(self, entries: Iterable[Entry]) -> None:
        """Give withheld jobs back: the transaction was undone."""
        for entry in entries:
            del self._withheld[entry.job]
            book = self.books.get(entry.place)
            if book is not None:
                self._return(book, (entry.due, entry.job))

    @staticmethod
    def _return(book: LaneBook, turn: Turn) -> None:
        if turn <= book.reached:
            book.put_behind(turn)
