"""The ledger: what is written, joined with what still waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from functools import partial
from itertools import islice
from time import perf_counter
from typing import NamedTuple

import msgspec

from wakeline.model.delivery import Attempt, Delivery, DeliveryRow, DeliveryState, Job, unpack, unpack_all
from wakeline.model.notification import Counts, Notification
from wakeline.ports import DeliveryPage
from wakeline.storage import bulk, rows
from wakeline.storage.rows import FORGOTTEN, Pending, Whose
from wakeline.storage.sqlite import forms
from wakeline.storage.sqlite.bookkeeping import Bookkeeping
from wakeline.storage.sqlite.queue import forget
from wakeline.storage.sqlite.reader import Reader
from wakeline.storage.sqlite.standing import Standing
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.transaction import Transaction
from wakeline.storage.sqlite.writer import Writer
from wakeline.storage.waiting import counts

_QUEUE = load("queue")
_LEDGER = load("ledger")

SPELL = 0.001
"""Seconds that a transaction of `prune` may take of the loop, about: others wait for it."""

_ROWS = 50
_CHUNKS = 4
"""Deliveries, and chunks of a broadcast, that are forgotten between two looks at the clock."""

_BULK = 1 << 60
"""Cursors from here on are places in chunks: chunk id and position; below they are target row ids."""
_POSITION_BITS = 9
_READ_AT_ONCE = 100
"""Notifications decoded before others get the loop; each takes some 10 microseconds."""
_Written = tuple[DeliveryRow, tuple[Attempt, ...]]


class _Line(NamedTuple):
    """A delivery on its way to a page, without its device's names."""

    delivery: Delivery
    cursor: int


