"""Debug windows: three hours of every eight, over restarts and settings."""

from __future__ import annotations

import contextlib

import msgspec
import pytest

from stories.world import World
from wakeline.config import Settings
from wakeline.config.tree import Debug
from wakeline.model.errors import Conflict

pytestmark = pytest.mark.anyio

HOUR = 3600
MINUTE = 60


def since_start(world: World, moment: int | None) -> float:
    assert moment is not None
    return (moment - world.app.created) / 1000 / HOUR


async def open_for(world: World, hours: float) -> None:
    """Have the window open for so long, and closed by hand."""
    await world.pipeline.debug.open(world.app)
    world.clock.advance(hours * HOUR)
    await world.pipeline.debug.close(world.app)


async def test_a_window_closes_by_itself_after_three_hours(world: World) -> None:
    window = await world.pipeline.debug.open(world.app)
    assert (window.open, since_start(world, window.until)) == (True, 3.0)
    world.clock.advance(3 * HOUR - 1)
    assert world.pipeline.debug.records(world.app.id)
    world.clock.advance(1)
    assert not world.pipeline.debug.records(world.app.id)
    assert not world.pipeline.debug.state(world.app).open


async def test_it_may_be_opened_again_eight_hours_after_it_was_opened(world: World) -> None:
    await open_for(world, 3)
    assert since_start(world, world.pipeline.debug.state(world.app).next_at) == 8.0
    world.clock.advance(5 * HOUR - 1)
    with pytest.raises(Conflict) as refused:
        await world.pipeline.debug.open(world.app)
    assert refused.value.retry_after == 1.0
    assert "3 hours of the last 8 hours" in refused.value.detail
    world.clock.advance(1)
    assert since_start(world, (await world.pipeline.debug.open(world.app)).until) == 11.0


async def test_what_was_not_used_is_left(world: World) -> None:
    await open_for(world, 1)
    world.clock.advance(HOUR)
    window = await world.pipeline.debug.open(world.app)
    assert since_start(world, window.until) == 4.0  # two hours from now


async def test_no_eight_hours_have_more_than_three_however_it_is_opened(world: World) -> None:
    opened = []
    for minute in range(0, 24 * 60, 10):
        with contextlib.suppress(Conflict):
            await world.pipeline.debug.open(world.app, seconds=25 * MINUTE)
        opened.append((minute, world.pipeline.debug.records(world.app.id)))
        world.clock.advance(10 * MINUTE)
    most = max(sum(on for at, on in opened if begin <= at < begin + 480) for begin in range(0, 16 * 60, 10))
    assert most == 18
    assert sum(on for _, on in opened) == 54


async def test_opening_an_open_window_gives_it_another_end(world: World) -> None:
    await world.pipeline.debug.open(world.app, seconds=HOUR)
    world.clock.advance(HOUR / 2)
    world.pipeline.debug.note(world.app.id, 2, 0.001)
    window = await world.pipeline.debug.open(world.app, seconds=HOUR)
    assert (since_start(world, window.since), since_start(world, window.until)) == (0.0, 1.5)
    assert (window.recorded, window.spent) == (2, 1.0)


async def test_a_closed_window_stays_closed(world: World) -> None:
    await open_for(world, 1)
    window = await world.pipeline.debug.close(world.app)
    assert (window.open, since_start(world, window.until), window.next_at) == (False, 1.0, 0)


async def test_a_restart_neither_closes_nor_forgives(world: World) -> None:
    await world.pipeline.debug.open(world.app)
    world.pipeline.debug.note(world.app.id, 5, 0.002)
    await world.pipeline.debug.tend()
    before = world.pipeline.debug.state(world.app)
    await world.restarted().debug.recall()
    assert world.pipeline.debug.records(world.app.id)
    assert world.pipeline.debug.state(world.app) == before
    world.clock.advance(3 * HOUR)
    await world.restarted().debug.recall()
    with pytest.raises(Conflict):
        await world.pipeline.debug.open(world.app)


async def test_a_clock_that_was_ahead_and_is_put_right_leaves_no_window_open(world: World) -> None:
    year = 400 * 86400
    world.clock.jump(year)
    await world.pipeline.debug.open(world.app)
    world.clock.jump(-year)

    assert not world.pipeline.debug.records(world.app.id)
    assert not world.pipeline.debug.state(world.app).open
    assert (await world.pipeline.debug.open(world.app)).until == world.clock.now() + 3000 * HOUR


async def test_an_operator_may_allow_it_without_end(world: World) -> None:
    allowed = msgspec.structs.replace(Settings(), debug=Debug(unlimited=True))
    world.pipeline.apply(allowed, None)
    window = await world.pipeline.debug.open(world.app)
    assert (window.open, window.until) == (True, None)
    world.clock.advance(30 * HOUR)
    assert world.pipeline.debug.records(world.app.id)
    world.pipeline.apply(Settings(), None)
    assert not world.pipeline.debug.records(world.app.id)
    assert since_start(world, world.pipeline.debug.state(world.app).until) == 3.0


async def test_windows_of_other_apps_are_their_own(world: World) -> None:
    other = await world.store.apps.create("other", "Other", world.clock.now())
    await world.pipeline.debug.open(world.app)
    assert not world.pipeline.debug.records(other.id)
    assert (await world.pipeline.debug.open(other)).open


async def test_an_app_that_is_gone_leaves_nothing(world: World) -> None:
    await world.pipeline.debug.open(world.app)
    await world.store.apps.delete(world.app.id)
    await world.pipeline.debug.tend()
    assert await world.store.settings.get(f"debug/{world.app.id}") is None
