"""Devices that keep silent: counted by a walk in small pieces, retired only if the settings ask for it, and restorable."""

from __future__ import annotations

import pytest

from stories.world import World
from wakeline.config import Devices, Limits, Settings
from wakeline.model.device import TargetState
from wakeline.model.event import EventType
from wakeline.pipeline import stale
from wakeline.pipeline.stale import Staleness

pytestmark = pytest.mark.anyio

DAY = 86400
MONTH = 30 * DAY


async def a_world(**keep: int) -> World:
    return await World(Settings(limits=Limits(per_user=False), devices=Devices(**keep))).open()


async def walked(world: World) -> Staleness | None:
    """Let the walk of today be made, and return what is known of the app."""
    world.clock.advance(DAY)
    await world.pipeline.maintain.tick()
    return await world.pipeline.maintain.stale.known(world.app.id)


async def test_silent_devices_are_counted_and_left_alone(world: World) -> None:
    await world.device("silent", "ann", "apns:aa", "apns-voip:bb")
    world.clock.advance(MONTH)
    await world.device("fresh", "bob")
    found = await walked(world)
    assert found == Staleness(targets=2, devices=1, at=world.clock.now())
    assert (await world.target("silent")).state is TargetState.ACTIVE
    assert not await world.events(EventType.TARGET_RETIRED)


async def test_nothing_is_known_before_the_first_walk_has_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stale, "PIECE", 2)
    monkeypatch.setattr(stale, "PIECES", 2)
    for number in range(5):
        await world.device(f"silent{number}", "ann")
    world.clock.advance(2 * MONTH)
    walk = world.pipeline.maintain.stale
    await walk.walk()
    assert await walk.known(world.app.id) is None
    await walk.walk()
    assert await walk.known(world.app.id) == Staleness(targets=5, devices=5, at=world.clock.now())


async def test_the_walk_is_made_once_a_day_and_survives_a_restart(world: World) -> None:
    await world.device("silent", "ann")
    first = await walked(world)
    assert first == Staleness(at=world.clock.now())
    world.clock.advance(DAY / 2)
    await world.pipeline.maintain.tick()
    assert await world.restarted().maintain.stale.known(world.app.id) == first


async def test_retired_if_configured_with_history_and_restorable() -> None:
    world = await a_world(retire_stale_after=9 * MONTH)
    device = await world.device("silent", "ann")
    await world.device("imported", "bob", confirmed=0)
    world.clock.advance(8 * MONTH)
    assert await walked(world) == Staleness(targets=2, devices=2, at=world.clock.now())
    world.clock.advance(MONTH)
    assert await walked(world) == Staleness(devices=2, retired=2, at=world.clock.now())
    retired = await world.target("silent")
    assert (retired.state, retired.reason) == (TargetState.RETIRED, "stale")
    assert (await world.target("imported")).state is TargetState.RETIRED
    events = await world.events(EventType.TARGET_RETIRED)
    assert [(event.data.device, event.data.users) for event in events] == [("silent", ("ann",)), ("imported", ("bob",))]
    assert "272 days" in events[0].data.note
    [step] = await world.store.devices.history(device.id)
    assert (step.state, step.reason) == (TargetState.RETIRED, "stale")

    await world.store.devices.restore(world.app.id, device_id="silent", at=world.clock.now())
    await walked(world)
    assert (await world.target("silent")).state is TargetState.ACTIVE


async def test_a_device_that_speaks_during_the_walk_stays() -> None:
    world = await a_world(retire_stale_after=9 * MONTH)
    await world.device("phone", "ann")
    before = world.clock.now()
    world.clock.advance(10 * MONTH)
    page = await world.store.devices.stale(world.app.id, before=before + 1)
    await world.device("phone", "ann")
    retired = await world.pipeline.maintain.stale._retire(world.app, page.targets, world.clock.now())
    assert (len(page.targets), retired) == (1, 0)
    assert (await world.target("phone")).state is TargetState.ACTIVE


async def test_a_deleted_app_leaves_nothing_of_its_walk(world: World) -> None:
    walk = world.pipeline.maintain.stale
    await world.store.apps.delete(world.app.id)
    await walk.walk()
    assert await walk.known(world.app.id) is None
