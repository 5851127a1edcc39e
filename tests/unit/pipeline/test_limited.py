"""Who has had as many pushes as they may: shown, paged, kept over a restart, forgotten with their user."""

from __future__ import annotations

import pytest

from stories.world import World
from wakeline.config import Limits, Settings
from wakeline.model.app import AppSettings
from wakeline.model.notification import PushType
from wakeline.pipeline import limited
from wakeline.pipeline.limits import Limited

pytestmark = pytest.mark.anyio
SETTINGS = Settings(limits=Limits(alert_per_hour=60, alert_burst=2, call_per_minute=1))
MINUTE = 60_000


@pytest.fixture
async def world() -> World:
    world = await World(SETTINGS).open()
    for user in ("alice", "bob", "carl"):
        await world.device(f"ios-{user}", user, f"apns:{user}")
    return world


async def limited_now(world: World) -> list[tuple[str, str, int]]:
    found = await world.pipeline.limited.page(world.app, after=("", ""), limit=100)
    return [(one.subject, one.push_type.value, one.until - world.clock.now()) for one in found]


async def test_who_has_something_left_is_not_named_and_who_has_not_is_with_the_time(world: World) -> None:
    await world.send("alice")
    before = await limited_now(world)
    await world.send("alice")
    await world.send("alice")

    assert before == []
    assert await limited_now(world) == [("alice", "alert", 2 * MINUTE)]
    world.clock.advance(121)
    assert await limited_now(world) == []


async def test_what_it_says_is_what_the_next_push_waits_for(world: World) -> None:
    for _ in range(3):
        await world.send("alice")
    [one] = await world.pipeline.limited.of_user(world.app, "alice")
    key = await world.send("alice")

    assert (await world.delivery(key)).due == one.until


async def test_pages_follow_each_other_by_name_and_type(world: World) -> None:
    for user in ("carl", "alice", "bob"):
        await world.send(user)
        await world.send(user)
    await world.call("bob")

    pages: list[Limited] = []
    after = ("", "")
    while page := await world.pipeline.limited.page(world.app, after=after, limit=2):
        pages += page
        after = page[-1].subject, page[-1].push_type
    assert [(one.subject, one.push_type) for one in pages] == [
        ("alice", PushType.ALERT),
        ("bob", PushType.ALERT),
        ("bob", PushType.CALL),
        ("carl", PushType.ALERT),
    ]


async def test_an_app_that_has_switched_them_off_limits_nobody(world: World) -> None:
    await world.send("alice")
    await world.send("alice")
    await world.change_app(settings=AppSettings(limits=False))

    assert await limited_now(world) == []
    assert await world.pipeline.limited.of_user(world.app, "alice") == []


async def test_who_is_limited_is_so_after_a_restart_and_whoever_had_something_left_begins_anew(world: World) -> None:
    for user in ("alice", "alice", "alice", "bob"):
        await world.send(user)
    before = await limited_now(world)
    await world.pipeline.limited.keep()

    again = world.restarted()
    await again.limited.recall()
    key = await world.send("alice")

    assert before[0] == ("alice", "alert", 2 * MINUTE)
    assert (await world.delivery(key)).due == world.clock.now() + 2 * MINUTE
    assert [user for user, *_ in await limited_now(world)] == ["alice"]


async def test_a_clock_that_went_back_limits_nobody_for_longer(world: World) -> None:
    await world.send("alice")
    await world.send("alice")
    await world.pipeline.limited.keep()
    world.clock.jump(-86_400)

    world.restarted()

    assert await limited_now(world) == [("alice", "alert", MINUTE)]


async def test_nothing_is_written_where_nobody_is_limited_and_what_was_is_taken_away(world: World) -> None:
    await world.pipeline.limited.keep()
    empty = await world.store.settings.get("limited")
    await world.send("alice")
    await world.send("alice")
    await world.pipeline.limited.keep()
    kept = await world.store.settings.get("limited")
    world.clock.advance(600)
    await world.pipeline.limited.keep()

    assert empty is None
    assert "alice" in (kept or "")
    assert await world.store.settings.get("limited") is None


async def test_a_user_who_is_erased_is_forgotten_on_disk_too_even_where_no_gateway_runs(world: World) -> None:
    await world.send("alice")
    await world.send("alice")
    await world.pipeline.limited.keep()

    offline = world.restarted()
    await offline.limited.forget_user(world.app, "alice")

    assert await world.store.settings.get("limited") is None
    assert await limited_now(world) == []


async def test_of_very_many_some_are_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limited, "MOST_KEPT", 2)
    for user in ("alice", "bob", "carl"):
        await world.send(user)
        await world.send(user)
    await world.pipeline.limited.keep()

    world.restarted()

    assert len(await limited_now(world)) == 2


async def test_a_gateway_that_stops_keeps_who_is_limited_for_the_next(world: World) -> None:
    await world.pipeline.start()
    for _ in range(3):
        await world.send("alice")
    await world.pipeline.stop(drain=0)
    again = world.restarted()
    await again.start()
    key = await world.send("alice")
    await again.stop(drain=0)

    assert (await world.delivery(key)).due == world.clock.now() + 2 * MINUTE
