"""Waiting for whatever comes first: a call, or a time on the injected clock."""

from __future__ import annotations

import asyncio

from wakeline.ports import Clock


class Bell:
    """Rung from callbacks, heard by one loop. A ring while the loop works is heard at its next wait."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake the loop."""
        self._rung.set()

    async def wait(self, seconds: float | None) -> None:
        """Return when the bell is rung, or after so many seconds (None: only then)."""
        if seconds is None or self._rung.is_set():
            await self._rung.wait()
        else:
            await self._either(seconds)
        self._rung.clear()

    async def _either(self, seconds: float) -> None:
        tasks = {asyncio.ensure_future(self._rung.wait()), asyncio.ensure_future(self._clock.sleep(seconds))}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
