"""Receipts and the inbox: the device's own word, in the ledger.

The inbox keeps nothing of its own: it is found among what was sent to the device's tokens, the last ones that it gave up
included. A page looks at no more than a few hundred notifications, however many the device has acknowledged, so it may be
short, or empty, and yet go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from wakeline.model.delivery import STATES_BY_NUMBER, unpack_all
from wakeline.model.device import Device
from wakeline.model.receipt import InboxItem, InboxPage, Receipt
from wakeline.ports.receipts import Heard, Wanted, always
from wakeline.storage import bulk, receipts
from wakeline.storage.sqlite.bookkeeping import Bookkeeping
from wakeline.storage.sqlite.devices import SqliteDevices
from wakeline.storage.sqlite.ledger import SqliteLedger
from wakeline.storage.sqlite.noting import Asked, Noting
from wakeline.storage.sqlite.reader import Reader
from wakeline.storage.sqlite.routes import SqliteRoutes
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.writer import Writer

_SQL = load("receipts")

SINGLES, BROADCASTS = 500, 100
"""Deliveries to a token, and broadcasts of its app, that are looked at for a page."""

QUEUED = 300
"""Jobs of a route that are looked through for a device: of a longer queue, what comes later is not in the inbox yet."""

_BREATH = 10
"""Notifications read between two breaths of the loop; each takes some 100 microseconds."""

_NO_END = 1 << 63


class SqliteReceipts:
    """Rows and eight-byte entries change in place; nothing is added for a receipt but its event."""

    def __init__(
        self,
        writer: Writer,
        reader: Reader,
        books: Bookkeeping,
        devices: SqliteDevices,
        routes: SqliteRoutes,
        ledger: SqliteLedger,
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._books = books
        self._devices = devices
        self._routes = routes
        self._ledger = ledger
        self._noting = Noting(books)

    async def note(self, receipts: Sequence[Receipt], *, wanted: Wanted = always) -> list[Heard]:
        """Write receipts with their events in one commit; answers in the order asked."""
        if not receipts:
            return []
        devices = {one.device for one in receipts}
        targets = {one: self._devices.present_and_former(one) for one in devices}
        asked = [Asked(receipt, targets[receipt.device]) for receipt in receipts]
        return await self._writer.write(lambda tx: self._noting.note(tx, asked, wanted))

    async def inbox(self, app: int, device: int, *, after: int, limit: int) -> InboxPage:
        """Return what the device has not acknowledged."""
        holder = await self._devices.by_id(device)
        if holder is None or holder.app != app:
            return InboxPage(items=(), cursor=None)
        with self._reader.snapshot():
            keys, end = self._candidates(holder, after)
        items: list[InboxItem] = []
        for count, key in enumerate(sorted(key for key in keys if key <= end), start=1):
            if count % _BREATH == 0:
                await asyncio.sleep(0)
            item = await self._item(key, holder)
            if item is not None and len(items) == limit:
                return InboxPage(items=tuple(items), cursor=items[-1].notification.key)
            items += [item] if item is not None else []
        return InboxPage(items=tuple(items), cursor=None if end == _NO_END else end)

    def _candidates(self, holder: Device, after: int) -> tuple[set[int], int]:
        """Return notifications that may be in the inbox, and the key up to which they are all that may."""
        keys: set[int] = set()
        end = _NO_END
        targets = self._devices.present_and_former(holder.id)
        for target in targets:
            singles = self._reader.all(_SQL["singles_to"], (target, after, SINGLES))
            keys.update(key for key, state in singles if STATES_BY_NUMBER[state] not in receipts.NOT_IN_INBOX)
            end = min(end, singles[-1][0]) if len(singles) == SINGLES else end
        broad = [key for (key,) in self._reader.all(_SQL["broadcasts_of"], (holder.app, after, BROADCASTS))]
        keys.update(key for key in broad if any(self._reaches(key, target) for target in targets))
        end = min(end, broad[-1]) if len(broad) == BROADCASTS else end
        keys.update(key for target in targets for key in self._queued(holder.app, target) if key > after)
        return keys, end

    def _reaches(self, key: int, target: int) -> bool:
        """Tell whether a broadcast has a delivery to a target that may be in its inbox."""
        for _, recipients, results in self._reader.lazily(_SQL["holding_chunk"], (key, target, target)):
            position = bulk.position(recipients, target)
            if position is not None:
                return results is None or bulk.state_at(results, position) not in receipts.NOT_IN_INBOX
        return False

    def _queued(self, app: int, target: int) -> Iterable[int]:
        """Yield the notifications that wait for a target without having been tried: held, limited, or for its absence."""
        for route in (route for route in self._routes.all() if route.app == app):
            rows = self._reader.all(_SQL["queued_for"], (route.id, QUEUED, target.to_bytes(6, "little")))
            for key, recipients, members in rows:
                position = bulk.position(recipients, target)
                if position is not None:
                    yield key or unpack_all(members)[position]

    async def _item(self, key: int, holder: Device) -> InboxItem | None:
        now, targets = self._books.clock.now(), frozenset(self._devices.present_and_former(holder.id))
        notification = (await self._ledger.notifications([key])).get(key)
        if notification is None or self._books.early.get(key, {}).keys() & targets:
            return None
        found = [await self._ledger.delivery(key, target, now) for target in sorted(targets)]
        deliveries = [delivery for delivery in found if delivery is not None]
        delivery = receipts.in_inbox(notification, deliveries, held_since=holder.held_since, now=now)
        return None if delivery is None else InboxItem(notification=notification, delivery=delivery)
