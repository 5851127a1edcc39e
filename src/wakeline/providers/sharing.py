"""Pools that several routes share: one for each origin and credential, closed when the last sender has left.

A credential that is replaced gets another revision, so its senders get another pool; what is in flight on the old one
finishes there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable

import structlog

from wakeline.ports import SenderStats
from wakeline.providers.losses import goaway_reason
from wakeline.transport.http2_pool import Pool

log = structlog.get_logger()

_DRAIN_SECONDS = 30.0
"""How long a pool that was put out of use may take to finish what is in flight."""

Make = Callable[[Callable[[], None]], Pool]
"""Makes a pool that calls the given function when it has room."""


class SharedPool:
    """One pool and those who use it."""

    def __init__(self, make: Make, left: Callable[[], None]) -> None:
        self._make = make
        self._left = left
        self._wakes: list[Callable[[], None]] = []
        self._closing: set[asyncio.Task[None]] = set()
        self.pool = make(self._wake)

    @property
    def in_use(self) -> bool:
        """Tell whether any sender is left."""
        return bool(self._wakes)

    def join(self, wake: Callable[[], None]) -> None:
        """Have `wake` called whenever room appears."""
        self._wakes.append(wake)

    async def leave(self, wake: Callable[[], None], *, drain: float) -> None:
        """Stop using it; whoever leaves last closes it and waits for what is in flight, `drain` seconds at most."""
        if wake not in self._wakes:
            return
        self._wakes.remove(wake)
        if self.in_use:
            return
        self._left()
        await self.pool.close(drain=drain)
        if self._closing:
            await asyncio.wait(self._closing)

    def renew(self) -> None:
        """Put new connections in place of the present ones; these finish what is in flight."""
        old, self.pool = self.pool, self._make(self._wake)
        task = asyncio.get_running_loop().create_task(old.close(drain=_DRAIN_SECONDS))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def stats(self) -> SenderStats:
        """Return how the connections are."""
        stats = self.pool.stats
        failure = stats.last_failure
        return SenderStats(
            connections=stats.connections,
            in_flight=stats.in_flight,
            queued=stats.queued,
            last_failure=f"{failure.kind}: {failure.detail}" if failure is not None else "",
            last_goaway=goaway_reason(stats.last_goaway),
        )

    def _wake(self) -> None:
        for wake in list(self._wakes):
            try:
                wake()
            except Exception:  # one route's defect must not keep the others asleep
                log.exception("sender_wake_failed")


class PoolRegistry:
    """Shared pools by what makes them equal."""

    def __init__(self) -> None:
        self._pools: dict[Hashable, SharedPool] = {}

    def join(self, key: Hashable, make: Make, wake: Callable[[], None]) -> SharedPool:
        """Return the pool for `key`, made at its first use, and have `wake` called when it has room."""
        shared = self._pools.get(key)
        if shared is None:
            shared = self._pools[key] = SharedPool(make, lambda: self._forget(key))
        shared.join(wake)
        return shared

    def _forget(self, key: Hashable) -> None:
        self._pools.pop(key, None)
