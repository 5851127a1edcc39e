"""The delivery log as rows: one for each event and endpoint, so it must be cheap.

A thousand a second for hours are written in the order of their keys, at the end of the table and of two narrow indexes: by
state, for the log, and by age, for forgetting. What waits has an index of its own, which what is taken at once never enters.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import msgspec

from wakeline.model.event import EventType
from wakeline.model.webhook import Message, MessagePage, MessageState
from wakeline.storage.sqlite.bitrix24.spans import LARGEST, is_row_id
from wakeline.storage.sqlite.reader import Reader
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.transaction import Transaction
from wakeline.storage.sqlite.writer import Writer
from wakeline.storage.webhooks import page_of, surplus

_SQL = load("webhooks")
_STATES = (MessageState.WAITING, MessageState.TAKEN, MessageState.GIVEN_UP)
"""By the number that stands in the row."""
_COUNTED = 10_000
"""Messages that are counted in one go."""
_NUMBERS = {state: number for number, state in enumerate(_STATES)}


def keep(tx: Transaction, messages: Iterable[Message]) -> None:
    """Write what became of messages, in place of what is known of them."""
    tx.many(_SQL["put_message"], map(_row, messages))


class MessageLog:
    """Messages by endpoint and number of the event."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader
        self._kept: dict[int, int] = {}
        """How many messages an endpoint has at most, as far as they were counted."""
        self._excess: dict[int, int] = {}
        """How many of them are to go."""

    async def trim(self, endpoint: int, most: int, limit: int) -> int:
        """Forget some of the oldest of an endpoint that has more than `most`; return how many."""
        if not self._excess.get(endpoint):
            if self._kept.get(endpoint, most + 1) <= most:
                return 0
            self._kept[endpoint] = await self._count(endpoint)
            self._excess[endpoint] = surplus(self._kept[endpoint], most)
        oldest = self._reader.all(_SQL["oldest_messages"], (endpoint, min(limit, self._excess[endpoint])))
        if oldest:
            rows = [(*row, LARGEST) for row in oldest]
            await self._writer.write(lambda tx: tx.many(_SQL["delete_old_message"], rows))
        self._excess[endpoint] = self._excess[endpoint] - len(oldest) if oldest else 0
        self._kept[endpoint] -= len(oldest)
        return len(oldest)

    def grown(self, endpoint: int, messages: int) -> None:
        """Note that so many were written, some of them perhaps anew: what is known of their number is the most there can be."""
        if endpoint in self._kept:
            self._kept[endpoint] += messages

    async def _count(self, endpoint: int) -> int:
        """Count the messages of an endpoint, a millisecond at a time."""
        counted, place = 0, -LARGEST
        while True:
            found, last = self._reader.one(_SQL["count_on"], (endpoint, place, _COUNTED)) or (0, None)
            counted += found
            if found < _COUNTED:
                return counted
            place = last or LARGEST
            await asyncio.sleep(0)

    def waiting(self, endpoint: int, limit: int) -> list[Message]:
        """Return what waits, the earliest due first."""
        return [_message(row) for row in self._reader.all(_SQL["waiting_messages"], (endpoint, limit))]

    def one(self, endpoint: int, seq: int) -> Message | None:
        """Return one."""
        row = self._reader.one(_SQL["message"], (endpoint, seq)) if is_row_id(seq) else None
        return None if row is None else _message(row)

    def page(self, endpoint: int, state: MessageState | None, cursor: int | None, limit: int) -> MessagePage:
        """Return messages below `cursor`, the newest first."""
        below = LARGEST if cursor is None else max(min(cursor, LARGEST), -LARGEST)
        if state is None:
            rows = self._reader.all(_SQL["messages"], (endpoint, below, limit + 1))
        else:
            rows = self._reader.all(_SQL["messages_in_state"], (endpoint, _NUMBERS[state], below, limit + 1))
        return page_of([_message(row) for row in rows], limit)

    async def prune(self, before: int, limit: int, stopped: Iterable[tuple[int, int]]) -> int:
        """Forget some that wait no more and changed last before that time; return how many.

        `stopped`: endpoints that are disabled, since when (Unix ms); what they gave up from then on stays.
        """
        old = self._reader.all(_SQL["old_messages"], (before, msgspec.json.encode(list(stopped)).decode(), limit))
        if old:
            rows = [(endpoint, seq, before) for endpoint, seq in old]
            await self._writer.write(lambda tx: tx.many(_SQL["delete_old_message"], rows))
        return len(old)

    async def forget(self, endpoint: int, limit: int) -> int:
        """Forget some of an endpoint; return how many."""
        some = self._reader.all(_SQL["messages_of"], (endpoint, limit))
        if some:
            await self._writer.write(lambda tx: tx.many(_SQL["delete_message"], some))
        return len(some)


def _row(message: Message) -> tuple[Any, ...]:
    return (
        message.endpoint,
        message.seq,
        _NUMBERS[message.state],
        message.type.value,
        message.app,
        message.lane,
        message.tries,
        message.status,
        message.detail,
        message.duration,
        message.at,
        message.first,
        message.due,
    )


def _message(row: Any) -> Message:
    endpoint, seq, state, event_type, app, lane, tries, status, detail, duration, at, first, due = row
    return Message(
        endpoint=endpoint,
        seq=seq,
        state=_STATES[state],
        type=EventType(event_type),
        app=app,
        lane=lane,
        tries=tries,
        status=status,
        detail=detail,
        duration=duration,
        at=at,
        first=first,
        due=due,
    )
