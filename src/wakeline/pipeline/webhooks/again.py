"""Telling again what an endpoint was told: the same events under the same ids, as messages that are due now.

A replay is rows of the delivery log, so it survives a restart, is tried again like anything else, and keeps the order of each
device among what it tells. It is prepared in pieces, since nobody who sends a push is to wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from wakeline.model.errors import Conflict, InvalidRequest
from wakeline.model.event import Event
from wakeline.model.webhook import Endpoint
from wakeline.pipeline.webhooks.journal import MOST_REPLAYED, PAGE, between, event_at
from wakeline.pipeline.webhooks.order import REPLAYED, Order, row_of
from wakeline.pipeline.webhooks.progress import Changes
from wakeline.ports import Clock, Events
from wakeline.ports.webhooks import Endpoints

MOST_WAITING = 15_000
"""Messages that may wait for an endpoint, with those of a replay."""


class Replays:
    """Sets events aside once more."""

    def __init__(self, events: Events, endpoints: Endpoints, clock: Clock, changes: Changes) -> None:
        self._events = events
        self._endpoints = endpoints
        self._clock = clock
        self._changes = changes

    async def add(self, endpoint: Endpoint, order: Order | None, events: Sequence[Event]) -> int:
        """Have these told again; `order` is that of the endpoint if it is told now. Raises Conflict if too much waits."""
        waiting = (
            order.waiting
            if order is not None
            else {row.seq: row for row in await self._endpoints.waiting(endpoint.id, limit=MOST_WAITING)}
        )
        if len(waiting) + sum(event.seq not in waiting for event in events) > MOST_WAITING:
            raise Conflict(f"{len(waiting)} messages wait already", fix="Replay more when these are told.")
        flying = order.flying if order is not None else {}
        added = 0
        for first in range(0, len(events), PAGE):
            now = self._clock.now()
            for event in events[first : first + PAGE]:
                if event.seq in flying:
                    continue
                known = waiting.get(event.seq)
                row = (
                    row_of(endpoint.id, event, now, REPLAYED)
                    if known is None
                    else msgspec.structs.replace(known, due=now)
                )
                self._changes.note(endpoint.id, row)
                if order is not None:
                    order.put(row)
                added += 1
            await self._changes.flush()
        return added

    async def find(
        self, endpoint: Endpoint, seqs: Sequence[int], since: int | None, until: int | None, told: int
    ) -> list[Event]:
        """Return what is asked for, of what the endpoint was told up to the number `told`. Raises InvalidRequest."""
        if not seqs:
            return await between(self._events, endpoint, since or 0, until, told)
        if len(seqs) > MOST_REPLAYED:
            raise InvalidRequest(f"these are more than {MOST_REPLAYED} messages", fix="Ask for them in parts.")
        found: list[Event] = []
        for place, seq in enumerate(seqs):
            event = await event_at(self._events, seq) if 0 < seq <= told else None
            if event is not None and endpoint.wants(event.type, event.app):
                found.append(event)
            if place % PAGE == PAGE - 1:
                await asyncio.sleep(0)
        return found
