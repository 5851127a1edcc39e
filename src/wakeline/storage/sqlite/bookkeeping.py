"""The changes that acceptance, queue and ledger share: jobs in and out, deliveries withdrawn, notifications completed.

Every method takes part in its caller's transaction; what memory learns, it learns by `on_commit`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat

from wakeline.model.delivery import DeliveryRow, DeliveryState, Job, JobKind, NewJob, unpack, unpack_all
from wakeline.model.errors import NotFound
from wakeline.model.event import Event
from wakeline.model.receipt import Receipt
from wakeline.model.route import Lane
from wakeline.ports import AcceptedRun, Chunk, Clock
from wakeline.storage import bulk, notices
from wakeline.storage.content import without_content
from wakeline.storage.rows import FORGOTTEN, Whose
from wakeline.storage.sqlite import forms
from wakeline.storage.sqlite.apps import SqliteApps
from wakeline.storage.sqlite.events import SqliteEvents
from wakeline.storage.sqlite.lanes import Entry, Lanes
from wakeline.storage.sqlite.notification_cache import NotificationCache
from wakeline.storage.sqlite.reader import Reader
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.transaction import Transaction

_QUEUE = load("queue")
_LEDGER = load("ledger")
_RECEIPTS = load("receipts")


class Bookkeeping:
    """Shared by the ports of the main file."""

    def __init__(
        self,
        clock: Clock,
        apps: SqliteApps,
        events: SqliteEvents,
        whose: Callable[[Sequence[int]], Mapping[int, Whose]],
    ) -> None:
        self.clock = clock
        self.lanes = Lanes()
        self.cache = NotificationCache()
        self.wakes: list[Callable[[int, Lane, int], None]] = []
        self.forgetting: set[int] = set()
        """Notifications that a transaction which is not committed yet forgets: nothing is to be written about them."""
        self.early: dict[int, dict[int, Receipt]] = {}
        """By notification and target: what devices said of deliveries that are being sent (`noting`)."""
        self._apps = apps
        self._events = events
        self._whose = whose
        self._last_job = 0
        self._last_chunk = 0

    def load(self, reader: Reader) -> None:
        """Count what waits and continue the ids."""
        for route, lane, jobs, deliveries in reader.all(_QUEUE["depth"]):
            self.lanes.load((route, lane), jobs, deliveries)
        (self._last_job,) = reader.one(_QUEUE["last_job"])
        (self._last_chunk,) = reader.one(_QUEUE["last_chunk"])
        for row in reader.all(_RECEIPTS["early"]):
            self.put_early(row[1], forms.early_of(row))

    def add_chunks(self, tx: Transaction, notification: int, chunks: Iterable[Chunk]) -> list[int]:
        """Keep chunks and return their ids."""
        rows = []
        for chunk in chunks:
            self._last_chunk += 1
            recipients = unpack_all(chunk.recipients)
            (low, _), (high, _) = unpack(min(recipients, default=0)), unpack(max(recipients, default=0))
            rows.append((self._last_chunk, notification, chunk.route, low, high, chunk.recipients))
        tx.many(_LEDGER["insert_chunk"], rows)
        return [row[0] for row in rows]

    def add_jobs(self, tx: Transaction, jobs: Iterable[tuple[NewJob, int]]) -> range:
        """Queue jobs, each with the row id of its chunk (0: none); returns the ids they got, in order."""
        rows = []
        first = self._last_job + 1
        entries: list[Entry] = []
        number = self._last_job
        for job, chunk in jobs:
            number += 1
            rows.append(forms.job_row(number, job, chunk))
            entries.append(Entry(number, (job.route, int(job.lane)), job.due, len(job.recipients) // 8))
        self._last_job = number
        if rows:
            tx.many(_QUEUE["insert_job"], rows)
            tx.on_commit(lambda: self._wake(entries))
        return range(first, number + 1)

    def _wake(self, entries: list[Entry]) -> None:
        for (route, lane), due in self.lanes.added(entries).items():
            for wake in self.wakes:
                wake(route, Lane(lane), due)

    def write(self, tx: Transaction, rows: Iterable[DeliveryRow]) -> None:
        """Upsert deliveries."""
        tx.many(_LEDGER["upsert_delivery"], map(forms.delivery_row, rows))

    def write_accepted(self, tx: Transaction, run: AcceptedRun) -> None:
        """Upsert deliveries that were accepted in the same attempt; complete those that were all of their notification."""
        tx.many(_LEDGER["upsert_delivery"], forms.accepted_rows(run))
        if run.whole:
            tx.many(_LEDGER["accepted_whole"], zip(repeat(self.clock.now()), run.notifications, strict=False))

    def write_results(self, tx: Transaction, chunk: int, entries: Sequence[tuple[int, bytes]]) -> None:
        """Write entries of a bulk chunk."""
        found = tx.one(_LEDGER["chunk"], (chunk,))
        if found is not None:
            _, recipients, results = found
            tx.execute(_LEDGER["set_results"], (bulk.patched(results or bulk.blank(recipients), entries), chunk))

    def count(
        self,
        tx: Transaction,
        counted: Mapping[tuple[int, DeliveryState], int],
        ended: Iterable[int] = (),
        *,
        whole: Sequence[int] = (),
        quiet: bool = False,
    ) -> None:
        """Count deliveries in written states, and complete those of `ended`, whose jobs ended just now.

        `whole` are complete already: of one delivery, which was accepted. `quiet`: such are not worth an event.
        """
        sums: dict[int, dict[DeliveryState, int]] = {}
        for (notification, state), number in counted.items():
            sums.setdefault(notification, {})[state] = number
        now = self.clock.now()
        ended = sorted(ended)  # events of one commit come in an order that every store keeps
        tx.many(_LEDGER["count_and_finish"], ((*forms.increments(sums.pop(key, {})), now, key) for key in ended))
        tx.many(_LEDGER["count"], ((*forms.increments(states), key) for key, states in sums.items()))
        if whole and not (quiet and self._keeps_content()):
            ended = sorted((*ended, *whole))
        done = tx.all(_LEDGER["finished"], (forms.json_list(ended),)) if ended else []
        events = [self._completed(tx, row[0], row[1], row[2:], now) for row in done]
        if quiet:
            events = [event for event, row in zip(events, done, strict=True) if not _is_single_success(row[2:])]
        self.keep_events(tx, events)

    def _keeps_content(self) -> bool:
        return all(app.settings.keep_content for app in self._apps.all())

    def take_out(self, tx: Transaction, jobs: Sequence[Job], state: DeliveryState, at: int) -> int:
        """Delete free jobs and write their deliveries; they cannot be claimed meanwhile. Returns how many deliveries."""
        entries = [forms.entry_of(job) for job in jobs]
        self.lanes.withhold(entries)
        tx.on_commit(lambda: self.lanes.withdrawn(entries))
        tx.on_rollback(lambda: self.lanes.returned(entries))
        tx.many(_QUEUE["delete_job"], ((job.id,) for job in jobs))
        return self.withdraw(tx, jobs, state, at)

    def parcel_of(self, source: Transaction | Reader, notification: int) -> Job | None:
        """Return the parcel in which a notification waits, or None."""
        row = source.one(_QUEUE["parcel_of"], (notification,))
        parcel = None if row is None else forms.job_of(row)
        return parcel if parcel is not None and parcel.alone(notification) is not None else None

    def take_one(self, tx: Transaction, job: Job, left: NewJob) -> None:
        """Take one delivery out of a free job, of which `left` stays; nobody claims the job meanwhile."""
        entry = forms.entry_of(job)
        self.lanes.share(entry)
        tx.on_commit(lambda: self.lanes.unshare(entry, taken=1, left=len(left.recipients) // 8))
        tx.on_rollback(lambda: self.lanes.unshare(entry, taken=0, left=len(job.recipients) // 8))
        if left.recipients:
            tx.execute(_QUEUE["shrink_job"], (left.recipients, left.members, job.id))
        else:
            tx.execute(_QUEUE["delete_job"], (job.id,))

    def take_from(self, tx: Transaction, parcel: Job, notification: int, state: DeliveryState, at: int) -> int:
        """Take one notification out of a free parcel; nobody claims the parcel meanwhile. Returns how many deliveries."""
        self.take_one(tx, parcel, parcel.without(notification))
        part = parcel.alone(notification)
        return self.withdraw(tx, [part], state, at) if part is not None else 0

    def withdraw(self, tx: Transaction, jobs: Sequence[NewJob], state: DeliveryState, at: int) -> int:
        """Write the deliveries of jobs that leave the queue unsent, or never entered it; returns how many."""
        counted: dict[tuple[int, DeliveryState], int] = {}
        for job in jobs:
            key = job.notification, state
            counted[key] = counted.get(key, 0) + len(job.recipients) // 8
            if job.chunk:
                self._withdraw_bulk(tx, job, state, at)
            elif job.kind is JobKind.SEND:
                self._withdraw_each(tx, job, state, at)
        self.count(tx, counted)
        return sum(counted.values())

    def _withdraw_each(self, tx: Transaction, job: NewJob, state: DeliveryState, at: int) -> None:
        targets = [unpack(recipient)[0] for recipient in unpack_all(job.recipients)]
        whose = self._whose(targets)
        app, tries = self.slug(job.app), job.attempt - 1
        events = []
        for target in targets:
            _, device, kind = whose.get(target, FORGOTTEN)
            events.append(
                notices.withdrawn(
                    job.notification, target, state, app=app, device=device, kind=kind, tries=tries, at=at
                )
            )
        self.write(
            tx, [notices.withdrawn_row(job.notification, target, state, tries=tries, at=at) for target in targets]
        )
        self.keep_events(tx, events)

    def _withdraw_bulk(self, tx: Transaction, job: NewJob, state: DeliveryState, at: int) -> None:
        chunk = tx.one(_LEDGER["chunk"], (job.chunk,))
        standing = tx.one(_LEDGER["standing"], (job.notification,))
        if chunk is not None and standing is not None:
            entry = bulk.entry(state, tries=job.attempt - 1, code=0, at=at, created=standing[1])
            places = bulk.positions(chunk[1], job.recipients)
            self.write_results(tx, job.chunk, [(place, entry) for place in places])

    def supersede(self, tx: Transaction, app: int, collapse_key: str) -> None:
        """Take limited jobs with this key out of the queue: a newer push says the same better."""
        found = [forms.job_of(row) for row in tx.all(_QUEUE["limited"], (app, collapse_key))]
        former = [job for job in found if self.lanes.is_free(job.id)]
        if former:
            self.take_out(tx, former, DeliveryState.SUPERSEDED, self.clock.now())
            self.complete(tx, {job.notification for job in former})

    def complete(self, tx: Transaction, notifications: Iterable[int]) -> None:
        """Complete those of which everything was walked and nothing waits."""
        now = self.clock.now()
        events: list[Event] = []
        for key in sorted(notifications):
            row = tx.one(_LEDGER["idle"], (key,))
            if row is not None:
                tx.execute(_LEDGER["set_done"], (now, key))
                events.append(self._completed(tx, key, row[0], row[1:], now))
        self.keep_events(tx, events)

    def _completed(self, tx: Transaction, key: int, app: int, columns: Sequence[int], now: int) -> Event:
        found = self._apps.by_id(app)
        if found is not None and not found.settings.keep_content:
            self._shed_content(tx, key)
        return notices.completed(key, found.slug if found else "", forms.written_of(columns), now)

    def _shed_content(self, tx: Transaction, key: int) -> None:
        bare = without_content(forms.notification_of(tx.one(_LEDGER["notification"], (key,))))
        tx.execute(_LEDGER["drop_content"], (forms.content_form(bare.content), key))
        tx.on_commit(lambda: self.cache.forget(key))

    def keep_events(self, tx: Transaction, events: Sequence[Event]) -> None:
        """Keep events in this transaction."""
        self._events.keep(tx, events)

    def put_early(self, target: int, receipt: Receipt) -> None:
        """Remember what a device said of a delivery that is being sent."""
        self.early.setdefault(receipt.notification, {})[target] = receipt

    def forget_early(self, notification: int, target: int) -> None:
        """Forget it."""
        kept = self.early.get(notification, {})
        kept.pop(target, None)
        if not kept:
            self.early.pop(notification, None)

    def forget_early_of(self, notification: int) -> None:
        """Forget all that is remembered of a notification."""
        self.early.pop(notification, None)

    def whose(self, target: int) -> Whose:
        """Return the device behind a target."""
        return self._whose([target]).get(target, FORGOTTEN)

    def check_app(self, app: int) -> None:
        """Raise NotFound for an app that was deleted."""
        if self._apps.is_gone(app):
            raise NotFound("The app was deleted")

    def slug(self, app: int) -> str:
        """Return an app's slug; empty when it is forgotten."""
        found = self._apps.by_id(app)
        return found.slug if found else ""


def _is_single_success(columns: Sequence[int]) -> bool:
    """Tell whether a notification came to one delivery, which was accepted."""
    return sum(columns) == 1 and forms.written_of(columns)[DeliveryState.ACCEPTED] == 1
