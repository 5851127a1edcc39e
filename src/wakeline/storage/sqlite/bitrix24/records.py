"""Deals, leads, contacts, activities and tasks: rows by kind and id.

Ids and an order by id go by the primary key, so that a client who walks a list with `filter[>ID]` pays for its page only, and
one who asks for a place in it for an index. Any other filter or order looks at every row that the ids leave, some microseconds
each, in slices of about a millisecond between which the loop has its turns (docs/adr/0023); what a counted list found is
remembered while nothing of its kind changes, since clients page through it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import msgspec

from wakeline.model.bitrix24.records import Condition, Fields, Order, Record, RecordKind, RecordPage
from wakeline.storage.records import is_id, phone_key, phone_keys
from wakeline.storage.sqlite.bitrix24.remembered import Question, Remembered
from wakeline.storage.sqlite.bitrix24.selection import SLICE, select
from wakeline.storage.sqlite.bitrix24.spans import LARGEST, Span, is_row_id, split
from wakeline.storage.sqlite.forms import json_list
from wakeline.storage.sqlite.reader import Reader
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.transaction import Transaction
from wakeline.storage.sqlite.writer import Writer

BATCH = 200
"""Records written or forgotten in one transaction: about a millisecond."""

_SQL = load("bitrix24_records")
_fields = msgspec.json.Decoder(Fields)


class SqlitePortalRecords:
    """Records by kind and id; `fields` are JSON."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader
        self._remembered = Remembered()

    async def put(self, records: Sequence[Record]) -> None:
        """Make records, or put these in place of those with the same kind and id; what is much goes in batches."""
        for start in range(0, len(records), BATCH):
            await self._writer.write(partial(self._put, records=records[start : start + BATCH]))

    def _put(self, tx: Transaction, records: Sequence[Record]) -> None:
        tx.many(_SQL["put_record"], map(_row, records))
        # Of one record given twice the last counts, for its numbers as well.
        latest = {(record.kind, record.id): record for record in records}.values()
        for kind in {record.kind for record in records}:
            tx.execute(
                _SQL["delete_phones"], (kind.value, json_list([each.id for each in latest if each.kind is kind]))
            )
            tx.on_commit(partial(self._remembered.changed, kind))
        tx.many(_SQL["put_phone"], [row for record in latest for row in _phones(record)])

    async def get(self, kind: RecordKind, number: int) -> Record | None:
        """Return one."""
        row = self._reader.one(_SQL["record"], (kind.value, number)) if is_row_id(number) else None
        return None if row is None else _record(kind, *row)

    async def by_phone(self, kind: RecordKind, phone: str) -> Record | None:
        """Return the first record that has this number; only its digits count, `00` is `+`."""
        row = self._reader.one(_SQL["phone_owner"], (kind.value, phone_key(phone)))
        return None if row is None else await self.get(kind, row[0])

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
        span, rest = split(filters)
        by_id = not order or is_id(order[0].field)
        falling = bool(order) and by_id and order[0].descending
        if not is_row_id(start):
            start = LARGEST
        if by_id and not rest and span.only is None:
            ids = self._page(kind, span, start, limit, falling=falling)
            return self._records(kind, ids, self._count(kind, span) if count else 0)
        if by_id and count:
            question = Question(kind, span, tuple(rest), falling)
            every = await self._remembered.ids(question, partial(self._every, question))
            return self._records(kind, every[start : start + limit], len(every))
        ids, total = await select(
            self._slices(kind, span, falling=falling),
            filters=rest,
            order=() if by_id else order,
            start=start,
            limit=limit,
            count=count,
        )
        return self._records(kind, ids, total if count else 0)

    async def _every(self, asked: Question) -> list[int]:
        slices = self._slices(asked.kind, asked.span, falling=asked.falling)
        ids, _ = await select(slices, filters=asked.filters, order=(), start=0, limit=LARGEST, count=True)
        return ids

    def _page(self, kind: RecordKind, span: Span, start: int, limit: int, *, falling: bool) -> list[int]:
        statement = _SQL["page_falling" if falling else "page_rising"]
        rows = self._reader.all(statement, (kind.value, span.after, span.until, limit, start))
        return [number for (number,) in rows]

    def _count(self, kind: RecordKind, span: Span) -> int:
        (count,) = self._reader.one(_SQL["count"], (kind.value, span.after, span.until))
        return int(count)

    def _records(self, kind: RecordKind, ids: Sequence[int], total: int) -> RecordPage:
        """Read a page; one that was forgotten since is not in it."""
        rows = self._reader.all(_SQL["records"], (kind.value, json_list(ids)))
        found = {row[0]: _record(kind, *row) for row in rows}
        return RecordPage(tuple(found[number] for number in ids if number in found), total)

    def _slices(self, kind: RecordKind, span: Span, *, falling: bool) -> Iterator[list[tuple[int, Fields]]]:
        rows = self._slices_of(kind, span.chosen(), falling=falling) if span.only is not None else None
        for some in rows or self._slices_between(kind, span, falling=falling):
            yield [(number, _fields.decode(fields)) for number, fields in some]

    def _slices_of(self, kind: RecordKind, ids: list[int], *, falling: bool) -> Iterator[list[tuple[int, bytes]]]:
        for start in range(0, len(ids), SLICE):
            some = ids[::-1] if falling else ids
            rows = self._reader.all(_SQL["records"], (kind.value, json_list(some[start : start + SLICE])))
            yield sorted(((number, fields) for number, _, fields in rows), reverse=falling)

    def _slices_between(self, kind: RecordKind, span: Span, *, falling: bool) -> Iterator[list[tuple[int, bytes]]]:
        after, until = span.after, span.until
        while rows := self._reader.all(_SQL["falling" if falling else "rising"], (kind.value, after, until, SLICE)):
            yield rows
            last = rows[-1][0]
            after, until = (after, last - 1) if falling else (last, until)

    async def delete(self, kind: RecordKind, numbers: Sequence[int]) -> int:
        """Forget records; returns how many."""
        gone = 0
        for start in range(0, len(numbers), BATCH):
            ids = json_list(numbers[start : start + BATCH])
            gone += await self._writer.write(partial(self._delete, kind=kind, ids=ids))
        return gone

    def _delete(self, tx: Transaction, kind: RecordKind, ids: str) -> int:
        tx.on_commit(partial(self._remembered.changed, kind))
        tx.execute(_SQL["delete_phones"], (kind.value, ids))
        return tx.execute(_SQL["delete_records"], (kind.value, ids)).rowcount


def _row(record: Record) -> tuple[str, int, int, bytes]:
    return record.kind.value, record.id, record.changed, msgspec.json.encode(record.fields)


def _phones(record: Record) -> list[tuple[str, str, int]]:
    return [(record.kind.value, phone, record.id) for phone in phone_keys(record.fields)]


def _record(kind: RecordKind, number: int, changed: int, fields: bytes) -> Record:
    return Record(kind=kind, id=number, fields=_fields.decode(fields), changed=changed)
