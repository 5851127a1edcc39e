"""Python's garbage collector, set for a process that answers in milliseconds.

What a push makes is hardly ever in a cycle, and counting references frees it. Young objects are looked at as they come, some
thousands at a time, in about a millisecond. A full collection looks at everything that is remembered: 13 to 26 ms in which a
call would wait. So full ones are not left to chance: one is made when nothing waits for an answer, or else every ten minutes.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

YOUNG = 20_000
"""Objects made and not freed between two looks at the young ones; at Python's 700 they took 8 % of the CPU of single pushes."""

_MIDDLE = 10
_NEVER = 1_000_000_000

LOOK = 60.0
"""Seconds between two looks whether nothing waits."""

LATEST = 10
"""Looks after which a full collection is made all the same."""


def settle() -> None:
    """Take what was made so far for permanent: it lives as long as the process, and is not looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, _MIDDLE, _NEVER)


class Collector:
    """Decides, look by look, when a full collection is made."""

    def __init__(self, is_idle: Callable[[], bool], collect: Callable[[], object] = gc.collect) -> None:
        self._is_idle = is_idle
        self._collect = collect
        self._busy = 0

    def look(self) -> None:
        """Collect if nothing waits, or if that was not so for too long."""
        self._busy = 0 if self._is_idle() else self._busy + 1
        if self._busy in {0, LATEST}:
            self._busy = 0
            self._collect()

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(LOOK)
            self.look()
