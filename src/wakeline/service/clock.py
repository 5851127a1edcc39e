"""The system's clocks, as `ports.Clock`."""

from __future__ import annotations

import asyncio
import time

_NANOSECONDS_PER_MILLISECOND = 1_000_000


class SystemClock:
    """Wall clock in Unix milliseconds, monotonic clock in seconds (the same that asyncio's loops use)."""

    def now(self) -> int:
        """Return the Unix time in milliseconds."""
        return time.time_ns() // _NANOSECONDS_PER_MILLISECOND

    def monotonic(self) -> float:
        """Return seconds that never jump."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait that long."""
        await asyncio.sleep(seconds)
