"""Receipts and the inbox: the device's own word, in the ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wakeline.model.receipt import Receipt
from wakeline.ports.receipts import Heard, Wanted, always
from wakeline.storage.sqlite.bookkeeping import Bookkeeping
from wakeline.storage.sqlite.noting import Asked, Noting
from wakeline.storage.sqlite.writer import Writer


class SqliteReceipts:
    """Rows and eight-byte entries change in place; nothing is added for a receipt but its event."""

    def __init__(self, writer: Writer, books: Bookkeeping, targets_of_device: Callable[[int], list[int]]) -> None:
        self._writer = writer
        self._targets_of_device = targets_of_device
        self._noting = Noting(books)

    async def note(self, receipts: Sequence[Receipt], *, wanted: Wanted = always) -> list[Heard]:
        """Write receipts with their events in one commit; answers in the order asked."""
        targets = {device: self._targets_of_device(device) for device in {receipt.device for receipt in receipts}}
        asked = [Asked(receipt, targets[receipt.device]) for receipt in receipts]
        return await self._writer.write(lambda tx: self._noting.note(tx, asked, wanted))
