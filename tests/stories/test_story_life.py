"""The loops themselves: start, stop, drain, crash. Time still stands still unless it is told to go on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from stories.post import REVOKED
from stories.world import World
from wakeline.model.delivery import DeliveryState
from wakeline.model.event import EventType
from wakeline.model.route import HoldReason

pytestmark = pytest.mark.anyio


async def until(world: World, seen: Callable[[], Awaitable[bool]]) -> None:
    """Let the loops run, and time in small steps, until something is seen."""
    for _ in range(2000):
        if await seen():
            return
        world.clock.advance(0.01)
        world.apple.deliver()
        await asyncio.sleep(0)
    raise AssertionError("it never happened")


async def test_the_loops_carry_a_push_from_end_to_end(world: World) -> None:
    await world.device("phone", "ann")
    await world.pipeline.start()
    key = await world.send("ann")

    async def accepted() -> bool:
        return (await world.counts(key)).accepted == 1

    await until(world, accepted)
    await world.pipeline.stop(drain=1)
    assert world.apple.offices[0].closed


async def test_a_drain_finishes_what_is_in_flight_and_gives_back_the_rest(world: World) -> None:
    for number in range(10):
        await world.device(f"phone{number}", "ann")
    world.apple.capacity = 4
    world.apple.answers = False
    key = await world.send("ann")
    await world.pipeline.start()

    async def sent() -> bool:
        return bool(world.apple.sent)

    await until(world, sent)
    gone = len(world.apple.sent)
    await world.pipeline.stop(drain=5)
    counts = await world.counts(key)
    assert counts.accepted == gone
    assert counts.pending == 10 - gone

    world.apple.answers = True
    world.restarted()
    await world.run()
    assert (await world.counts(key)).accepted == 10
    assert len(set(world.apple.tokens())) == len(world.apple.sent) == 10


async def test_a_crash_loses_nothing_and_repeats_with_the_same_ids(world: World) -> None:
    await world.device("phone", "ann")
    await world.device("tablet", "ann")
    world.apple.answers = False
    key = await world.send("ann")
    await world.run()
    world.apple.offices.clear()
    world.apple.answers = True

    await world.store.queue.rescue()
    world.restarted()
    await world.run()
    assert (await world.counts(key)).accepted == 2
    assert {sent.notification for sent in world.apple.sent} == {key}
    assert sorted(world.apple.tokens()) == ["phone", "phone", "tablet", "tablet"]


async def test_a_hold_survives_a_restart(world: World) -> None:
    await world.device("phone", "ann")
    await world.send("ann")
    await world.run()
    await world.pipeline.hold(world.pipeline.routes()[0].route.id, "maintenance")
    key = await world.send("ann")
    world.restarted()
    await world.run()
    assert (await world.delivery(key)).state is DeliveryState.HELD
    [status] = world.pipeline.routes()
    assert status.hold is not None
    assert status.hold.reason is HoldReason.OPERATOR


async def test_a_stalled_queue_is_told_of_once(world: World) -> None:
    await world.device("phone", "ann")
    await world.send("ann")
    await world.run()
    world.apple.capacity = 0
    for _ in range(1200):
        await world.send("ann")
    for _ in range(3):
        await world.later(400, step=60)
    [stalled] = await world.events(EventType.QUEUE_STALLED)
    assert "deliveries have been due" in stalled.data.note


async def test_a_loop_outlives_a_cancelled_future_of_somebody_else(world: World) -> None:
    await world.device("phone", "ann")
    world.queue.interruptions = 1
    with capture_logs() as lines:
        await world.pipeline.start()
        key = await world.send("ann")

        async def accepted() -> bool:
            return (await world.counts(key)).accepted == 1

        await until(world, accepted)
    await world.pipeline.stop(drain=1)

    assert ("loop.crashed", "dispatch") in [(line["event"], line.get("loop")) for line in lines]


async def test_a_loop_that_does_nothing_but_crash_is_told_and_forgotten_once_it_works(world: World) -> None:
    await world.pipeline.start()
    world.queue.interruptions = 5
    with capture_logs():

        async def crashing() -> bool:
            world.pipeline.dispatch.wake()
            return world.pipeline.condition().crashing == ("dispatch",)

        await until(world, crashing)

        async def works() -> bool:
            return not world.pipeline.condition().crashing

        await until(world, works)
    await world.pipeline.stop(drain=1)


async def test_a_duty_that_crashes_does_not_starve_the_others(world: World) -> None:
    await world.device("phone", "ann")
    world.apple.to_credential[1] = REVOKED
    key = await world.send("ann", ttl=30)
    await world.run()
    world.disk.unreadable = True

    with capture_logs() as lines:
        await world.later(40)

    assert (await world.delivery(key)).state is DeliveryState.EXPIRED
    assert ("duty.crashed", "disk") in [(line["event"], line.get("duty")) for line in lines]
