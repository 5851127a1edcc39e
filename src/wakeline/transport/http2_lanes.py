"""Requests that wait for a stream: two lanes, each first in, first out."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from wakeline.wire.http2 import RequestBatch


class Waiting:
    """Requests that are not sent yet: positions in `batch`; `attempt` counts how often they were refused."""

    __slots__ = ("attempt", "batch", "indexes")

    def __init__(self, batch: RequestBatch, indexes: Sequence[int], attempt: int = 0) -> None:
        self.batch = batch
        self.indexes = indexes
        self.attempt = attempt


class Lane:
    """Waiting requests of one priority, in order."""

    def __init__(self, *, call: bool) -> None:
        self.call = call
        self.size = 0
        self._items: deque[Waiting] = deque()

    def __bool__(self) -> bool:
        return bool(self._items)

    def append(self, item: Waiting) -> None:
        """Queue requests."""
        self._items.append(item)
        self.size += len(item.indexes)

    def put_first(self, item: Waiting) -> None:
        """Queue requests in front of all others."""
        self._items.appendleft(item)
        self.size += len(item.indexes)

    def first(self) -> Waiting:
        """Return what is to be sent next."""
        return self._items[0]

    def sent(self, count: int) -> None:
        """Take the first `count` requests off the first item."""
        item = self._items[0]
        item.indexes = item.indexes[count:]
        self.size -= count
        if not item.indexes:
            self._items.popleft()

    def narrow(self, indexes: Sequence[int]) -> None:
        """Leave nothing but these requests of the first item, perhaps none."""
        item = self._items[0]
        self.size -= len(item.indexes) - len(indexes)
        item.indexes = indexes
        if not indexes:
            self._items.popleft()

    def take(self, *, until: float | None = None) -> list[Waiting]:
        """Take out what is overdue at `until`, or everything."""
        gone = [item for item in self._items if until is None or item.batch.deadline <= until]
        if gone:
            self._items = deque(item for item in self._items if item not in gone)
            self.size = sum(len(item.indexes) for item in self._items)
        return gone
