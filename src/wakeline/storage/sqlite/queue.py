"""The queue: jobs in a table, leases in memory."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import partial

from wakeline.model.delivery import DeliveryState, Job, JobKind, NewJob
from wakeline.model.route import Lane
from wakeline.ports import Cancelled, Due, FanoutStep, LaneDepth, Settlement
from wakeline.storage.sqlite import forms
from wakeline.storage.sqlite.bookkeeping import Bookkeeping
from wakeline.storage.sqlite.lanes import Entry, LaneBook, Place, Turn
from wakeline.storage.sqlite.noting import Noting
from wakeline.storage.sqlite.reader import Reader
from wakeline.storage.sqlite.settling import Settling
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.transaction import Transaction
from wakeline.storage.sqlite.writer import Writer

_QUEUE = load("queue")
_LEDGER = load("ledger")
_RECEIPTS = load("receipts")


class SqliteQueue:
    """Claims read what is committed and lease in memory; everything else is a transaction."""

    def __init__(self, writer: Writer, reader: Reader, books: Bookkeeping) -> None:
        self._writer = writer
        self._reader = reader
        self._books = books
        self._lanes = books.lanes
        self._noting = Noting(books)
        self._settling = Settling(books, self._noting)

    def listen(self, wake: Callable[[int, Lane, int], None]) -> None:
        """Have `wake` called after a commit that put jobs."""
        self._books.wakes.append(wake)

    # --- claiming ---

    async def due(self, now: int) -> list[Due]:  # noqa: ARG002 - for adapters whose leases end with time
        """Return when work is due, for each route and lane."""
        found = ((place, self._first_due(place, book)) for place, book in sorted(self._lanes.books.items()))
        return [Due(route=route, lane=Lane(lane), at=at) for (route, lane), at in found if at is not None]

    async def claim(self, route: int, lane: Lane, *, limit: int, now: int) -> list[Job]:
        """Lease due jobs, earliest first: those behind the cursor, then from the cursor on."""
        book = self._lanes.books.get((route, int(lane)))
        if book is None or book.jobs <= book.leased:
            return []
        claimed = self._take(self._behind(book, now), limit)
        limit -= sum(map(_weight, claimed))
        if limit > 0:
            claimed += self._take(self._ahead((route, int(lane)), book, now), limit)
        return claimed

    async def claim_expired(self, *, limit: int, now: int) -> list[Job]:
        """Lease jobs whose time has ended."""
        with closing(self._reader.lazily(_QUEUE["expired"], (now,))) as rows:
            return self._take((forms.job_of(row) for row in rows), limit)

    def _take(self, jobs: Generator[Job, None, None], limit: int) -> list[Job]:
        claimed: list[Job] = []
        with closing(jobs):
            while limit > 0 and (job := next(jobs, None)) is not None:
                if self._lanes.is_free(job.id) and (job.route, int(job.lane)) in self._lanes.books:
                    self._lanes.lease(job.id, forms.lease_of(job))
                    claimed.append(job)
                    limit -= _weight(job)
        return claimed

    def _behind(self, book: LaneBook, now: int) -> Generator[Job, None, None]:
        """Yield jobs that the cursor has passed; one that is gone or leased meanwhile is dropped."""
        while book.behind and book.behind[0][0] <= now:
            _, number = heapq.heappop(book.behind)
            row = self._reader.one(_QUEUE["job"], (number,))
            if row is not None:
                yield forms.job_of(row)

    def _ahead(self, place: Place, book: LaneBook, now: int) -> Generator[Job, None, None]:
        """Yield jobs from the cursor on, and move it along."""
        same, later = (*place, *book.reached), (*place, book.reached[0], now)
        for statement, parameters in (("claim_same", same), ("claim_later", later)):
            with closing(self._reader.lazily(_QUEUE[statement], parameters)) as rows:
                for row in rows:
                    job = forms.job_of(row)
                    book.reached = (job.due, job.id)
                    yield job

    def _first_due(self, place: Place, book: LaneBook) -> int | None:
        """Return when the first free job of a place is due."""
        if book.jobs <= book.leased:
            return None
        while book.behind and not self._is_waiting(book.behind[0]):
            heapq.heappop(book.behind)
        if book.behind:
            return book.behind[0][0]
        same, later = (*place, *book.reached), (*place, book.reached[0])
        for statement, parameters in (("due_same", same), ("due_later", later)):
            with closing(self._reader.lazily(_QUEUE[statement], parameters)) as rows:
                found = next((due for due, number in rows if self._lanes.is_free(number)), None)
            if found is not None:
                return int(found)
        return None

    def _is_waiting(self, turn: Turn) -> bool:
        return self._lanes.is_free(turn[1]) and self._reader.one(_QUEUE["job"], (turn[1],)) is not None

    async def chunks(self, chunks: Sequence[int]) -> dict[int, bytes]:
        """Return the recipients of bulk chunks."""
        rows = (self._reader.one(_LEDGER["chunk"], (chunk,)) for chunk in dict.fromkeys(chunks))
        return {row[0]: row[1] for row in rows if row is not None}

    # --- settling ---

    async def settle(self, settlement: Settlement) -> None:
        """Write a batch of results; on a full disk the ballast makes room for it (promise 7)."""
        if settlement.empty and not settlement.counts:
            return
        await self._writer.write(lambda tx: self._settling.settle(tx, settlement), essential=True)

    async def step(self, step: FanoutStep) -> None:
        """Write one step of a walk."""
        await self._writer.write(lambda tx: self._settling.step(tx, step))

    async def release(self, jobs: Sequence[int]) -> None:
        """Give leased jobs back; those of a notification that was cancelled meanwhile are cancelled now."""
        released = [lease for job in jobs if (lease := self._lanes.release(job)) is not None]
        members = [notification for job in jobs for notification in self._lanes.stopped(job)]
        for notification in sorted({*(lease.notification for lease in released), *members}):
            standing = self._reader.one(_LEDGER["standing"], (notification,))
            if standing is not None and standing[3]:
                await self.cancel(notification, self._books.clock.now())
        if self._books.early:
            await self._writer.write(lambda tx: self._noting.catch_up(tx, sorted(self._books.early)))

    async def cancel(self, notification: int, now: int) -> Cancelled:
        """Take what is not leased out of the queue."""
        return await self._writer.write(lambda tx: self._cancel(tx, notification, now))

    def _cancel(self, tx: Transaction, notification: int, now: int) -> Cancelled:
        standing = tx.one(_LEDGER["standing"], (notification,))
        if standing is None or standing[4] is not None:
            return Cancelled(cancelled=0, in_flight=0)
        tx.execute(_LEDGER["set_cancelled"], (notification,))
        tx.on_commit(lambda: self._books.cache.forget(notification))
        jobs = [forms.job_of(row) for row in tx.all(_QUEUE["jobs_of"], (notification,))]
        free = [job for job in jobs if job.id not in self._lanes.leases]
        if any(job.kind is JobKind.FANOUT for job in free):
            tx.execute(_LEDGER["end_walk"], (notification,))
        cancelled = self._books.take_out(tx, free, DeliveryState.CANCELLED, now)
        waiting = sum(len(job.recipients) // 8 for job in jobs)
        parcel = self._books.parcel_of(tx, notification)
        if parcel is not None:
            waiting += 1
            if parcel.id in self._lanes.leases:
                tx.on_commit(lambda: self._lanes.stop(parcel.id, notification))
                return Cancelled(cancelled=cancelled, in_flight=waiting - cancelled)
            cancelled += self._books.take_from(tx, parcel, notification, DeliveryState.CANCELLED, now)
        self._books.complete(tx, [notification])
        return Cancelled(cancelled=cancelled, in_flight=waiting - cancelled)

    # --- looking ---

    async def depth(self) -> list[LaneDepth]:
        """Count what waits."""
        return [
            LaneDepth(
                route=place[0],
                lane=Lane(place[1]),
                jobs=book.jobs,
                deliveries=book.deliveries,
                leased=book.leased,
                oldest=self._first_due(place, book),
            )
            for place, book in sorted(self._lanes.books.items())
            if book.jobs
        ]

    async def pending(self) -> int:
        """Return the number of deliveries waiting or leased."""
        return self._lanes.pending

    async def rescue(self) -> int:
        """Forget all leases, and finish the cancels that a crash cut short."""
        leased = list(self._lanes.leases)
        await self.release(leased)
        for (notification,) in self._reader.all(_QUEUE["stopping"]):
            await self.cancel(notification, self._books.clock.now())
        return len(leased)

    async def forget_app(self, app: int, batch: int) -> None:
        """Forget what an app sent and has queued, some notifications a commit; parcels first, which belong to many."""
        while await self._writer.write(lambda tx: self._drop_parcels(tx, app, batch)):
            pass
        while keys := [key for (key,) in self._reader.all(_LEDGER["keys_of_app"], (app, batch))]:
            await self._writer.write(partial(self._forget, keys))

    def _drop_parcels(self, tx: Transaction, app: int, batch: int) -> bool:
        """Drop some parcels, as they are now: one may be settled, or lose a member, in the same commit."""
        parcels = [forms.job_of(row) for row in tx.all(_QUEUE["parcels_of_app"], (app, batch))]
        self._drop(tx, [forms.entry_of(job) for job in parcels])
        return bool(parcels)

    def _forget(self, keys: Sequence[int], tx: Transaction) -> None:
        forgetting = self._books.forgetting
        forgetting.update(keys)
        for ended in (tx.on_commit, tx.on_rollback):
            ended(lambda: forgetting.difference_update(keys))
        for key in keys:
            entries = [forms.entry_of(forms.job_of(row)) for row in tx.all(_QUEUE["jobs_of"], (key,))]
            self._drop(tx, entries)
        forget(tx, self._books, keys)

    def _drop(self, tx: Transaction, entries: list[Entry]) -> None:
        tx.many(_QUEUE["delete_job"], ((entry.job,) for entry in entries))
        for entry in entries:
            tx.on_commit(partial(self._lanes.finished, entry))


def forget(tx: Transaction, books: Bookkeeping, notifications: Sequence[int]) -> None:
    """Forget notifications with their deliveries and chunks."""
    for statement in ("forget_deliveries", "forget_chunks", "forget_notification"):
        tx.many(_LEDGER[statement], [(key,) for key in notifications])
    for key in notifications:
        tx.on_commit(partial(books.cache.forget, key))
        if key in books.early:
            tx.execute(_RECEIPTS["forget_early_of"], (key,))
            tx.on_commit(partial(books.forget_early_of, key))


def _weight(job: NewJob) -> int:
    """Return how many deliveries a claim counts for a job; a walk counts as one."""
    return len(job.recipients) // 8 or 1
