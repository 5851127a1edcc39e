"""Paused apps, held routes, a queue that nothing empties; and a gateway where all of that is well."""

from __future__ import annotations

import pytest

from stories.post import DOWN, REVOKED
from stories.world import World
from unit.doctor.clinic import line, ports_in
from wakeline.doctor import waiting
from wakeline.model.route import Environment, Hold, HoldReason, ProviderKind, Route
from wakeline.wire.outcomes import fcm

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world() -> World:
    return await World().open()


async def test_an_app_is_paused_or_not(world: World) -> None:
    before = await line(waiting.apps, ports_in(world), "app acme")
    await world.change_app(paused=True)
    status, cause, fix = await line(waiting.apps, ports_in(world), "app acme")

    assert (before[0], status) == ("ok", "warning")
    assert "902" in cause
    assert fix


async def test_routes_are_skipped_until_there_is_one_and_fine_while_none_is_held(world: World) -> None:
    before = await line(waiting.routes, ports_in(world), "routes")
    await world.device("ios-1", "alice")
    await world.send("alice")
    await world.run()

    assert before[0] == "skipped"
    assert (await line(waiting.routes, ports_in(world), "routes"))[:2] == ("ok", "1 route, and none is held.")


async def test_a_refused_credential_is_named_with_its_route(world: World) -> None:
    await world.device("ios-1", "alice")
    world.apple.to_all = REVOKED
    await world.send("alice")
    await world.run()

    [found] = await waiting.routes(ports_in(world))

    assert (found.name.endswith(" of acme"), found.status) == (True, "failed")
    assert "for its credential" in found.cause
    assert "code 904" in found.cause
    assert ".p8" in found.fix


async def test_an_open_breaker_is_named(world: World) -> None:
    await world.device("ios-1", "alice")
    world.apple.to_all = DOWN
    for _ in range(30):
        await world.send("alice")
        await world.run()
    [found] = await waiting.routes(ports_in(world))

    assert found.status == "failed"
    assert "by the breaker" in found.cause
    assert found.fix


async def held(world: World, reason: HoldReason) -> Route:
    route = await world.store.routes.ensure(world.app.id, ProviderKind.APNS, Environment.PRODUCTION, "com.acme")
    hold = Hold(reason=reason, code=902, since=world.clock.now() - 3_600_000, cause="Somebody did.", fix="Undo it.")
    return await world.store.routes.hold(route.id, hold)


@pytest.mark.parametrize(
    ("reason", "status", "words"),
    [
        (HoldReason.BRAKE, "failed", "by the brake"),
        (HoldReason.BREAKER, "failed", "by the breaker"),
        (HoldReason.OPERATOR, "warning", "by an operator"),
        (HoldReason.CREDENTIAL, "failed", "for its credential"),
    ],
)
async def test_each_hold_says_who_holds_since_when_and_what_to_do(
    world: World, reason: HoldReason, status: str, words: str
) -> None:
    route = await held(world, reason)

    found = await line(waiting.routes, ports_in(world), f"route {route.id} of acme")

    assert found == (
        status,
        f"apns production com.acme was held {words} 1 hour ago (code 902): Somebody did.",
        "Undo it.",
    )


async def test_a_queue_is_fine_when_it_is_empty_and_when_what_is_due_is_taken(world: World) -> None:
    empty = await line(waiting.queue, ports_in(world), "waiting")
    await world.device("ios-1", "alice")
    await world.send("alice")
    due = await line(waiting.queue, ports_in(world), "waiting")

    assert (empty[0], due[0]) == ("ok", "ok")
    assert due[1].startswith("Pushes waiting: 1")


async def test_a_queue_that_nothing_takes_says_since_when(world: World) -> None:
    await world.device("ios-1", "alice")
    await world.send("alice")
    world.clock.advance(600)

    status, cause, fix = await line(waiting.queue, ports_in(world), "waiting")

    assert status == "failed"
    assert "(alert) for 10 minutes" in cause
    assert "wakeline serve" in fix


async def test_what_waits_for_a_hold_is_no_stuck_queue(world: World) -> None:
    await world.device("ios-1", "alice")
    await world.send("alice")
    for route in world.store.routes.all():
        hold = Hold(reason=HoldReason.OPERATOR, code=902, since=world.clock.now(), cause="Held.")
        await world.store.routes.hold(route.id, hold)
    world.clock.advance(600)

    status, cause, _ = await line(waiting.queue, ports_in(world), "waiting")

    assert status == "ok"
    assert "1 of them on routes that are held" in cause


async def test_a_route_that_rests_as_it_was_asked_to_is_told_and_is_no_stuck_queue(world: World) -> None:
    await world.android()
    for number in range(3):
        await world.device(f"android-{number}", "bob", f"fcm:token-{number}")
    world.google.to_all = fcm(503, b"", 900.0)
    await world.send("bob")
    await world.run()
    await world.send("bob")
    world.clock.advance(300)

    [resting] = [one for one in await waiting.routes(ports_in(world)) if one.name.endswith(" of acme")]
    status, cause, _ = await line(waiting.queue, ports_in(world), "waiting")

    assert resting.status == "warning"
    assert "rests until 2026-11-18 " in resting.cause
    assert "calls go all the same" in resting.cause
    assert (status, "resting" in cause) == ("ok", True)
