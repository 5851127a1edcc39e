"""A clock that goes on when told to, and then wakes whoever slept until then."""

from __future__ import annotations

import asyncio

START = 1_795_000_000_000


class FakeClock:
    def __init__(self) -> None:
        self._now = START
        self._jumped = 0
        self._sleepers: list[tuple[int, asyncio.Future[None]]] = []

    def now(self) -> int:
        return self._now + self._jumped

    def monotonic(self) -> float:
        return (self._now - START) / 1000

    def jump(self, seconds: float) -> None:
        """Set the wall clock, as an operator or a time server does; nobody's sleep notices."""
        self._jumped += round(seconds * 1000)

    async def sleep(self, seconds: float) -> None:
        sleeper = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._now + round(seconds * 1000), sleeper))
        await sleeper

    def advance(self, seconds: float) -> None:
        self._now += round(seconds * 1000)
        due = [sleeper for at, sleeper in self._sleepers if at <= self._now]
        self._sleepers = [entry for entry in self._sleepers if entry[0] > self._now and not entry[1].done()]
        for sleeper in due:
            if not sleeper.done():
                sleeper.set_result(None)

    @property
    def sleeping(self) -> int:
        return sum(not sleeper.done() for _, sleeper in self._sleepers)
