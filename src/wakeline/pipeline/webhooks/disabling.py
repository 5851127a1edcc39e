"""Disabling an endpoint and enabling it again: from now on, or from where it stopped.

What waits when an endpoint is disabled is given up, so that nothing waits for one that may never come back; its place in the
journal stays. Who goes on from there is told what was given up then as well, under the ids it had.
"""

from __future__ import annotations

import asyncio

import msgspec
import structlog

from wakeline.model.webhook import Disabled, Endpoint, EndpointHealth, Message, MessageState
from wakeline.pipeline.webhooks.progress import BATCH, Changes
from wakeline.ports import Clock, Events
from wakeline.ports.webhooks import Endpoints, Progress

_LAST_WORD = "the endpoint was disabled"
_PAGE = 500

_log = structlog.get_logger()


class Switch:
    """Disables and enables."""

    def __init__(self, events: Events, endpoints: Endpoints, clock: Clock, changes: Changes) -> None:
        self._events = events
        self._endpoints = endpoints
        self._clock = clock
        self._changes = changes

    async def off(self, endpoint: Endpoint, why: Disabled, at: int) -> None:
        """Tell it nothing more since `at` (Unix ms), and give up what waits for it. Raises NotFound."""
        await self._changes.flush()
        await self._endpoints.change(msgspec.structs.replace(endpoint, disabled=why))
        health = self._endpoints.health(endpoint.id)
        if health.stopped is None:
            stopped = msgspec.structs.replace(health, stopped=at)
            await self._endpoints.record([Progress(endpoint=endpoint.id, health=stopped)])
        now = self._clock.now()
        while rows := await self._endpoints.waiting(endpoint.id, limit=BATCH):
            for row in rows:
                ended = msgspec.structs.replace(
                    row, state=MessageState.GIVEN_UP, at=now, detail=row.detail or _LAST_WORD
                )
                self._changes.note(endpoint.id, ended)
            await self._changes.flush()
        _log.warning("webhook.disabled", endpoint=endpoint.public_id, why=why.value)

    async def on(self, endpoint: Endpoint, *, resume: bool) -> None:
        """Tell it what happens from now on; with `resume`, what it missed comes first. Raises NotFound."""
        former = self._endpoints.health(endpoint.id)
        if resume and former.stopped is not None:
            await self._take_up(endpoint, former, former.stopped)
        # From here on nobody knows any more since when it was told nothing.
        health = EndpointHealth(cursor=former.cursor if resume else await self._events.last())
        await self._endpoints.record([Progress(endpoint=endpoint.id, health=health)])
        await self._endpoints.change(msgspec.structs.replace(endpoint, disabled=None))

    async def _take_up(self, endpoint: Endpoint, health: EndpointHealth, since: int) -> None:
        """Have what was given up since then wait again."""
        place: int | None = None
        while True:
            page = await self._endpoints.log(endpoint.id, state=MessageState.GIVEN_UP, cursor=place, limit=_PAGE)
            again = tuple(self._again(row) for row in page.messages if row.seq > 0 and row.at >= since)
            await self._endpoints.record([Progress(endpoint=endpoint.id, health=health, messages=again)])
            await asyncio.sleep(0)
            place = page.cursor
            if place is None:
                return

    def _again(self, row: Message) -> Message:
        now = self._clock.now()
        return msgspec.structs.replace(row, state=MessageState.WAITING, tries=0, first=0, at=now, due=now)
