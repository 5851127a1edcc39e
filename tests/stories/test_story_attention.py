"""Events of success: kept for whom they reach, of the apps and types that they ask for, and for nobody else."""

from __future__ import annotations

import pytest

from stories.world import World
from wakeline.model.app import App
from wakeline.model.event import EventType
from wakeline.model.webhook import Endpoint
from wakeline.service.attention import Attention

pytestmark = pytest.mark.anyio

ACCEPTED, COMPLETED, FAILED = EventType.PUSH_ACCEPTED, EventType.NOTIFICATION_COMPLETED, EventType.PUSH_FAILED


@pytest.fixture
async def attended(world: World) -> World:
    """A world in which it matters who listens."""
    attention = Attention(world.store.events, world.store.endpoints, world.store.apps, world.clock)
    world.parts.wanted, world.parts.told = attention.wanted, attention.told
    return world


async def hook(world: World, *types: EventType, apps: tuple[str, ...] = ()) -> None:
    endpoint = Endpoint(url="https://example.com/hook", events=types, apps=apps, created=world.clock.now())
    await world.store.endpoints.create(endpoint, b"s" * 32, cursor=0)


async def kept(world: World) -> set[tuple[str, EventType]]:
    """Send in two apps and return what was kept of that."""
    mine = world.app
    other: App = await world.store.apps.create("other", "Other", world.clock.now())
    for app in (mine, other):
        world.app = app
        if app is other:
            await world.credential()
        await world.device(f"{app.slug}-ios", "ann")
        await world.send("ann")
        await world.run()
    world.app = mine
    return {(event.app, event.type) for event in await world.store.events.read(after=0)}


async def test_nobody_listens_and_success_is_in_the_ledger_alone(attended: World) -> None:
    assert await kept(attended) == set()


async def test_a_webhook_of_failures_keeps_no_success(attended: World) -> None:
    await hook(attended, FAILED)
    assert await kept(attended) == set()


async def test_what_a_webhook_asks_for_is_kept_of_its_apps(attended: World) -> None:
    await hook(attended, ACCEPTED, apps=("acme",))
    assert await kept(attended) == {("acme", ACCEPTED)}


async def test_the_end_of_a_single_success_is_kept_for_who_asks_for_it(attended: World) -> None:
    await hook(attended, COMPLETED, apps=("other",))
    assert await kept(attended) == {("other", COMPLETED)}


async def test_a_webhook_of_everything_gets_everything(attended: World) -> None:
    await hook(attended)
    assert await kept(attended) == {(app, kind) for app in ("acme", "other") for kind in (ACCEPTED, COMPLETED)}


async def test_a_debug_window_keeps_the_successes_of_its_app(attended: World) -> None:
    await attended.pipeline.debug.open(attended.app)
    assert await kept(attended) == {("acme", ACCEPTED)}


async def test_successes_of_a_broadcast_are_no_events_whoever_listens(attended: World) -> None:
    await hook(attended)
    await attended.pipeline.debug.open(attended.app)
    for number in range(3):
        await attended.device(f"d{number}", f"u{number}", tags=("all",))
    await attended.submit({"to": {"tags": ["all"]}, "alert": {"title": "news"}})
    await attended.run()

    assert [event.type for event in await attended.store.events.read(after=0)] == [COMPLETED]
    assert attended.pipeline.debug.state(attended.app).recorded == 0
