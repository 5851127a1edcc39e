"""Receipts and the inbox, from the books.

A receipt about a delivery that is being sent is kept apart until that is over: the answer would overwrite it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from wakeline.model.delivery import Job, unpack, unpack_all
from wakeline.model.device import Device
from wakeline.model.receipt import InboxItem, InboxPage, Receipt
from wakeline.ports.receipts import Heard, Wanted, always
from wakeline.storage import bulk, receipts
from wakeline.storage.memory.books import Account, Books
from wakeline.storage.memory.ledger import MemoryLedger
from wakeline.storage.receipts import Known
from wakeline.storage.waiting import is_written


class _Found(NamedTuple):
    """A delivery that a receipt is about: what is written of it, its place in a chunk, and the job in which it waits."""

    target: int
    known: Known
    place: tuple[int, int] | None
    job: Job | None


class Noting:
    """What receipts and the queue do."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def note(self, receipt: Receipt, targets: Iterable[int], wanted: Wanted) -> Heard:
        """Write one receipt with its event."""
        account = self._books.accounts.get(receipt.notification)
        found = self._find(receipt, targets) if account is not None else None
        if account is None or found is None or account.notification.app != receipt.app:
            return receipts.unheard(receipt)
        if self._must_wait(receipt, found):
            return self._keep(receipt, found, wanted)
        if _is_spared(receipt, found):
            return receipts.unheard(receipt)
        heard = receipts.heard(receipt, found.target, found.known, waits=found.job is not None)
        if heard.fresh:
            self._write(account, receipt, found)
            self._tell(receipt, found, wanted)
        return heard

    def catch_up(self) -> None:
        """Write what was kept of deliveries that are not being sent any more."""
        books = self._books
        for key in list(books.early):
            account = books.accounts.get(key)
            for target, receipt in list(books.early[key].items()):
                found = self._find(receipt, (target,)) if account is not None else None
                if found is not None and (self._must_wait(receipt, found) or _is_spared(receipt, found)):
                    continue
                if account is not None and found is not None and _is_news(found, receipt):
                    self._write(account, receipt, found)
                del books.early[key][target]
            if not books.early[key]:
                del books.early[key]

    def _must_wait(self, receipt: Receipt, found: _Found) -> bool:
        """Tell whether a receipt counts only once an answer of the push service is written."""
        if found.job is None:
            return False
        return found.job.id in self._books.leased or (_is_spared(receipt, found) and found.known.tries > 0)

    def _keep(self, receipt: Receipt, found: _Found, wanted: Wanted) -> Heard:
        early = self._books.early.setdefault(receipt.notification, {})
        former = early.get(found.target)
        known = Known(None if former is None else receipts.state_of(former.kind))
        heard = receipts.heard(receipt, found.target, known, waits=False)
        if heard.fresh:
            early[found.target] = receipt
            self._tell(receipt, found._replace(job=None), wanted)
        return heard

    def _find(self, receipt: Receipt, targets: Iterable[int]) -> _Found | None:
        found = [one for target in targets if (one := self._look(receipt.notification, target)) is not None]
        return min(found, key=lambda one: receipts.distance(one.known, waits=one.job is not None), default=None)

    def _look(self, key: int, target: int) -> _Found | None:
        books = self._books
        line = books.lines.get(key, {}).get(target)
        written = None if line is None else Known(line.row.state, line.row.at, line.row.tries)
        place = next(
            (
                (number, position)
                for number, chunk in books.chunks.items()
                if chunk.notification == key
                for position, recipient in enumerate(unpack_all(chunk.recipients))
                if unpack(recipient)[0] == target
            ),
            None,
        )
        job = self._job(key, target, place[0] if place is not None else 0)
        known = written or (None if place is None else self._entry(key, target, place))
        if known is None and job is None:
            return None
        return _Found(target, known or Known(None, tries=job.attempt - 1 if job is not None else 0), place, job)

    def _job(self, key: int, target: int, chunk: int) -> Job | None:
        """Return the whole job in which a delivery waits."""
        for part in self._books.jobs_of(key):
            if part.chunk == chunk and any(unpack(one)[0] == target for one in unpack_all(part.recipients)):
                return self._books.jobs[part.id]
        return None

    def _entry(self, key: int, target: int, place: tuple[int, int]) -> Known | None:
        created = self._books.accounts[key].notification.created
        results = self._books.chunks[place[0]].results
        row = bulk.row_at(results, place[1], notification=key, target=target, created=created)
        return None if row is None else Known(row.state, row.at, row.tries)

    def _write(self, account: Account, receipt: Receipt, found: _Found) -> None:
        key, state, known, books = receipt.notification, receipts.state_of(receipt.kind), found.known, self._books
        if found.job is not None:
            self._take_out(found.job, key, found.target)
        line = books.lines.get(key, {}).get(found.target)
        if found.place is not None:
            chunk, position = found.place
            results, created = books.chunks[chunk].results, account.notification.created
            entry = bulk.told(results, position, state, tries=known.tries, at=receipt.at, created=created)
            books.write_results(chunk, [(position, entry)])
        if line is not None:
            line.row = line.row._replace(state=state, at=receipt.at)
        elif found.place is None:
            books.write(receipts.unneeded_row(receipt, found.target, known.tries))
        if found.job is None and known.state is not None and is_written(known.state):
            books.count(key, known.state, -1)
        books.count(key, state, 1)
        if found.job is not None:
            books.complete([key])

    def _take_out(self, job: Job, key: int, target: int) -> None:
        left = receipts.left_of(job, key, target)
        if left.recipients:
            self._books.shrink(job.id, left.recipients, left.members)
        else:
            self._books.drop_job(job.id)

    def _tell(self, receipt: Receipt, found: _Found, wanted: Wanted) -> None:
        if wanted(receipts.EVENTS[receipt.kind], receipt.app):
            told = receipts.event(
                receipt,
                found.target,
                app=self._books.slug(receipt.app),
                whose=self._books.devices.whose(found.target),
                tries=found.known.tries,
                unneeded=found.job is not None,
            )
            self._books.events.keep([told])


