"""Whose turn it is: what reads and then changes the same thing happens one after the other.

Rule: two REGISTER of one address-of-record end as one behind the other, never as a mixture; others do not wait for them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable

_Waiting = deque[asyncio.Future[None]]


class Turns:
    """A queue for each thing; one that nobody stands in is forgotten. Nearly always there is nobody, and then it costs nothing."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._waiting: dict[Hashable, _Waiting] = {}

    def of(self, thing: Hashable) -> Turn:
        """Return a turn: `async with` waits for it, and has the next one go when it ends."""
        return Turn(self._waiting, thing)


class Turn:
    """One's turn with a thing."""

    __slots__ = ("_thing", "_waiting")

    def __init__(self, waiting: dict[Hashable, _Waiting], thing: Hashable) -> None:
        self._waiting = waiting
        self._thing = thing

    async def __aenter__(self) -> None:
        """Wait for it."""
        queue = self._waiting.get(self._thing)
        if queue is None:
            self._waiting[self._thing] = deque()
            return
        come = asyncio.get_running_loop().create_future()
        queue.append(come)
        try:
            await come
        except asyncio.CancelledError:
            if not come.cancelled():  # it had come already
                self._pass_on()
            raise

    async def __aexit__(self, *_: object) -> None:
        """Have the next one go."""
        self._pass_on()

    def _pass_on(self) -> None:
        queue = self._waiting[self._thing]
        while queue:
            come = queue.popleft()
            if not come.done():  # whoever waited may have been cancelled
                come.set_result(None)
                return
        del self._waiting[self._thing]
