from __future__ import annotations

import asyncio
from collections import deque

import pytest

from wakeline.providers.crew import Crew

pytestmark = pytest.mark.anyio


class Bench:
    """Work that waits to be let go, and how much of it is at hand."""

    def __init__(self, size: int) -> None:
        self.waiting: deque[int] = deque()
        self.at_hand: list[int] = []
        self.done: list[int] = []
        self.go = asyncio.Event()
        self.crew = Crew(size, self._work)

    async def _work(self) -> None:
        while self.waiting:
            piece = self.waiting.popleft()
            self.at_hand.append(piece)
            await self.go.wait()
            self.done.append(piece)

    def give(self, *pieces: int) -> list[bool]:
        self.waiting.extend(pieces)
        return [self.crew.wake() for _ in pieces]


async def as_many(pieces: list[int], count: int) -> None:
    """Wait until there are as many."""
    async with asyncio.timeout(20):
        while len(pieces) < count:  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0)


async def test_no_more_than_its_size_works_at_once_and_everything_is_done() -> None:
    bench = Bench(2)
    assert bench.give(1, 2, 3, 4) == [True, True, False, False]
    await as_many(bench.at_hand, 2)
    assert bench.at_hand == [1, 2]
    bench.go.set()
    await as_many(bench.done, 4)
    assert sorted(bench.done) == [1, 2, 3, 4]
    await bench.crew.dismiss()


async def test_those_who_rest_are_woken_before_another_is_hired() -> None:
    bench = Bench(8)
    bench.go.set()
    for piece in range(20):
        bench.give(piece)
        await as_many(bench.done, piece + 1)
        await asyncio.sleep(0)
    assert len([task for task in asyncio.all_tasks() if "Crew._serve" in repr(task)]) == 1
    await bench.crew.dismiss()


async def test_dismissed_in_the_middle_of_work_nobody_is_left() -> None:
    bench = Bench(3)
    bench.give(1, 2)
    await as_many(bench.at_hand, 2)
    await bench.crew.dismiss()
    assert bench.done == []
    assert not any("Crew._serve" in repr(task) for task in asyncio.all_tasks())


async def test_a_crew_of_nobody_does_nothing() -> None:
    assert Bench(0).give(1) == [False]
