"""What Google allows to one device and to one project, kept on our side: nobody is asked in vain, and nothing is lost."""

from __future__ import annotations

from itertools import pairwise

import pytest

from stories.world import World
from wakeline.config import Limits, Settings
from wakeline.model.delivery import DeliveryState
from wakeline.model.event import EventType
from wakeline.model.route import Lane, ProviderKind
from wakeline.pipeline import RouteStatus, ramp
from wakeline.wire.outcomes import apns, fcm

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world() -> World:
    opened = await World(Settings(limits=Limits(per_user=False))).open()
    await opened.android()
    return opened


async def sends(world: World, user: str, count: int, **fields: object) -> list[int]:
    return [await world.send(user, title=str(number), **fields) for number in range(count)]


async def test_a_device_gets_240_in_a_minute_and_the_rest_in_the_next(world: World) -> None:
    await world.device("android", "bob", "fcm:android")
    keys = await sends(world, "bob", 300)
    await world.run()
    assert len(world.google.sent) == 240
    held = await world.delivery(keys[-1])
    assert (held.state, held.code, held.tries) == (DeliveryState.HELD, 914, 0)
    assert (await world.counts(keys[-1])).held == 1
    await world.later(59)
    assert len(world.google.sent) == 240
    await world.later(5)
    assert [(await world.counts(key)).accepted for key in keys] == [1] * 300
    assert [(await world.delivery(key)).tries for key in keys] == [1] * 300
    assert len(world.google.sent) == 300


async def test_what_cannot_go_before_its_ttl_expires_and_says_when_it_could(world: World) -> None:
    await world.device("android", "bob", "fcm:android")
    keys = await sends(world, "bob", 250, ttl=30)
    await world.later(35)
    late = [one for key in keys if (one := await world.delivery(key)).state is DeliveryState.EXPIRED]
    assert [one.code for one in late] == [914] * 10
    told = await world.events(EventType.PUSH_EXPIRED)
    assert len(told) == 10
    for event in told:
        assert event.data.outcome is not None
        assert "one device" in event.data.outcome.cause
        assert "next push is allowed at" in event.data.outcome.cause
    # They took nobody's slot: all that the next minute allows is still there.
    await world.later(30)
    more = await sends(world, "bob", 240)
    await world.run()
    assert [(await world.counts(key)).accepted for key in more] == [1] * 240


async def test_calls_go_out_whatever_a_device_had(world: World) -> None:
    await world.device("android", "bob", "fcm:android")
    await sends(world, "bob", 260)
    await world.run()
    call = await world.call("bob")
    await world.run()
    assert (await world.counts(call)).accepted == 1


async def test_other_devices_and_iphones_do_not_notice(world: World) -> None:
    await world.device("android", "bob", "fcm:android")
    await world.device("other", "ann", "fcm:other")
    await world.device("phone", "eve")
    await sends(world, "bob", 260)
    keys = [await world.send("ann"), *(await sends(world, "eve", 260))]
    await world.run()
    assert [(await world.counts(key)).accepted for key in keys] == [1] * 261


async def test_held_pushes_survive_a_restart(world: World) -> None:
    await world.device("android", "bob", "fcm:android")
    keys = await sends(world, "bob", 250)
    await world.run()
    world.restarted()
    await world.later(70)
    assert [(await world.counts(key)).accepted for key in keys] == [1] * 250


