"""Deals, leads, contacts, activities and tasks, in dictionaries."""

from __future__ import annotations

from collections.abc import Sequence

from wakeline.model.bitrix24.records import Condition, Order, Record, RecordKind, RecordPage
from wakeline.storage.records import page, phone_key, phone_keys


class MemoryPortalRecords:
    """Records by kind and id."""

    def __init__(self) -> None:
        self._records: dict[RecordKind, dict[int, Record]] = {kind: {} for kind in RecordKind}

    async def put(self, records: Sequence[Record]) -> None:
        """Make records, or put these in place of those with the same kind and id."""
        for record in records:
            self._records[record.kind][record.id] = record

    async def get(self, kind: RecordKind, number: int) -> Record | None:
        """Return one."""
        return self._records[kind].get(number)

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
        """Return a page of those that meet all filters. Without an order they come by id."""
        kept = self._records[kind]
        records, total = page(
            (kept[number] for number in sorted(kept)),
            lambda record: (record.id, record.fields),
            filters=filters,
            order=order,
            start=start,
            limit=limit,
        )
        return RecordPage(tuple(records), total if count else 0)

    async def by_phone(self, kind: RecordKind, phone: str) -> Record | None:
        """Return the first record that has this number; only its digits count, `00` is `+`."""
        key = phone_key(phone)
        owners = (number for number, record in self._records[kind].items() if key in phone_keys(record.fields))
        number = min(owners, default=None)
        return None if number is None else self._records[kind][number]

    async def delete(self, kind: RecordKind, numbers: Sequence[int]) -> int:
        """Forget records; returns how many."""
        return sum(self._records[kind].pop(number, None) is not None for number in numbers)
