"""Whose turn it is: work for installations, one piece at a time for each, when it is due or somebody rings.

One portal that does not answer keeps no other waiting: each installation's turn is a task of its own. A turn says after how
many seconds it wants the next; a ring while it runs makes it run once more. Waits are on the monotonic clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from wakeline.model.errors import WakelineError
from wakeline.pipeline.bell import Bell
from wakeline.ports import Clock

AFTER_TROUBLE = 30.0
"""Seconds until a turn that failed for a reason of our own (the store, a defect) is taken again."""

_log = structlog.get_logger()

Turn = Callable[[int], Awaitable[float | None]]
"""Works for an installation (row id); returns the seconds until its next turn, None: not before somebody rings."""


class Turns:
    """Takes turns until it is stopped. `name` is what its log lines say failed."""

    def __init__(self, clock: Clock, turn: Turn, *, name: str) -> None:
        self._clock = clock
        self._turn = turn
        self._name = name
        self._bell = Bell(clock)
        self._due: dict[int, float] = {}
        self._taken: dict[int, asyncio.Task[None]] = {}
        self._stopped = False

    def ring(self, installation: int) -> None:
        """Have an installation's turn taken at once, or once more if it is being taken; returns at once."""
        self._due[installation] = self._clock.monotonic()
        self._bell.ring()

    def forget(self, installation: int) -> None:
        """Give up an installation's turn, also one that is being taken."""
        self._due.pop(installation, None)
        if (task := self._taken.get(installation)) is not None:
            task.cancel()

    async def run(self) -> None:
        """Take turns until stopped or cancelled."""
        try:
            while not self._stopped:
                pause = self._begin()
                await self._bell.wait(pause)
        finally:
            if not self._stopped:
                await self._give_up()

    async def stop(self, patience: float) -> None:
        """Begin no more turns, and give those that are being taken so many seconds to end."""
        self._stopped = True
        self._bell.ring()
        if self._taken:
            await asyncio.wait(self._taken.values(), timeout=patience)
        await self._give_up()

    def _begin(self) -> float | None:
        """Begin the turns that are due; returns the seconds until the next one is."""
        now = self._clock.monotonic()
        for installation, due in list(self._due.items()):
            if due <= now and installation not in self._taken:
                del self._due[installation]
                task = asyncio.create_task(self._take(installation))
                self._taken[installation] = task
        waiting = [due for installation, due in self._due.items() if installation not in self._taken]
        return max(0.0, min(waiting) - now) if waiting else None

    async def _take(self, installation: int) -> None:
        try:
            pause = await self._turn(installation)
        except WakelineError as error:
            pause = AFTER_TROUBLE
            _log.warning(f"bitrix24.{self._name}_failed", installation=installation, cause=error.detail)
        except Exception:  # noqa: BLE001 - a defect met with one portal must not end the work for all of them
            pause = AFTER_TROUBLE
            _log.exception(f"bitrix24.{self._name}_failed", installation=installation)
        finally:
            del self._taken[installation]
            self._bell.ring()
        if pause is not None:
            at = self._clock.monotonic() + pause
            self._due[installation] = min(self._due.get(installation, at), at)

    async def _give_up(self) -> None:
        tasks = list(self._taken.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
