"""Handlers, kept in memory whole and written through; offline events, as rows.

Readers of offline events choose in slices what they want and then reserve in one statement what of it is still free: so a
filter over a long queue keeps nobody waiting, and two readers never get the same event.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import msgspec

from wakeline.model.bitrix24.events import EventHandler, OfflineEvent
from wakeline.model.bitrix24.records import Condition, Fields, Order
from wakeline.storage.portal import application_gone, event_fields, handler_exists, handler_key
from wakeline.storage.sqlite.bitrix24.applications import PortalApplications
from wakeline.storage.sqlite.bitrix24.forgetting import BATCH, delete_in_batches
from wakeline.storage.sqlite.bitrix24.selection import SLICE, select
from wakeline.storage.sqlite.forms import json_list
from wakeline.storage.sqlite.reader import Reader
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.transaction import Transaction
from wakeline.storage.sqlite.writer import Writer

_SQL = load("bitrix24_events")
_FIRST = -(1 << 63)


class SqlitePortalEvents:
    """Handlers by id; an event without a process waits."""

    def __init__(self, writer: Writer, reader: Reader, access: PortalApplications) -> None:
        self._writer = writer
        self._reader = reader
        self._access = access
        self._handlers: dict[int, EventHandler] = {}

    async def load(self) -> None:
        """Read all handlers."""
        for number, application, event, handler, user, offline, connector, pause in self._reader.all(_SQL["handlers"]):
            self._handlers[number] = EventHandler(
                id=number,
                application=application,
                event=event,
                handler=handler,
                user=user,
                offline=bool(offline),
                connector=connector,
                pause=pause,
            )

    async def bind(self, handler: EventHandler) -> EventHandler:
        """Keep a handler; its id is given by the store. Raises Conflict (the same is bound), NotFound (a deleted application)."""
        return await self._writer.write(lambda tx: self._bind(tx, handler))

    def _bind(self, tx: Transaction, handler: EventHandler) -> EventHandler:
        if self._access.is_gone(handler.application):
            raise application_gone()
        key = handler_key(handler)
        if tx.one(_SQL["handler_exists"], key) is not None:
            raise handler_exists()
        number = tx.execute(_SQL["insert_handler"], (*key, handler.pause)).lastrowid or 0
        kept = msgspec.structs.replace(handler, id=number)
        tx.on_commit(lambda: self._handlers.__setitem__(number, kept))
        return kept

    async def unbind(
        self,
        application: int,
        event: str,
        *,
        handler: str | None,
        user: int | None,
        offline: bool,
        connector: str | None = None,
    ) -> int:
        """Forget handlers; None: whatever it is. Returns how many."""
        wanted = [
            each.id
            for each in self.handlers(application=application, event=event)
            if each.offline is offline
            and handler in (None, each.handler)
            and user in (None, each.user)
            and connector in (None, each.connector)
        ]
        return await self._writer.write(lambda tx: self._unbind(tx, wanted)) if wanted else 0

    def _unbind(self, tx: Transaction, numbers: Sequence[int]) -> int:
        gone = [number for number in numbers if tx.execute(_SQL["delete_handler"], (number,)).rowcount]
        tx.on_commit(lambda: self._drop(gone))
        return len(gone)

    def _drop(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self._handlers.pop(number, None)

    def handlers(self, *, application: int | None = None, event: str | None = None) -> list[EventHandler]:
        """Return handlers, oldest first, from memory."""
        return [
            each
            for each in self._handlers.values()
            if application in (None, each.application) and event in (None, each.event)
        ]

    async def queue(self, events: Sequence[OfflineEvent]) -> None:
        """Queue offline events; one that waits already gets the new time, and is no longer a failed one."""
        for start in range(0, len(events), BATCH):
            await self._writer.write(partial(self._queue, events=events[start : start + BATCH]))

    def _queue(self, tx: Transaction, events: Sequence[OfflineEvent]) -> None:
        tx.many(_SQL["queue_event"], [_row(event) for event in events if not self._access.is_gone(event.application)])

    async def reserve(
        self,
        application: int,
        connector: str,
        process: str,
        *,
        limit: int,
        failed: bool,
        filters: Sequence[Condition] = (),
    ) -> list[OfflineEvent]:
        """Reserve what nobody has reserved, oldest first: two readers never get the same event."""
        taken: list[OfflineEvent] = []
        while len(taken) < limit:
            free = self._slices("free_events", application, connector, failed)
            ids, _ = await select(free, filters=filters, order=(), start=0, limit=limit - len(taken), count=False)
            if not ids:
                break
            taken += await self._writer.write(partial(_reserve, row=(process, json_list(ids), failed)))
        return sorted(taken, key=lambda event: (event.at, event.id))

    async def reserved(self, application: int, process: str) -> list[OfflineEvent]:
        """Return what a process has reserved, oldest first."""
        return [_event(row) for row in self._reader.all(_SQL["reserved_events"], (application, process))]

    async def clear(
        self, application: int, process: str, *, messages: Sequence[str] | None = None, ids: Sequence[int] | None = None
    ) -> int:
        """Forget what a process has reserved: all, or those with these messages or ids. Returns how many."""
        if messages is None and ids is None:
            return await self._writer.write(
                lambda tx: tx.execute(_SQL["clear_events"], (application, process)).rowcount
            )
        row = (application, process, json_list(messages or ()), json_list(ids or ()))
        return await self._writer.write(lambda tx: tx.execute(_SQL["clear_some_events"], row).rowcount)

    async def fail(self, application: int, process: str, messages: Sequence[str]) -> int:
        """Give back what a process has reserved as failed; one that waits anew already just goes. Returns how many."""
        row = (application, process, json_list(messages))
        return await self._writer.write(lambda tx: _fail(tx, row))

    async def waiting(
        self,
        application: int,
        connector: str,
        *,
        filters: Sequence[Condition],
        order: Sequence[Order],
        start: int,
        limit: int,
    ) -> tuple[list[OfflineEvent], int]:
        """Return a page of the queue, reserved ones too, and how many there are in all; without an order oldest first."""
        queued = self._slices("queued_events", application, connector)
        ids, total = await select(queued, filters=filters, order=order, start=start, limit=limit, count=True)
        found = {row[0]: _event(row) for row in self._reader.all(_SQL["events"], (json_list(ids),))}
        return [found[number] for number in ids if number in found], total

    async def prune_events(self, before: int) -> int:
        """Forget offline events older than that, in batches; returns how many."""
        return await delete_in_batches(self._writer, _SQL["prune_events"], before)

    async def forget_application(self, application: int) -> None:
        """Forget an application's handlers and offline events."""
        await self._writer.write(lambda tx: tx.execute(_SQL["delete_handlers"], (application,)))
        self._drop([each.id for each in self.handlers(application=application)])
        await delete_in_batches(self._writer, _SQL["delete_events"], application)

    def _slices(self, statement: str, *which: object) -> Iterator[list[tuple[int, Fields]]]:
        place = (_FIRST, _FIRST)
        while rows := self._reader.all(_SQL[statement], (*which, *place, SLICE)):
            events = [_event(row) for row in rows]
            yield [(event.id, event_fields(event)) for event in events]
            place = events[-1].at, events[-1].id


def _reserve(tx: Transaction, row: tuple[str, str, bool]) -> list[OfflineEvent]:
    return [_event(taken) for taken in tx.all(_SQL["reserve_events"], row)]


def _fail(tx: Transaction, row: tuple[int, str, str]) -> int:
    given = tx.all(_SQL["failed_events"], row)
    for number in given:
        if not tx.execute(_SQL["fail_event"], number).rowcount:
            tx.execute(_SQL["delete_event"], number)
    return len(given)


def _row(event: OfflineEvent) -> tuple[Any, ...]:
    return (
        event.application,
        event.connector,
        event.event,
        event.message,
        event.data,
        event.additional,
        event.at,
        event.failed,
    )


def _event(row: Any) -> OfflineEvent:
    number, application, connector, event, message, data, additional, at, process, failed = row
    return OfflineEvent(
        id=number,
        application=application,
        connector=connector,
        event=event,
        message=message,
        data=data,
        additional=additional,
        at=at,
        process=process,
        failed=bool(failed),
    )
