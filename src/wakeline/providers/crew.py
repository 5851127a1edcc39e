"""A fixed number of workers, each started when it is first needed, who wait for work until they are dismissed.

A task for each request would cost more than the request; workers that are there cost one wake-up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class Crew:
    """`size` workers; each calls `work`, which returns when there is nothing to do, and is woken to call it again."""

    def __init__(self, size: int, work: Callable[[], Awaitable[None]]) -> None:
        self.size = size
        self._work = work
        self._workers: list[asyncio.Task[None]] = []
        self._resting: list[asyncio.Future[None]] = []

    def wake(self) -> bool:
        """Have one more worker look for work; False: all of them are at it."""
        if self._resting:
            self._resting.pop().set_result(None)
            return True
        if len(self._workers) < self.size:
            self._workers.append(asyncio.get_running_loop().create_task(self._serve()))
            return True
        return False

    async def dismiss(self) -> None:
        """End all of them, in the middle of what they do."""
        workers, self._workers = self._workers, []
        self._resting.clear()
        for worker in workers:
            worker.cancel()
        if workers:
            await asyncio.wait(workers)

    async def _serve(self) -> None:
        while True:
            await self._work()
            resting = asyncio.get_running_loop().create_future()
            self._resting.append(resting)
            await resting
