"""The journal of events, in a list."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

import msgspec

from wakeline.model.event import Event, EventType
from wakeline.storage.feed import Feed


class MemoryEvents:
    """Events with a live feed; `seq` counts from 1."""

    def __init__(self) -> None:
        self._kept: list[Event] = []
        self._last = 0
        self._feed = Feed()

    def keep(self, events: Sequence[Event]) -> None:
        """Number and keep events, and wake the followers."""
        for event in events:
            self._last += 1
            self._kept.append(msgspec.structs.replace(event, seq=self._last))
        if events:
            self._feed.ring()

    async def append(self, events: Sequence[Event]) -> None:
        """Keep events that do not belong to a settlement."""
        self.keep(events)

    async def read(
        self,
        *,
        after: int,
        types: frozenset[EventType] | None = None,
        apps: frozenset[str] | None = None,
        limit: int = 500,
    ) -> list[Event]:
        """Return events above `after`, oldest first."""
        wanted = (
            event
            for event in self._kept
            if event.seq > after and (types is None or event.type in types) and (apps is None or event.app in apps)
        )
        return [event for event, _ in zip(wanted, range(limit), strict=False)]

    async def last(self) -> int:
        """Return the newest `seq`."""
        return self._last

    def follow(self) -> AsyncIterator[None]:
        """Yield whenever something was appended."""
        return self._feed.follow()

    def listen(self, appended: Callable[[], None]) -> None:
        """Have `appended()` called after a commit with events."""
        self._feed.listen(appended)

    def followed(self) -> bool:
        """Tell whether anybody follows, or did since this was last asked."""
        return self._feed.followed()

    async def prune(self, before: int) -> int:
        """Delete the oldest events until one is young enough."""
        old = next((place for place, event in enumerate(self._kept) if event.at >= before), len(self._kept))
        del self._kept[:old]
        return old

    def close(self) -> None:
        """End every follower."""
        self._feed.close()
