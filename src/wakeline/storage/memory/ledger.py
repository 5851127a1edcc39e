"""The ledger, read from the books."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wakeline.model.delivery import Attempt, Delivery, DeliveryRow, DeliveryState, Job, unpack, unpack_all
from wakeline.model.notification import Counts, Notification
from wakeline.ports import DeliveryPage
from wakeline.storage import bulk, rows
from wakeline.storage.memory.books import Books
from wakeline.storage.waiting import counts


class MemoryLedger:
    """Notifications and deliveries; every page is cut from the whole."""

    def __init__(self, books: Books) -> None:
        self._books = books

    async def notification(self, key: int) -> Notification | None:
        """Return a notification, or None."""
        account = self._books.accounts.get(key)
        return account.notification if account else None

    async def notifications(self, keys: Sequence[int]) -> dict[int, Notification]:
        """Return those that exist."""
        accounts = self._books.accounts
        return {key: accounts[key].notification for key in keys if key in accounts}

    async def counts(self, key: int, now: int) -> Counts:
        """Count deliveries by state."""
        account = self._books.accounts.get(key)
        waits = [(self._books.waiting(job, now).state, len(job.recipients) // 8) for job in self._books.jobs_of(key)]
        return counts(account.written if account else {}, waits)

    async def deliveries(
        self, key: int, *, now: int, state: DeliveryState | None = None, cursor: int = 0, limit: int = 50
    ) -> DeliveryPage:
        """Return a page; the cursor is the number of deliveries passed in the whole list."""
        found: list[Delivery] = []
        last = cursor
        for passed, delivery in enumerate(self._all(key, now), start=1):
            if passed > cursor and state in (None, delivery.state):
                if len(found) == limit:
                    return DeliveryPage(deliveries=tuple(found), cursor=last)
                found.append(delivery)
                last = passed
        return DeliveryPage(deliveries=tuple(found), cursor=None)

    async def delivery(self, key: int, target: int, now: int) -> Delivery | None:
        """Return one delivery, or None."""
        return next((delivery for delivery in self._all(key, now) if delivery.target == target), None)

    async def broadcasts(self, app: int, *, limit: int = 20) -> list[Notification]:
        """Return the newest broadcasts of an app, newest first."""
        every = (account.notification for account in self._books.accounts.values())
        found = [one for one in every if one.app == app and one.bulk]
        return sorted(found, key=lambda one: -one.key)[:limit]

    async def recent(self, app: int, *, device: int | None = None, limit: int = 20) -> list[Delivery]:
        """Return the newest deliveries written, newest first."""
        keys = [key for key, account in self._books.accounts.items() if account.notification.app == app]
        found = [
            rows.delivery(key, target, self._books.devices.whose(target), line.row, line.attempts, None)
            for key in sorted(keys, reverse=True)
            for target, line in sorted(self._books.lines.get(key, {}).items())
            if device is None or self._books.devices.whose(target).device == device
        ]
        return found[:limit]

    async def prune(self, before: int, limit: int) -> int:
        """Delete notifications done before that time."""
        old = [
            key for key, account in self._books.accounts.items() if account.done is not None and account.done < before
        ]
        for key in sorted(old)[:limit]:
            self._books.forget(key)
        return min(len(old), limit)

    async def newest(self) -> int:
        """Return the largest key kept (0: none)."""
        return max(self._books.accounts, default=0)

    def _all(self, key: int, now: int) -> Iterator[Delivery]:
        """Yield rows and waiting deliveries by target, then bulk entries in the order of the walk."""
        if key not in self._books.accounts:
            return
        pending = self._pending(key, now)
        lines = self._books.lines.get(key, {})
        chunked = {
            (number, unpack(recipient)[0])
            for number, chunk in self._books.chunks.items()
            if chunk.notification == key
            for recipient in unpack_all(chunk.recipients)
        }
        single = {target for chunk, target in pending if not chunk} | (lines.keys() - {target for _, target in chunked})
        for target in sorted(single):
            line = lines.get(target)
            row, attempts = (line.row, line.attempts) if line else (None, ())
            yield self._delivery(key, target, row, attempts, pending.get((0, target)))
        yield from self._bulk(key, pending)

    def _bulk(self, key: int, pending: dict[tuple[int, int], rows.Pending]) -> Iterator[Delivery]:
        created = self._books.accounts[key].notification.created
        for number, chunk in sorted(self._books.chunks.items()):
            if chunk.notification != key:
                continue
            for place, recipient in enumerate(unpack_all(chunk.recipients)):
                target = unpack(recipient)[0]
                entry = bulk.row_at(chunk.results, place, notification=key, target=target, created=created)
                line = self._books.lines.get(key, {}).get(target)
                row, attempts = (line.row, line.attempts) if line else (entry, ())
                waits = pending.get((number, target))
                if row is not None or waits is not None:
                    yield self._delivery(key, target, row, attempts, waits)

    def _pending(self, key: int, now: int) -> dict[tuple[int, int], rows.Pending]:
        return {
            (job.chunk, unpack(recipient)[0]): self._waits(job, now)
            for job in self._books.jobs_of(key)
            for recipient in unpack_all(job.recipients)
        }

    def _waits(self, job: Job, now: int) -> rows.Pending:
        return rows.Pending(self._books.waiting(job, now), job.due, job.attempt - 1)

    def _delivery(
        self,
        key: int,
        target: int,
        row: DeliveryRow | None,
        attempts: tuple[Attempt, ...],
        pending: rows.Pending | None,
    ) -> Delivery:
        return rows.delivery(key, target, self._books.devices.whose(target), row, attempts, pending)
