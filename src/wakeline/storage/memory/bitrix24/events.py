"""Bound handlers and the queue of offline events, in dictionaries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from wakeline.model.bitrix24.events import EventHandler, OfflineEvent
from wakeline.model.bitrix24.records import Condition, Fields, Order
from wakeline.storage.memory.bitrix24.access import MemoryPortalAccess
from wakeline.storage.portal import application_gone, event_fields, handler_exists, handler_key
from wakeline.storage.records import page


class MemoryPortalEvents:
    """Handlers and offline events by id; an event without a process waits."""

    def __init__(self, access: MemoryPortalAccess) -> None:
        self._access = access
        self._handlers: dict[int, EventHandler] = {}
        self._events: dict[int, OfflineEvent] = {}
        self._free: dict[tuple[int, str, str], int] = {}
        """Which event of a message waits."""
        self._last_handler = self._last_event = 0

    async def bind(self, handler: EventHandler) -> EventHandler:
        """Keep a handler; its id is given by the store. Raises Conflict (the same is bound), NotFound (a deleted application)."""
        if self._access.is_gone(handler.application):
            raise application_gone()
        if any(handler_key(each) == handler_key(handler) for each in self._handlers.values()):
            raise handler_exists()
        self._last_handler += 1
        kept = self._handlers[self._last_handler] = msgspec.structs.replace(handler, id=self._last_handler)
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
        gone = [
            each.id
            for each in self.handlers(application=application, event=event)
            if each.offline is offline
            and handler in (None, each.handler)
            and user in (None, each.user)
            and connector in (None, each.connector)
        ]
        for number in gone:
            del self._handlers[number]
        return len(gone)

    def handlers(self, *, application: int | None = None, event: str | None = None) -> list[EventHandler]:
        """Return handlers, oldest first, from memory."""
        return [
            each
            for each in self._handlers.values()
            if application in (None, each.application) and event in (None, each.event)
        ]

    async def queue(self, events: Sequence[OfflineEvent]) -> None:
        """Queue offline events; one that waits already gets the new time, and is no longer a failed one."""
        for event in events:
            if self._access.is_gone(event.application):
                continue
            waiting = self._events.get(self._free.get(_key(event), 0))
            if waiting is not None:
                self._events[waiting.id] = msgspec.structs.replace(waiting, at=event.at, failed=event.failed)
            else:
                self._last_event += 1
                self._put(msgspec.structs.replace(event, id=self._last_event))

    def _put(self, event: OfflineEvent) -> None:
        self._events[event.id] = event
        self._free[_key(event)] = event.id

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
        """Reserve what nobody has reserved, oldest first, in one commit: two readers never get the same event."""
        free = [event for event in self._of(application, connector) if not event.process and event.failed is failed]
        chosen, _ = page(free, _read, filters=filters, order=(), start=0, limit=limit)
        taken = [msgspec.structs.replace(event, process=process) for event in chosen]
        for event in taken:
            self._events[event.id] = event
            del self._free[_key(event)]
        return taken

    async def reserved(self, application: int, process: str) -> list[OfflineEvent]:
        """Return what a process has reserved, oldest first."""
        return _oldest_first(
            event
            for event in self._events.values()
            if process and (event.application, event.process) == (application, process)
        )

    async def clear(
        self, application: int, process: str, *, messages: Sequence[str] | None = None, ids: Sequence[int] | None = None
    ) -> int:
        """Forget what a process has reserved: all, or those with these messages or ids. Returns how many."""
        gone = [
            event.id
            for event in await self.reserved(application, process)
            if (messages is None and ids is None) or event.message in (messages or ()) or event.id in (ids or ())
        ]
        for number in gone:
            del self._events[number]
        return len(gone)

    async def fail(self, application: int, process: str, messages: Sequence[str]) -> int:
        """Give back what a process has reserved as failed; one that waits anew already just goes. Returns how many."""
        given = [event for event in await self.reserved(application, process) if event.message in messages]
        for event in given:
            del self._events[event.id]
            if _key(event) not in self._free:
                self._put(msgspec.structs.replace(event, process="", failed=True))
        return len(given)

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
        return page(self._of(application, connector), _read, filters=filters, order=order, start=start, limit=limit)

    async def prune_events(self, before: int) -> int:
        """Forget offline events older than that; returns how many."""
        return self._keep(lambda event: event.at >= before)

    def _keep(self, wanted: Callable[[OfflineEvent], bool]) -> int:
        before = len(self._events)
        self._events = {number: event for number, event in self._events.items() if wanted(event)}
        self._free = {_key(event): event.id for event in self._events.values() if not event.process}
        return before - len(self._events)

    def forget_application(self, application: int) -> None:
        """Forget an application's handlers and offline events."""
        self._handlers = {row: each for row, each in self._handlers.items() if each.application != application}
        self._keep(lambda event: event.application != application)

    def _of(self, application: int, connector: str) -> list[OfflineEvent]:
        return _oldest_first(
            event for event in self._events.values() if (event.application, event.connector) == (application, connector)
        )


def _read(event: OfflineEvent) -> tuple[int, Fields]:
    return event.id, event_fields(event)


def _key(event: OfflineEvent) -> tuple[int, str, str]:
    return event.application, event.connector, event.message


def _oldest_first(events: Iterable[OfflineEvent]) -> list[OfflineEvent]:
    return sorted(events, key=lambda event: (event.at, event.id))
