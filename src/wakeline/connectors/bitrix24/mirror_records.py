"""The records of the mirror, which the reader of events and a filling write side by side; a `PortalRecords` for both.

A filling brings pages that are some seconds old when they are kept. Rule: whatever was put or deleted since the filling began is
newer than its pages, and stays; so one of the two writes at a time, and deletions are remembered as long as a filling runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from wakeline.model.bitrix24.records import Condition, Operator, Order, Record, RecordKind, RecordPage
from wakeline.ports.bitrix24 import PortalRecords

AT_ONCE = 500
"""Records that are looked at in one piece."""


class MirrorRecords:
    """`records` are those of our own portal."""

    def __init__(self, records: PortalRecords) -> None:
        """Begin with no filling under way."""
        self._records = records
        self._lock = asyncio.Lock()
        self._gone: set[tuple[RecordKind, int]] | None = None

    async def put(self, records: Sequence[Record]) -> None:
        """See `PortalRecords`."""
        async with self._lock:
            await self._records.put(records)
            if self._gone is not None:
                self._gone -= {(record.kind, record.id) for record in records}

    async def delete(self, kind: RecordKind, numbers: Sequence[int]) -> int:
        """See `PortalRecords`."""
        async with self._lock:
            if self._gone is not None:
                self._gone |= {(kind, number) for number in numbers}
            return await self._records.delete(kind, numbers)

    async def get(self, kind: RecordKind, number: int) -> Record | None:
        """See `PortalRecords`."""
        return await self._records.get(kind, number)

    async def by_phone(self, kind: RecordKind, phone: str) -> Record | None:
        """See `PortalRecords`."""
        return await self._records.by_phone(kind, phone)

    async def find(
        self,
        kind: RecordKind,
        *,
        filters: Sequence[Condition],
        order: Sequence[Order],
        start: int,
        limit: int,
        count: bool,
    ) -> RecordPage:
        """See `PortalRecords`."""
        return await self._records.find(kind, filters=filters, order=order, start=start, limit=limit, count=count)

    # --- a filling

    def begin(self) -> None:
        """Remember deletions from now on."""
        self._gone = set()

    def end(self) -> None:
        """Remember them no more."""
        self._gone = None

    async def fill(
        self, kind: RecordKind, records: Sequence[Record], *, after: int, last: int | None, began: int
    ) -> None:
        """Put all records that a portal has above `after` up to `last` (None: without end) in place of what is there.

        What was learnt after `began` (Unix ms) is left.
        """
        async with self._lock:
            gone = self._gone or set()
            ours = await self._changed(kind, after, last)
            await self._records.put(
                [one for one in records if ours.get(one.id, 0) <= began and (kind, one.id) not in gone]
            )
            await self._forget(kind, ours, {one.id for one in records}, began)

    async def _forget(self, kind: RecordKind, ours: dict[int, int], there: Collection[int], began: int) -> None:
        gone = [number for number, changed in ours.items() if number not in there and changed < began]
        if gone:
            await self._records.delete(kind, gone)

    async def _changed(self, kind: RecordKind, after: int, last: int | None) -> dict[int, int]:
        """Return the numbers that we have in a stretch, and when we learnt of each."""
        found: dict[int, int] = {}
        while True:
            terms = [Condition("ID", Operator.MORE, (str(after),))]
            if last is not None:
                terms.append(Condition("ID", Operator.MOST, (str(last),)))
            page = await self.find(kind, filters=terms, order=(), start=0, limit=AT_ONCE, count=False)
            found |= {record.id: record.changed for record in page.records}
            if len(page.records) < AT_ONCE:
                return found
            after = page.records[-1].id
