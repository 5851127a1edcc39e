"""Reading the journal for webhooks: one page serves all endpoints that are at the same place, and times lead to numbers."""

from __future__ import annotations

import asyncio

from wakeline.model.errors import InvalidRequest
from wakeline.model.event import Event
from wakeline.model.webhook import Endpoint
from wakeline.ports import Events

PAGE = 100
"""Events read at once: a millisecond or two, which no push notices."""
BLUR = 60_000
"""Milliseconds by which times in the journal may go back: an event has the time of what happened, its number that of its commit."""
MOST_REPLAYED = 10_000
"""Messages that one replay may tell again."""


class Pages:
    """The journal as one turn sees it: what is read for one endpoint is there for the others."""

    def __init__(self, events: Events, newest: int) -> None:
        self._events = events
        self._newest = newest
        self._pages: dict[int, tuple[list[Event], int]] = {}

    async def after(self, seq: int) -> tuple[list[Event], int]:
        """Return the next events and the number up to which these are all."""
        if seq >= self._newest:
            return [], seq
        page = self._pages.get(seq)
        if page is None:
            found = await self._events.read(after=seq, limit=PAGE)
            upto = found[-1].seq if len(found) == PAGE else max(self._newest, found[-1].seq if found else 0)
            page = self._pages[seq] = (found, upto)
        return page


async def event_at(events: Events, seq: int) -> Event | None:
    """Return one event, or None if the journal has it no more."""
    found = await events.read(after=seq - 1, limit=1)
    return found[0] if found and found[0].seq == seq else None


async def between(events: Events, endpoint: Endpoint, since: int, until: int | None, upto: int) -> list[Event]:
    """Return what an endpoint is told of that happened from `since` to `until` (Unix ms), up to the number `upto`.

    Raises InvalidRequest for more than `MOST_REPLAYED`.
    """
    wanted: list[Event] = []
    after = await _first_since(events, since - BLUR, upto) - 1
    while after < upto and (page := await events.read(after=after, limit=PAGE)):
        after = page[-1].seq
        await asyncio.sleep(0)  # a month of events takes seconds, and others their turns
        wanted += [
            event
            for event in page
            if event.seq <= upto
            and since <= event.at
            and (until is None or event.at <= until)
            and endpoint.wants(event.type, event.app)
        ]
        if len(wanted) > MOST_REPLAYED:
            raise InvalidRequest(
                f"these are more than {MOST_REPLAYED} messages",
                pointer="/since",
                fix="Ask for a shorter time, and for the next one when that is told.",
            )
        if until is not None and page[0].at > until + BLUR:
            break
    return wanted


async def _first_since(events: Events, since: int, upto: int) -> int:
    """Return the number from which on things happened since that time."""
    low, high = 1, upto + 1
    while low < high:
        middle = (low + high) // 2
        found = await events.read(after=middle - 1, limit=1)
        if found and found[0].at < since:
            low = found[0].seq + 1
        else:
            high = middle
    return low
