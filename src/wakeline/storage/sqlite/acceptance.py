"""Accepting notifications: everything that belongs to them in one commit (promise 1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from wakeline.model.delivery import DeliveryRow, NewJob, unpack_all
from wakeline.model.event import Event
from wakeline.model.notification import Notification
from wakeline.model.route import Lane
from wakeline.ports import Admission, Committed, Mismatch, Replayed, Running
from wakeline.storage.parcels import gathered
from wakeline.storage.sqlite import forms
from wakeline.storage.sqlite.bookkeeping import Bookkeeping
from wakeline.storage.sqlite.idempotency import claim
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.transaction import Transaction
from wakeline.storage.sqlite.writer import Writer
from wakeline.storage.waiting import is_written

_LEDGER = load("ledger")

Result = Committed | Replayed | Mismatch | Running


class SqliteAcceptance:
    """Keeps admissions, a batch of them with one statement a table."""

    def __init__(self, writer: Writer, books: Bookkeeping) -> None:
        self._writer = writer
        self._books = books

    async def accept(self, admissions: Sequence[Admission]) -> list[Result]:
        """Keep all of them, or raise StoreUnavailable (NotFound: a deleted app) and keep none; returns when they are on disk."""
        urgent = any(admission.notification.lane is Lane.CALL for admission in admissions)
        return await self._writer.write(lambda tx: self._accept(tx, admissions), urgent=urgent)

    def _accept(self, tx: Transaction, admissions: Sequence[Admission]) -> list[Result]:
        results: list[Result] = []
        new: list[Admission] = []
        for admission in admissions:
            self._books.check_app(admission.notification.app)
            result: Result = Committed()
            if admission.idempotency is not None:
                result = claim(tx, admission.idempotency, admission.reply, admission.notification.created)
            results.append(result)
            if isinstance(result, Committed):
                new.append(admission)
        self._keep(tx, new)
        return results

    def _keep(self, tx: Transaction, admissions: list[Admission]) -> None:
        notifications: list[Notification] = []
        jobs: list[tuple[NewJob, int]] = []
        rows: list[DeliveryRow] = []
        events: list[Event] = []
        finished: list[int] = []
        tx.on_commit(lambda: self._remember(admissions))
        self._keep_singles(tx, [admission for admission in admissions if admission.single is not None])
        for admission in admissions:
            events += admission.events
            if admission.single is not None:
                continue
            notification = admission.notification
            for collapse_key in {job.collapse_key for job in admission.jobs if job.collapse_key}:
                # In the order given: a later admission of this batch may supersede an earlier one.
                self._flush(tx, notifications, jobs, rows)
                self._books.supersede(tx, notification.app, collapse_key)
            notifications.append(notification)
            jobs += self._jobs(tx, admission) if admission.chunks else [(job, job.chunk) for job in admission.jobs]
            rows += admission.rows
            if not admission.jobs:
                finished.append(notification.key)
        self._flush(tx, notifications, jobs, rows)
        self._books.keep_events(tx, events)
        if finished:
            self._books.complete(tx, finished)

    def _keep_singles(self, tx: Transaction, singles: list[Admission]) -> None:
        """Keep notifications with a single delivery; those that share a job name it."""
        if not singles:
            return
        jobs = gathered(singles)
        numbers = self._books.add_jobs(tx, [(job, 0) for job in jobs])
        parcels = {key: number for number, job in zip(numbers, jobs, strict=True) for key in unpack_all(job.members)}
        notifications = [admission.notification for admission in singles]
        tx.many(
            _LEDGER["insert_notification"],
            (forms.notification_row(one, parcels.get(one.key, 0)) for one in notifications),
        )

    def _jobs(self, tx: Transaction, admission: Admission) -> list[tuple[NewJob, int]]:
        chunks = self._books.add_chunks(tx, admission.notification.key, admission.chunks)
        return [(job, chunks[-job.chunk - 1] if job.chunk < 0 else job.chunk) for job in admission.jobs]

    def _flush(
        self,
        tx: Transaction,
        notifications: list[Notification],
        jobs: list[tuple[NewJob, int]],
        rows: list[DeliveryRow],
    ) -> None:
        tx.many(_LEDGER["insert_notification"], map(forms.notification_row, notifications))
        self._books.add_jobs(tx, jobs)
        if rows:
            self._books.write(tx, rows)
            finals = Counter((row.notification, row.state) for row in rows if is_written(row.state))
            self._books.count(tx, finals)
        notifications.clear()
        jobs.clear()
        rows.clear()

    def _remember(self, admissions: list[Admission]) -> None:
        for admission in admissions:
            self._books.cache.keep(admission.notification)
