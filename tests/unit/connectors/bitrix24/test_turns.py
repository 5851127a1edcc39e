"""Each installation has its turn when it is due, and none waits for another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from stories.clock import FakeClock
from wakeline.connectors.bitrix24.turns import AFTER_TROUBLE, Turn, Turns
from wakeline.model.errors import StoreUnavailable

pytestmark = pytest.mark.anyio

TICKS = 200


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(TICKS):
        if condition():
            return
        await asyncio.sleep(0)
    pytest.fail("it did not come to pass")


async def quiet() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@asynccontextmanager
async def running(turn: Turn, clock: FakeClock) -> AsyncIterator[Turns]:
    turns = Turns(clock, turn, name="test")
    task = asyncio.create_task(turns.run())
    yield turns
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_ring_begins_a_turn_and_what_it_says_begins_the_next() -> None:
    clock, taken = FakeClock(), []

    async def turn(number: int) -> float | None:
        taken.append((number, clock.monotonic()))
        return 60.0 if len(taken) < 3 else None

    async with running(turn, clock) as turns:
        turns.ring(7)
        await until(lambda: len(taken) == 1)
        await until(lambda: clock.sleeping == 1)
        clock.advance(59)
        await quiet()
        assert len(taken) == 1
        clock.advance(1)
        await until(lambda: len(taken) == 2)
        await until(lambda: clock.sleeping == 1)
        clock.advance(60)
        await until(lambda: len(taken) == 3)
        await quiet()

    assert taken == [(7, 0.0), (7, 60.0), (7, 120.0)]


async def test_a_ring_during_a_turn_makes_one_more() -> None:
    clock, taken, hold = FakeClock(), [], asyncio.Event()

    async def turn(number: int) -> None:
        taken.append(number)
        await hold.wait()

    async with running(turn, clock) as turns:
        turns.ring(7)
        await until(lambda: taken == [7])
        turns.ring(7)
        turns.ring(7)
        await quiet()
        assert taken == [7]
        hold.set()
        await until(lambda: taken == [7, 7])
        await quiet()

    assert taken == [7, 7]


async def test_an_installation_that_takes_its_time_holds_up_no_other() -> None:
    clock, taken, hold = FakeClock(), [], asyncio.Event()

    async def turn(number: int) -> None:
        taken.append(number)
        if number == 1:
            await hold.wait()

    async with running(turn, clock) as turns:
        turns.ring(1)
        await until(lambda: taken == [1])
        turns.ring(2)
        await until(lambda: taken == [1, 2])


@pytest.mark.parametrize("error", [StoreUnavailable("full"), ValueError("a defect")])
async def test_a_turn_that_fails_is_taken_again(error: Exception) -> None:
    clock, taken = FakeClock(), []

    async def turn(number: int) -> None:
        taken.append(number)
        if len(taken) == 1:
            raise error

    async with running(turn, clock) as turns:
        turns.ring(7)
        await until(lambda: taken == [7])
        await until(lambda: clock.sleeping == 1)
        clock.advance(AFTER_TROUBLE)
        await until(lambda: taken == [7, 7])


async def test_a_stop_gives_what_is_under_way_time_to_end() -> None:
    clock, ended, hold = FakeClock(), [], asyncio.Event()

    async def turn(number: int) -> None:
        await hold.wait()
        ended.append(number)

    turns = Turns(clock, turn, name="test")
    task = asyncio.create_task(turns.run())
    turns.ring(7)
    await quiet()
    stopping = asyncio.create_task(turns.stop(5.0))
    await quiet()
    turns.ring(8)
    hold.set()
    await stopping
    await task

    assert ended == [7]


async def test_what_is_forgotten_has_no_turn_any_more() -> None:
    clock, ended, hold = FakeClock(), [], asyncio.Event()

    async def turn(number: int) -> None:
        await hold.wait()
        ended.append(number)

    async with running(turn, clock) as turns:
        turns.ring(7)
        await quiet()
        turns.forget(7)
        hold.set()
        await quiet()
        turns.ring(8)
        await until(lambda: ended == [8])
