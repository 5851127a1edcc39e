"""What the telling changed and is not written yet: all endpoints share a commit, and what is not written is told once more.

A message that is told again has the id it had, so what a crash repeats is what its receiver knows already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from wakeline.model.webhook import EndpointHealth, Message
from wakeline.ports import Clock
from wakeline.ports.webhooks import Endpoints, Progress

AFTER = 0.05
"""Seconds from the first change to its commit."""
PASSED_AFTER = 5.0
"""The same where a cursor only passed what its endpoint is not told of: after a crash that is read again."""
BATCH = 250
"""Messages with which it is committed at once."""
MOST = 2_000
"""Messages that may wait to be written before nothing more is started: the store takes nothing."""


class Changes:
    """Gathers and writes.

    `health_of` returns the health of an endpoint at the time of writing; `written` hears of the rows of one that were.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        clock: Clock,
        health_of: Callable[[int], EndpointHealth],
        written: Callable[[int, Iterable[Message]], None],
    ) -> None:
        self._endpoints = endpoints
        self._clock = clock
        self._health_of = health_of
        self._written = written
        self._rows: dict[int, dict[int, Message]] = {}
        self._due = 0.0
        self._size = 0
        self._writing = asyncio.Lock()

    def note(self, endpoint: int, row: Message | None) -> None:
        """Have an endpoint's health written, with a row of its log."""
        due = self._clock.monotonic() + (PASSED_AFTER if row is None else AFTER)
        self._due = min(self._due, due) if self._rows else due
        rows = self._rows.setdefault(endpoint, {})
        if row is not None:
            self._size += row.seq not in rows
            rows[row.seq] = row

    @property
    def full(self) -> bool:
        """Tell whether too much waits."""
        return self._size >= MOST

    def wait(self) -> float | None:
        """Return the seconds until `flush` is due, None: there is nothing."""
        if not self._rows:
            return None
        return 0.0 if self._size >= BATCH else max(0.0, self._due - self._clock.monotonic())

    async def flush(self) -> None:
        """Write it; what the store did not take is kept for the next time. Raises StorageError.

        One at a time: what one could not write must not come after what a later one wrote.
        """
        async with self._writing:
            await self._flush()

    async def _flush(self) -> None:
        rows, self._rows, self._size = self._rows, {}, 0
        if not rows:
            return
        progress = [
            Progress(endpoint=endpoint, health=self._health_of(endpoint), messages=tuple(messages.values()))
            for endpoint, messages in rows.items()
        ]
        try:
            await self._endpoints.record(progress)
        except BaseException:
            self._keep(rows)
            raise
        for endpoint, messages in rows.items():
            self._written(endpoint, messages.values())

    def _keep(self, rows: dict[int, dict[int, Message]]) -> None:
        """Put back what was not written, beneath what came meanwhile."""
        for endpoint, messages in rows.items():
            later = self._rows.pop(endpoint, {})
            for row in (messages | later).values():
                self.note(endpoint, row)
            if not messages and not later:
                self.note(endpoint, None)
        self._size = sum(len(messages) for messages in self._rows.values())