class MemoryReceipts:
    """The port."""

    def __init__(self, books: Books, noting: Noting, ledger: MemoryLedger) -> None:
        self._books = books
        self._noting = noting
        self._ledger = ledger

    async def note(self, receipts: Sequence[Receipt], *, wanted: Wanted = always) -> list[Heard]:
        """Write receipts with their events; answers in the order asked."""
        targets = self._books.devices.present_and_former
        return [self._noting.note(receipt, targets(receipt.device), wanted) for receipt in receipts]

    async def inbox(self, app: int, device: int, *, after: int, limit: int) -> InboxPage:
        """Return what the device has not acknowledged."""
        holder = await self._books.devices.by_id(device)
        items: list[InboxItem] = []
        accounts = self._books.accounts
        for key in sorted(key for key, account in accounts.items() if key > after and account.notification.app == app):
            item = await self._item(key, holder) if holder is not None else None
            if item is not None and len(items) == limit:
                return InboxPage(items=tuple(items), cursor=items[-1].notification.key)
            items += [item] if item is not None else []
        return InboxPage(items=tuple(items), cursor=None)

    async def _item(self, key: int, holder: Device) -> InboxItem | None:
        now, notification = self._books.clock.now(), self._books.accounts[key].notification
        early = self._books.early.get(key, {})
        targets = set(self._books.devices.present_and_former(holder.id))
        found = [await self._ledger.delivery(key, target, now) for target in sorted(targets)]
        deliveries = [delivery for delivery in found if delivery is not None]
        delivery = receipts.in_inbox(notification, deliveries, held_since=holder.held_since, now=now)
        if delivery is None or early.keys() & targets:
            return None
        return InboxItem(notification=notification, delivery=delivery)


def _is_spared(receipt: Receipt, found: _Found) -> bool:
    """Tell whether a delivery that waits is sent whatever this receipt says."""
    return found.job is not None and not receipt.certain


def _is_news(found: _Found, receipt: Receipt) -> bool:
    return found.job is not None or receipts.changes(found.known.state, receipt.kind)
