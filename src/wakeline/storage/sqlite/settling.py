"""Settling: what a batch of answers, or a step of a walk, changes in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from wakeline.model.delivery import DeliveryState, NewJob
from wakeline.ports import AcceptedRun, BulkResult, FanoutStep, JobProgress, Settlement
from wakeline.storage.sqlite.bookkeeping import Bookkeeping
from wakeline.storage.sqlite.lanes import Entry
from wakeline.storage.sqlite.noting import Noting
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.transaction import Transaction

_QUEUE = load("queue")
_LEDGER = load("ledger")


class _Standing(NamedTuple):
    """How a notification stands, as `standing` reads it."""

    app: int
    created: int
    walked: int
    cancelled: int
    done: int | None


class Settling:
    """The transactions of `settle` and `step`."""

    def __init__(self, books: Bookkeeping, noting: Noting) -> None:
        self._books = books
        self._noting = noting

    def settle(self, tx: Transaction, settlement: Settlement) -> None:
        """Write a batch of results."""
        books, leases = self._books, self._books.lanes.leases
        # Known before anything of this changes: whoever forgets an app ends the leases of its jobs, too.
        sure = not books.forgetting and all(
            job in leases for job in (*settlement.finished, *(item.job for item in settlement.progress))
        )
        touched = self._finish(tx, settlement.finished)
        self._shrink(tx, settlement.progress)
        # A leased job's notification exists; any other may have been forgotten with its app while pushes were on their way.
        known = {*touched, *(leases[item.job].notification for item in settlement.progress if item.job in leases)}
        known -= books.forgetting
        doubtful = {row.notification for row in settlement.rows} - known
        standings = self._standings(tx, doubtful | {job.notification for job in settlement.again})
        known.update(standings)
        books.write(tx, [row for row in settlement.rows if row.notification in known])
        for run in settlement.accepted:
            books.write_accepted(tx, run if sure else self._kept(tx, run))
        for result in settlement.bulk:
            books.write_results(tx, result.chunk, result.entries)
        books.keep_events(tx, settlement.events)
        stopped = self._again(tx, settlement.again, standings)
        whole = [key for run in settlement.accepted if run.whole for key in run.notifications]
        ended = {*touched, *settlement.ended, *stopped}
        books.count(tx, settlement.counts, ended=ended, whole=whole, quiet=settlement.quiet)
        if books.early:
            self._catch_up(tx, settlement, known | ended)

    def _catch_up(self, tx: Transaction, settlement: Settlement, touched: set[int]) -> None:
        """Write what devices said while all this was under way."""
        answered = {row.notification for row in settlement.rows}
        answered.update(*(run.notifications for run in settlement.accepted))
        self._noting.catch_up(tx, sorted(self._books.early.keys() & (touched | answered)))

    def _kept(self, tx: Transaction, run: AcceptedRun) -> AcceptedRun:
        """Return what of a run belongs to notifications that still exist."""
        known = self._standings(tx, run.notifications)
        pairs = [pair for pair in zip(run.notifications, run.targets, strict=True) if pair[0] in known]
        return run._replace(notifications=[key for key, _ in pairs], targets=[target for _, target in pairs])

    def _standings(self, tx: Transaction, keys: Iterable[int]) -> dict[int, _Standing]:
        """Read those that still exist: an app may have been forgotten while its pushes were on their way."""
        rows = ((key, tx.one(_LEDGER["standing"], (key,))) for key in keys)
        return {key: _Standing(*row) for key, row in rows if row is not None}

    def _finish(self, tx: Transaction, finished: Sequence[int]) -> list[int]:
        """End jobs; return the notifications they belong to."""
        entries: list[Entry] = []
        touched: dict[int, None] = {}
        for number in dict.fromkeys(finished):
            lease = self._books.lanes.leases.get(number)
            if lease is not None and lease.notification not in self._books.forgetting:
                entries.append(Entry(number, lease.place, lease.turn[0], lease.deliveries))
                if lease.notification:
                    touched[lease.notification] = None
        tx.many(_QUEUE["delete_job"], ((entry.job,) for entry in entries))
        tx.on_commit(lambda: self._count_finished(entries))
        return list(touched)

    def _count_finished(self, entries: list[Entry]) -> None:
        for entry in entries:
            lease = self._books.lanes.leases.get(entry.job)
            if lease is not None:
                self._books.lanes.finished(entry._replace(deliveries=lease.deliveries))

    def _shrink(self, tx: Transaction, progress: Sequence[JobProgress]) -> None:
        tx.many(_QUEUE["shrink_job"], ((item.remaining, item.members, item.job) for item in progress))
        tx.on_commit(lambda: self._count_shrunk(progress))

    def _count_shrunk(self, progress: Sequence[JobProgress]) -> None:
        for item in progress:
            self._books.lanes.shrunk(item.job, len(item.remaining) // 8)

    def _again(self, tx: Transaction, again: Sequence[NewJob], standings: dict[int, _Standing]) -> set[int]:
        """Queue what is tried again; what was cancelled meanwhile ends here. Returns the notifications of that."""
        known = [job for job in again if job.notification in standings]
        stopped = [job for job in known if standings[job.notification].cancelled]
        if stopped:
            self._books.withdraw(tx, stopped, DeliveryState.CANCELLED, self._books.clock.now())
        self._books.add_jobs(tx, [(job, job.chunk) for job in known if not standings[job.notification].cancelled])
        return {job.notification for job in stopped}

    def step(self, tx: Transaction, step: FanoutStep) -> None:
        """Write one step of a walk; nothing if the notification was cancelled or forgotten meanwhile."""
        standing = self._standings(tx, [step.notification]).get(step.notification)
        tx.on_commit(lambda: self._books.cache.forget(step.notification))
        if standing is None or standing.cancelled:
            self._end_walk(tx, step)
        else:
            self._walk_on(tx, step)
        self._books.complete(tx, [step.notification])

    def _end_walk(self, tx: Transaction, step: FanoutStep) -> None:
        self._finish(tx, [step.job])
        tx.execute(_LEDGER["end_walk"], (step.notification,))

    def _walk_on(self, tx: Transaction, step: FanoutStep) -> None:
        books = self._books
        chunks = books.add_chunks(tx, step.notification, step.chunks)
        books.write(tx, step.rows)
        for result in step.results:
            books.write_results(tx, _chunk(result, chunks), result.entries)
        books.count(tx, {(step.notification, state): number for state, number in step.counts})
        tx.execute(_LEDGER["found"], (step.found, step.notification))
        books.keep_events(tx, step.events)
        books.add_jobs(tx, [(job, chunks[-job.chunk - 1] if job.chunk < 0 else job.chunk) for job in step.jobs])
        if step.finished:
            self._end_walk(tx, step)
        else:
            tx.execute(_QUEUE["advance_job"], (step.cursor, step.job))


def _chunk(result: BulkResult, chunks: list[int]) -> int:
    return chunks[-result.chunk - 1] if result.chunk < 0 else result.chunk
