"""Who has time: callers that leave the disk a pause behind each commit, and go together when it ends.

Theory: a commit costs as much as eight registrations, whoever shares it. So one that comes alone goes at once, and of hundreds in
a second a handful waits for each other. That a registration is answered some milliseconds later is lost in any network.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

PAUSE = 0.02
"""Seconds between a commit and the next one that is for nobody in a hurry."""

_Caller = TypeVar("_Caller")


class Unhurried(Generic[_Caller]):
    """Callers that wait for the end of a pause; `go` is called then, and takes them."""

    def __init__(self, go: Callable[[], None]) -> None:
        self._go = go
        self._ends = 0.0
        self._alarm: asyncio.TimerHandle | None = None
        self.callers: deque[_Caller] = deque()
        """Who waits, first who came first."""

    def put(self, caller: _Caller, *, busy: bool) -> None:
        """Have a caller wait; while somebody else is being served (`busy`) the pause has not begun, see `rest`."""
        self.callers.append(caller)
        if not busy:
            self._wait()

    def rest(self) -> None:
        """Begin a pause."""
        self._ends = asyncio.get_running_loop().time() + PAUSE
        if self.callers:
            self._wait()

    def take(self) -> deque[_Caller]:
        """Return who waits, and forget them."""
        taken, self.callers = self.callers, deque()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        return taken

    def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() >= self._ends:
            self._go()
        elif self._alarm is None:
            self._alarm = loop.call_at(self._ends, self._go)