async def test_a_429_of_apples_delays_that_token_alone_and_what_waits_for_it_follows_one_by_one(world: World) -> None:
    await world.device("phone", "ann")
    await world.device("other", "eve")
    world.apple.to_token["phone"].append(apns(429, "TooManyRequests"))
    first = await world.send("ann")
    await world.run()
    asked = len(world.apple.sent)
    later = await sends(world, "ann", 3)
    elsewhere = await world.send("eve")
    await world.run()
    assert len(world.apple.sent) == asked + 1
    assert (await world.counts(elsewhere)).accepted == 1
    assert [(one.state, one.code) for key in later for one in [await world.delivery(key)]] == [
        (DeliveryState.HELD, 914)
    ] * 3
    await world.later(90, step=0.1)
    assert [(await world.counts(key)).accepted for key in (first, *later)] == [1] * 4
    times = [one.at for one in world.apple.sent if one.token == "phone"]
    assert times[1] - times[0] >= 60
    assert all(0.9 <= after - before <= 2.1 for before, after in pairwise(times[1:]))
    await world.send("ann")
    await world.run()
    assert len(world.apple.sent) == asked + 6, "and then it is as before"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A project whose broadcasts begin with 20 at once and 10 a second."""
    monkeypatch.setattr(ramp, "BURST", 20)
    monkeypatch.setattr(ramp, "FIRST", 10.0)
    monkeypatch.setattr(ramp, "RISE", 1.0)


async def crowd(world: World, count: int) -> None:
    for number in range(count):
        await world.device(f"d{number}", f"u{number}", f"fcm:t{number}", tags=("all",))


async def flow(world: World, seconds: float) -> None:
    """Let time pass in small steps, each with all that can happen in it."""
    for _ in range(round(seconds / 0.05)):
        while await world.step():
            pass
        world.clock.advance(0.05)


@pytest.mark.usefixtures("small")
async def test_a_broadcast_ramps_up_and_alerts_do_not_wait_for_it(world: World) -> None:
    await crowd(world, 100)
    began = world.clock.monotonic()
    key = await world.send(to={"tags": ["all"]})
    await flow(world, 1)
    assert 25 <= len(world.google.sent) <= 35
    alert, before = await world.send("u1"), world.clock.monotonic()
    while (await world.counts(alert)).accepted == 0:
        assert await world.step()
    assert world.clock.monotonic() == before
    await flow(world, 10)
    assert (await world.counts(key)).accepted == 100
    last = max(one.at for one in world.google.sent) - began
    assert 5 < last < 8, "20 at once, then 10 a second and one more every second"


@pytest.mark.usefixtures("small")
async def test_after_too_many_bulk_rests_and_begins_anew(world: World) -> None:
    await crowd(world, 60)
    world.google.to_all = fcm(429, b"", 30.0)
    key = await world.send(to={"tags": ["all"]})
    await flow(world, 1)
    world.google.to_all = None
    asked = len(world.google.sent)
    [status] = [one for one in world.pipeline.routes() if one.route.provider is ProviderKind.FCM]
    assert status.resting_until is not None
    assert 28_000 < status.resting_until - world.clock.now() <= 30_000
    await flow(world, 28)
    assert (asked, len(world.google.sent)) == (20, 20), "it asks for 30 seconds"
    await flow(world, 2.5)
    assert 20 < len(world.google.sent) < 45, "and then slowly"
    await flow(world, 100)
    assert (await world.counts(key)).accepted == 60


@pytest.mark.usefixtures("small")
async def test_apps_with_one_firebase_project_share_what_broadcasts_may_take_of_its_quota(world: World) -> None:
    await crowd(world, 30)
    await world.send("u0")
    first = world.app
    world.app = await world.store.apps.create("other", "Other", world.clock.now())
    await world.android()
    await world.device("theirs", "zoe", "fcm:theirs", tags=("all",))
    await world.send("zoe")
    await world.run()
    theirs, world.app = world.app, first
    world.google.to_all = fcm(429, b"", 30.0)
    await world.send(to={"tags": ["all"]})
    await flow(world, 0.2)
    world.google.to_all = None
    world.app = theirs
    bulk, alert = await world.send(to={"tags": ["all"]}), await world.send("zoe")
    await flow(world, 20)
    assert ((await world.counts(bulk)).accepted, (await world.counts(alert)).accepted) == (0, 1)
    await flow(world, 15)
    assert (await world.counts(bulk)).accepted == 1


async def test_what_was_held_goes_out_in_the_order_of_its_lanes(world: World) -> None:
    for number in range(30):
        await world.device(f"d{number}", f"u{number}", tags=("all",))
    [way] = [way for way in await _routes(world) if way.route.provider is ProviderKind.APNS]
    await world.pipeline.hold(way.route.id, "maintenance")
    bulk = await world.send(to={"tags": ["all"]}, title="bulk")
    background = await world.send("u0", alert=None, data={"n": 1}, type="background")
    alert = await world.send("u0", title="alert")
    await world.later(2)
    assert (await world.counts(bulk)).held == 30
    before = len(world.apple.sent)
    await world.pipeline.release()
    await world.later(2)
    order = [one.notification for one in world.apple.sent[before:]]
    assert order[0] == alert
    assert order[1] == background
    assert order[2:] == [bulk] * 30
    assert Lane.ALERT < Lane.BACKGROUND < Lane.BULK


async def _routes(world: World) -> list[RouteStatus]:
    await world.send("u0")
    await world.run()
    return world.pipeline.routes()
