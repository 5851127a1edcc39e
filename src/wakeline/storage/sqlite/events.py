"""The journal of events: a growing number, a live feed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from itertools import takewhile

from wakeline.model.event import Event, EventType
from wakeline.storage.feed import Feed
from wakeline.storage.sqlite import forms
from wakeline.storage.sqlite.reader import Reader
from wakeline.storage.sqlite.statements import load
from wakeline.storage.sqlite.transaction import Transaction
from wakeline.storage.sqlite.writer import Writer

_SQL = load("events")

PRUNE_BATCH = 250
"""Events deleted in one transaction: about a millisecond, so that nobody waits long."""


class SqliteEvents:
    """Events in the order of their commits."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader
        self._feed = Feed()

    def keep(self, tx: Transaction, events: Sequence[Event]) -> None:
        """Keep events in a transaction; followers wake after its commit."""
        if events:
            tx.many(_SQL["insert_event"], map(forms.event_row, events))
            tx.on_commit(self._feed.ring)

    async def append(self, events: Sequence[Event]) -> None:
        """Keep events that do not belong to a settlement."""
        if events:
            await self._writer.write(lambda tx: self.keep(tx, events))

    async def read(
        self,
        *,
        after: int,
        types: frozenset[EventType] | None = None,
        apps: frozenset[str] | None = None,
        limit: int = 500,
    ) -> list[Event]:
        """Return events above `after`, oldest first."""
        parameters = {
            "after": after,
            "types": None if types is None else forms.json_list(sorted(event_type.value for event_type in types)),
            "apps": None if apps is None else forms.json_list(sorted(apps)),
            "limit": limit,
        }
        return [forms.event_of(row) for row in self._reader.all(_SQL["read"], parameters)]

    async def last(self) -> int:
        """Return the newest `seq`."""
        (last,) = self._reader.one(_SQL["last"])
        return int(last)

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
        """Delete the oldest events until one is young enough, in batches."""
        deleted = 0
        while old := self._older(before):
            await self._writer.write(partial(_delete_until, newest=old[-1]))
            deleted += len(old)
        return deleted

    def _older(self, before: int) -> list[int]:
        """Return the oldest numbers, up to the first event that is young enough."""
        oldest = self._reader.all(_SQL["oldest"], (PRUNE_BATCH,))
        return [seq for seq, _ in takewhile(lambda row: row[1] < before, oldest)]

    def close(self) -> None:
        """End every follower."""
        self._feed.close()


def _delete_until(tx: Transaction, newest: int) -> None:
    tx.execute(_SQL["delete_until"], (newest,))