class SqliteLedger:
    """Notifications and deliveries, a page at a time."""

    def __init__(
        self,
        writer: Writer,
        reader: Reader,
        books: Bookkeeping,
        standing: Standing,
        whose: Callable[[Sequence[int]], Mapping[int, Whose]],
        targets_of_device: Callable[[int], list[int]],
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._books = books
        self._standing = standing
        self._whose = whose
        self._targets_of_device = targets_of_device

    async def notification(self, key: int) -> Notification | None:
        """Return a notification, or None."""
        row = self._reader.one(_LEDGER["notification"], (key,))
        return None if row is None else forms.notification_of(row)

    async def notifications(self, keys: Sequence[int]) -> dict[int, Notification]:
        """Return those that exist, from the cache where possible."""
        cache = self._books.cache
        found = {key: kept for key in keys if (kept := cache.get(key)) is not None}
        missing = [key for key in dict.fromkeys(keys) if key not in found]
        for start in range(0, len(missing), _READ_AT_ONCE):
            if start:
                await asyncio.sleep(0)
            for row in self._reader.all(
                _LEDGER["notifications"], (forms.json_list(missing[start : start + _READ_AT_ONCE]),)
            ):
                notification = forms.notification_of(row)
                cache.keep(notification)
                found[notification.key] = notification
        return found

    async def counts(self, key: int, now: int) -> Counts:
        """Count deliveries by state: the written counters, and the jobs that wait."""
        with self._reader.snapshot():
            columns = self._reader.one(_LEDGER["written"], (key,))
            waiting = self._reader.all(_QUEUE["waiting_of"], (key,))
            parcel = self._books.parcel_of(self._reader, key)
        if columns is None:
            return Counts()
        waits = [(self._standing.of(forms.job_of(row), now).state, row[-1]) for row in waiting]
        if parcel is not None:
            waits.append((self._standing.of(parcel, now).state, 1))
        return counts(forms.written_of(columns), waits)

    async def deliveries(
        self, key: int, *, now: int, state: DeliveryState | None = None, cursor: int = 0, limit: int = 50
    ) -> DeliveryPage:
        """Return a page of deliveries."""
        with self._reader.snapshot(), closing(self._lines(key, now, state, cursor)) as lines:
            wanted = (line for line in lines if state in (None, line.delivery.state))
            found = list(islice(wanted, limit + 1))
        page = found[:limit]
        return DeliveryPage(
            deliveries=tuple(self._named([line.delivery for line in page])),
            cursor=page[-1].cursor if len(found) > limit else None,
        )

    async def delivery(self, key: int, target: int, now: int) -> Delivery | None:
        """Return one delivery, or None."""
        with self._reader.snapshot():
            return self._delivery(key, target, now)

    def _delivery(self, key: int, target: int, now: int) -> Delivery | None:
        row = self._reader.one(_LEDGER["delivery"], (key, target))
        written = None if row is None else forms.delivery_of(row)
        pending = self._single_waits(key, now).get(target)
        if pending is None:
            in_bulk = self._in_bulk(key, target, now, written)
            if in_bulk is not None:
                return self._named([in_bulk])[0]
        if written is None and pending is None:
            return None
        return self._named([_joined(key, target, written, pending)])[0]

    async def recent(self, app: int, *, device: int | None = None, limit: int = 20) -> list[Delivery]:
        """Return the newest deliveries written, newest first."""
        if device is None:
            found = self._reader.all(_LEDGER["recent_of_app"], (app, limit))
        else:
            targets = self._targets_of_device(device)
            found = [
                row for target in targets for row in self._reader.all(_LEDGER["recent_of_target"], (target, limit))
            ]
            found.sort(key=lambda row: (-row[0], row[1]))
        return self._named([_joined(row[0], row[1], forms.delivery_of(row), None) for row in found[:limit]])

    async def broadcasts(self, app: int, *, limit: int = 20) -> list[Notification]:
        """Return the newest broadcasts of an app, newest first."""
        return [forms.notification_of(row) for row in self._reader.all(_LEDGER["newest_broadcasts"], (app, limit))]

    async def prune(self, before: int, limit: int) -> int:
        """Delete notifications done before that time, for `SPELL` in one transaction: a broadcast takes many."""
        keys = [key for (key,) in self._reader.all(_LEDGER["done_before"], (before, limit))]
        forgotten = 0
        while forgotten < len(keys):
            forgotten += await self._writer.write(partial(self._forget_some, keys[forgotten:]))
        return forgotten

    def _forget_some(self, keys: Sequence[int], tx: Transaction) -> int:
        """Delete what a spell is long enough for, in order, and return how many notifications are gone whole."""
        end = perf_counter() + SPELL
        whole = 0
        while whole < len(keys) and perf_counter() < end:
            whole += self._forget_piece(keys[whole], tx)
        return whole

    def _forget_piece(self, key: int, tx: Transaction) -> bool:
        """Delete some of what belongs to a notification, and it itself when nothing else is left; tell whether it is gone."""
        for statement, most in (("forget_some_deliveries", _ROWS), ("forget_some_chunks", _CHUNKS)):
            if tx.execute(_LEDGER[statement], (key, most)).rowcount == most:
                return False
        forget(tx, self._books, [key])
        return True

    async def newest(self) -> int:
        """Return the largest key kept (0: none)."""
        (newest,) = self._reader.one(_LEDGER["newest"])
        return int(newest)

    # --- one list of three sources ---

    def _lines(self, key: int, now: int, state: DeliveryState | None, cursor: int) -> Generator[_Line, None, None]:
        if cursor < _BULK:
            yield from self._singles(key, now, cursor)
        chunk, passed = divmod(cursor - _BULK, 1 << _POSITION_BITS) if cursor >= _BULK else (0, 0)
        yield from self._bulk(key, now, state, chunk, passed)

    def _singles(self, key: int, now: int, after: int) -> Generator[_Line, None, None]:
        """Yield deliveries that belong to no chunk, by target."""
        pending = self._single_waits(key, now)
        written = {row[1]: row for row in self._reader.all(_LEDGER["deliveries"], (key, after))}
        chunked = self._reader.one(_LEDGER["chunks_of"], (key, 0)) is not None
        for target in sorted(written.keys() | {target for target in pending if target > after}):
            row = written.get(target)
            if target in pending or not chunked or self._chunk_of(key, target) is None:
                yield _Line(_joined(key, target, row and forms.delivery_of(row), pending.get(target)), target)

    def _single_waits(self, key: int, now: int) -> dict[int, Pending]:
        jobs = self._jobs_of_chunk(key, 0)
        parcel = self._books.parcel_of(self._reader, key)
        part = None if parcel is None else parcel.alone(key)
        return self._waits(jobs if part is None else [*jobs, part], now)

    def _waits(self, jobs: Iterable[Job], now: int) -> dict[int, Pending]:
        """Return what waits in jobs, by target."""
        waits: dict[int, Pending] = {}
        for job in jobs:
            pending = self._pending(job, now)
            waits.update((unpack(recipient)[0], pending) for recipient in unpack_all(job.recipients))
        return waits

    def _jobs_of_chunk(self, key: int, chunk: int) -> list[Job]:
        return [forms.job_of(row) for row in self._reader.all(_QUEUE["jobs_of_chunk"], (key, chunk))]

    def _pending(self, job: Job, now: int) -> Pending:
        return Pending(self._standing.of(job, now), job.due, job.attempt - 1)

    def _bulk(
        self, key: int, now: int, state: DeliveryState | None, first: int, passed: int
    ) -> Generator[_Line, None, None]:
        """Yield the entries of chunks in the order of the walk; chunks without the wanted state are not opened."""
        head = self._reader.one(_LEDGER["standing"], (key,))
        busy = {row[8] for row in self._reader.all(_QUEUE["waiting_of"], (key,))}
        detailed = self._reader.one(_LEDGER["deliveries"], (key, 0)) is not None
        with closing(self._reader.lazily(_LEDGER["chunks_of"], (key, first))) as chunks:
            for number, recipients, results in chunks:
                skip = passed if number == first else 0
                known = results or bulk.blank(recipients)
                if state is None or number in busy or detailed or bulk.may_hold(known, state):
                    pending = self._waits(self._jobs_of_chunk(key, number), now)
                    for place, target in islice(enumerate(map(_target, unpack_all(recipients))), skip, None):
                        row = self._reader.one(_LEDGER["delivery"], (key, target)) if detailed else None
                        written = forms.delivery_of(row) if row else _entry(known, place, key, target, head[1])
                        waits = pending.get(target)
                        if written is not None or waits is not None:
                            place_cursor = _BULK + (number << _POSITION_BITS) + place + 1
                            yield _Line(_joined(key, target, written, waits), place_cursor)

    def _chunk_of(self, key: int, target: int) -> tuple[int, bytes, bytes | None, int] | None:
        """Return the chunk that holds a target, and its place there."""
        for number, recipients, results in self._reader.all(_LEDGER["chunks_around"], (key, target, target)):
            for place, recipient in enumerate(unpack_all(recipients)):
                if unpack(recipient)[0] == target:
                    return number, recipients, results, place
        return None

    def _in_bulk(self, key: int, target: int, now: int, written: _Written | None) -> Delivery | None:
        found = self._chunk_of(key, target)
        if found is None:
            return None
        chunk, recipients, results, place = found
        head = self._reader.one(_LEDGER["standing"], (key,))
        written = written or _entry(results or bulk.blank(recipients), place, key, target, head[1])
        waits = self._waits(self._jobs_of_chunk(key, chunk), now).get(target)
        return None if written is None and waits is None else _joined(key, target, written, waits)

    def _named(self, deliveries: list[Delivery]) -> list[Delivery]:
        """Put the names of devices to deliveries; a forgotten device has none."""
        whose = self._whose([delivery.target for delivery in deliveries])
        named = []
        for delivery in deliveries:
            device, device_id, kind = whose.get(delivery.target, FORGOTTEN)
            named.append(msgspec.structs.replace(delivery, device=device, device_id=device_id, kind=kind))
        return named


def _target(recipient: int) -> int:
    return unpack(recipient)[0]


def _entry(results: bytes, place: int, key: int, target: int, created: int) -> _Written | None:
    row = bulk.row_at(results, place, notification=key, target=target, created=created)
    return None if row is None else (row, ())


def _joined(key: int, target: int, written: _Written | None, pending: Pending | None) -> Delivery:
    row, attempts = written or (None, ())
    return rows.delivery(key, target, FORGOTTEN, row, attempts, pending)
