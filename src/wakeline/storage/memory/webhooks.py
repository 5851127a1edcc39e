"""Webhook endpoints with their secrets, health and delivery log, in dictionaries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from heapq import nsmallest
from itertools import islice

import msgspec

from wakeline.model.webhook import Endpoint, EndpointHealth, EndpointSecret, Message, MessagePage, MessageState
from wakeline.ports import Clock
from wakeline.ports.webhooks import Progress
from wakeline.storage.webhooks import no_endpoint, page_of, rotated, surplus


class MemoryEndpoints:
    """Endpoints by id, and their messages by the number of the event."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._endpoints: dict[int, Endpoint] = {}
        self._secrets: dict[int, tuple[EndpointSecret, ...]] = {}
        self._health: dict[int, EndpointHealth] = {}
        self._messages: dict[int, dict[int, Message]] = {}
        self._excess: dict[int, int] = {}
        self._last = 0
        self._listeners: list[Callable[[int], None]] = []

    async def create(self, endpoint: Endpoint, secret: bytes, *, cursor: int) -> Endpoint:
        """Keep a new endpoint that is told of what comes after `cursor` in the journal; its id is given by the store."""
        self._last += 1
        kept = self._endpoints[self._last] = msgspec.structs.replace(endpoint, id=self._last)
        self._secrets[kept.id] = (EndpointSecret(value=secret),)
        self._health[kept.id] = EndpointHealth(cursor=cursor)
        self._messages[kept.id] = {}
        self._tell(kept.id)
        return kept

    def get(self, endpoint: int) -> Endpoint | None:
        """Return one by id."""
        return self._endpoints.get(endpoint)

    def all(self) -> list[Endpoint]:
        """Return all, oldest first."""
        return list(self._endpoints.values())

    async def change(self, endpoint: Endpoint) -> None:
        """Write what became of it. Raises NotFound."""
        self._check(endpoint.id)
        self._endpoints[endpoint.id] = endpoint
        self._tell(endpoint.id)

    async def delete(self, endpoint: int) -> None:
        """Forget it with its log. Raises NotFound."""
        self._check(endpoint)
        for kept in (self._endpoints, self._secrets, self._health, self._messages):
            kept.pop(endpoint)
        self._tell(endpoint)

    async def secrets(self, endpoint: int) -> tuple[EndpointSecret, ...]:
        """Return its secrets, the current one first. Raises NotFound."""
        self._check(endpoint)
        return self._secrets[endpoint]

    async def rotate(self, endpoint: int, secret: bytes, *, until: int) -> None:
        """Make this the current secret; the former ones sign until `until` (Unix ms) at the longest. Raises NotFound."""
        self._check(endpoint)
        self._secrets[endpoint] = rotated(self._secrets[endpoint], secret, until=until, now=self._clock.now())
        self._tell(endpoint)

    def health(self, endpoint: int) -> EndpointHealth:
        """Return how the telling goes; a fresh one for an unknown id."""
        return self._health.get(endpoint, EndpointHealth())

    async def record(self, progress: Sequence[Progress]) -> None:
        """Write what a turn changed, of all endpoints that are still there."""
        for one in progress:
            if one.endpoint in self._endpoints:
                self._health[one.endpoint] = one.health
                self._messages[one.endpoint].update((message.seq, message) for message in one.messages)

    async def waiting(self, endpoint: int, *, limit: int) -> list[Message]:
        """Return the messages of an endpoint that are WAITING, the earliest `due` first, ties by `seq`."""
        open_ones = (each for each in self._log(endpoint).values() if each.state is MessageState.WAITING)
        return nsmallest(limit, open_ones, key=lambda message: (message.due, message.seq))

    async def waiting_counts(self) -> dict[int, int]:
        """Return how many messages are WAITING, by endpoint; those without any are left out."""
        found = Counter(
            endpoint
            for endpoint, rows in self._messages.items()
            for message in rows.values()
            if message.state is MessageState.WAITING
        )
        return dict(found)

    async def message(self, endpoint: int, seq: int) -> Message | None:
        """Return one row of the log."""
        return self._log(endpoint).get(seq)

    async def log(
        self, endpoint: int, *, state: MessageState | None = None, cursor: int | None = None, limit: int = 50
    ) -> MessagePage:
        """Return the delivery log of an endpoint, the newest `seq` first."""
        rows = self._log(endpoint)
        wanted = (
            rows[seq]
            for seq in sorted(rows, reverse=True)
            if (cursor is None or seq < cursor) and state in (None, rows[seq].state)
        )
        return page_of(list(islice(wanted, limit + 1)), limit)

    async def prune(self, before: int, limit: int) -> int:
        """Forget up to `limit` messages that are TAKEN or GIVEN_UP and changed last before that time; returns how many."""
        old = (
            (endpoint, seq)
            for endpoint, rows in self._messages.items()
            for seq, message in rows.items()
            if message.at < before and message.state is not MessageState.WAITING and not self._may_resume(message)
        )
        gone = list(islice(old, limit))
        for endpoint, seq in gone:
            del self._messages[endpoint][seq]
        return len(gone)

    async def trim(self, most: int, limit: int) -> int:
        """Forget up to `limit` of the oldest messages that wait no more, where an endpoint has more than `most`."""
        gone = 0
        for endpoint, rows in self._messages.items():
            if self.health(endpoint).stopped is not None:
                continue
            excess = self._excess.get(endpoint) or surplus(len(rows), most)
            over = (seq for seq in sorted(rows) if seq > 0 and rows[seq].state is not MessageState.WAITING)
            oldest = list(islice(over, min(excess, limit - gone)))
            for seq in oldest:
                del rows[seq]
            self._excess[endpoint] = excess - len(oldest) if oldest else 0
            gone += len(oldest)
        return gone

    def _may_resume(self, message: Message) -> bool:
        """Tell whether an endpoint that is disabled gave this up since it was: it may go on from there."""
        stopped = self.health(message.endpoint).stopped
        return stopped is not None and message.state is MessageState.GIVEN_UP and message.at >= stopped

    def listen(self, changed: Callable[[int], None]) -> None:
        """Have `changed(id)` called after an endpoint was made, changed, rotated or deleted."""
        self._listeners.append(changed)

    def _log(self, endpoint: int) -> dict[int, Message]:
        return self._messages.get(endpoint, {})

    def _check(self, endpoint: int) -> None:
        if endpoint not in self._endpoints:
            raise no_endpoint(endpoint)

    def _tell(self, endpoint: int) -> None:
        for changed in self._listeners:
            changed(endpoint)
