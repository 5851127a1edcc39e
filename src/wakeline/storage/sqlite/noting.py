"""Receipts in a transaction: what a device says of a delivery, whatever that delivery is doing at the moment.

settled      its row, or its eight bytes of a broadcast, say so, and the counters move
waiting      it leaves the queue: no push is needed any more
being sent   the answer of the push service would overwrite it, so it is kept apart and counts once that is written
             (also what waits for a retry, if the receipt is not certain)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import NamedTuple

from wakeline.model.delivery import STATE_NUMBERS, STATES_BY_NUMBER, Job
from wakeline.model.receipt import Receipt
from wakeline.ports.receipts import Heard, Wanted
from wakeline.storage import bulk, receipts
from wakeline.storage.receipts import Known
from wakeline.storage.sqlite import forms
from wakeline.storage.sqlite.bookkeeping import Bookkeeping
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.transaction import Transaction
from wakeline.storage.waiting import is_written

_SQL = load("receipts")
_QUEUE = load("queue")
_LEDGER = load("ledger")


class Asked(NamedTuple):
    """A receipt with the targets that its device has."""

    receipt: Receipt
    targets: Sequence[int]


class _Place(NamedTuple):
    """Where a broadcast keeps a delivery: chunk, position, and the results as they are."""

    chunk: int
    position: int
    results: bytes


class _Found(NamedTuple):
    """A delivery that a receipt is about. `row`: whether it has one of its own; `job`: what it waits in, if it waits."""

    target: int
    known: Known
    row: bool
    created: int
    place: _Place | None = None
    job: Job | None = None


class Noting:
    """What `Receipts.note` and the queue do inside their transactions."""

    def __init__(self, books: Bookkeeping) -> None:
        self._books = books

    def note(self, tx: Transaction, asked: Iterable[Asked], wanted: Wanted) -> list[Heard]:
        """Write receipts with their events; answers in the order asked."""
        return [self._note(tx, *one, wanted) for one in asked]

    def _note(self, tx: Transaction, receipt: Receipt, targets: Sequence[int], wanted: Wanted) -> Heard:
        found = self._find(tx, receipt, targets)
        if found is None:
            return receipts.unheard(receipt)
        if self._must_wait(receipt, found):
            return self._keep(tx, receipt, found, wanted)
        if _is_spared(receipt, found):
            return receipts.unheard(receipt)
        heard = receipts.heard(receipt, found.target, found.known, waits=found.job is not None)
        if heard.fresh:
            self._write(tx, receipt, found)
            self._tell(tx, receipt, found, wanted)
        return heard

    def catch_up(self, tx: Transaction, notifications: Iterable[int]) -> None:
        """Write what was kept of deliveries that are not being sent any more; their events were told when they were heard."""
        books = self._books
        for key in notifications:
            for target, receipt in list(books.early.get(key, {}).items()):
                found = self._find(tx, receipt, (target,))
                if found is not None and (self._must_wait(receipt, found) or _is_spared(receipt, found)):
                    continue
                if found is not None and (found.job is not None or receipts.changes(found.known.state, receipt.kind)):
                    self._write(tx, receipt, found)
                tx.execute(_SQL["forget_early"], (key, target))
                tx.on_commit(partial(books.forget_early, key, target))

    def _must_wait(self, receipt: Receipt, found: _Found) -> bool:
        """Tell whether a receipt counts only once an answer of the push service is written."""
        if found.job is None:
            return False
        return found.job.id in self._books.lanes.leases or (_is_spared(receipt, found) and found.known.tries > 0)

    def _keep(self, tx: Transaction, receipt: Receipt, found: _Found, wanted: Wanted) -> Heard:
        """Keep what was said of a delivery that is being sent; a settlement of the same commit must see it."""
        books, key, target = self._books, receipt.notification, found.target
        former = books.early.get(key, {}).get(target)
        known = Known(None if former is None else receipts.state_of(former.kind))
        heard = receipts.heard(receipt, target, known, waits=False)
        if heard.fresh:
            books.put_early(target, receipt)
            undo = (
                partial(books.forget_early, key, target) if former is None else partial(books.put_early, target, former)
            )
            tx.on_rollback(undo)
            tx.execute(_SQL["keep_early"], forms.early_row(receipt, target))
            self._tell(tx, receipt, found._replace(job=None), wanted)
        return heard

    # --- finding

    def _find(self, tx: Transaction, receipt: Receipt, targets: Sequence[int]) -> _Found | None:
        """Return the delivery of a notification to one of these targets."""
        about = tx.one(_SQL["about"], (receipt.notification,))
        if about is None or about[0] != receipt.app or not targets:
            return None
        _, created, broad = about
        rows = tx.all(_SQL["written_of_device"], (forms.json_list(targets), receipt.notification))
        written = {row[0]: Known(STATES_BY_NUMBER[row[1]], row[2], row[3]) for row in rows}
        look = self._in_chunks if broad else self._in_jobs
        looked = (look(tx, receipt.notification, target, created, written.get(target)) for target in targets)
        found = [one for one in looked if one is not None]
        return min(found, key=lambda one: receipts.distance(one.known, waits=one.job is not None), default=None)

    def _in_jobs(self, tx: Transaction, key: int, target: int, created: int, written: Known | None) -> _Found | None:
        if written is not None and written.is_settled:
            return _Found(target, written, row=True, created=created)
        job = _holding(self._jobs(tx, key, 0), target)
        if job is None:
            job = self._parcel(tx, key, target)
        if job is None and written is None:
            return None
        known = written or Known(None, tries=job.attempt - 1 if job is not None else 0)
        return _Found(target, known, row=written is not None, created=created, job=job)

    def _parcel(self, tx: Transaction, key: int, target: int) -> Job | None:
        parcel = self._books.parcel_of(tx, key)
        part = None if parcel is None else parcel.alone(key)
        return parcel if part is not None and _holding([part], target) is not None else None

    def _in_chunks(self, tx: Transaction, key: int, target: int, created: int, written: Known | None) -> _Found | None:
        for chunk, recipients, results in tx.all(_SQL["holding_chunk"], (key, target, target)):
            position = bulk.position(recipients, target)
            if position is not None:
                place = _Place(chunk, position, results or bulk.blank(recipients))
                job = _holding(self._jobs(tx, key, chunk), target)
                known = written or _entry(place, key, target, created)
                if known is None and job is None:
                    return None
                tries = job.attempt - 1 if job is not None else 0
                return _Found(target, known or Known(None, tries=tries), written is not None, created, place, job)
        return self._in_jobs(tx, key, target, created, written) if written is not None else None

    def _jobs(self, tx: Transaction, key: int, chunk: int) -> list[Job]:
        return [forms.job_of(row) for row in tx.all(_QUEUE["jobs_of_chunk"], (key, chunk))]

    # --- writing

    def _write(self, tx: Transaction, receipt: Receipt, found: _Found) -> None:
        """Write a state that is new, and count it."""
        key, state, known, books = receipt.notification, receipts.state_of(receipt.kind), found.known, self._books
        if found.job is not None:
            books.take_one(tx, found.job, receipts.left_of(found.job, key, found.target))
        if found.place is not None:
            chunk, position, results = found.place
            entry = bulk.told(results, position, state, tries=known.tries, at=receipt.at, created=found.created)
            tx.execute(_LEDGER["set_results"], (bulk.patched(results, [(position, entry)]), chunk))
        if found.row:
            tx.execute(_SQL["tell"], (STATE_NUMBERS[state], receipt.at, key, found.target))
        elif found.place is None:
            books.write(tx, [receipts.unneeded_row(receipt, found.target, known.tries)])
        counted = {(key, state): 1}
        if found.job is None and known.state is not None and is_written(known.state):
            counted[key, known.state] = -1
        books.count(tx, counted)
        if found.job is not None:
            books.complete(tx, [key])

    def _tell(self, tx: Transaction, receipt: Receipt, found: _Found, wanted: Wanted) -> None:
        """Keep the event, if anybody wants it."""
        if wanted(receipts.EVENTS[receipt.kind], receipt.app):
            told = receipts.event(
                receipt,
                found.target,
                app=self._books.slug(receipt.app),
                whose=self._books.whose(found.target),
                tries=found.known.tries,
                unneeded=found.job is not None,
            )
            self._books.keep_events(tx, [told])


def _is_spared(receipt: Receipt, found: _Found) -> bool:
    """Tell whether a delivery that waits is sent whatever this receipt says."""
    return found.job is not None and not receipt.certain


def _holding(jobs: Iterable[Job], target: int) -> Job | None:
    """Return the job that holds a target."""
    return next((job for job in jobs if bulk.position(job.recipients, target) is not None), None)


def _entry(place: _Place, key: int, target: int, created: int) -> Known | None:
    row = bulk.row_at(place.results, place.position, notification=key, target=target, created=created)
    return None if row is None else Known(row.state, row.at, row.tries)
