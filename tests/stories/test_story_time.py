"""Schedules, time limits, presence, per-user limits, and users who change."""

from __future__ import annotations

from typing import Any

import pytest

from stories.world import World, request
from wakeline.config import Limits, Settings
from wakeline.model.app import AppSettings
from wakeline.model.delivery import DeliveryState
from wakeline.model.device import TargetClaim, TargetKind
from wakeline.model.event import EventType
from wakeline.pipeline import Taken

pytestmark = pytest.mark.anyio

BOB = "sip:bob@example.org"


@pytest.fixture
async def limited() -> World:
    """Two alerts at once, then one a minute; two calls a minute."""
    limits = Limits(alert_per_hour=60, alert_burst=2, call_per_minute=2)
    world = await World(Settings(limits=limits)).open()
    await world.device("phone", "ann", "apns:alert", "apns-voip:voip")
    return world


async def test_a_scheduled_push_waits_for_its_time(world: World) -> None:
    await world.device("phone", "ann")
    key = await world.send("ann", send_at="2026-11-18T15:06:40+02:00")
    await world.run()
    due = (await world.store.ledger.notifications([key]))[key].due
    wait = (due - world.clock.now()) / 1000
    assert wait > 60
    assert (await world.counts(key)).scheduled == 1
    await world.later(wait - 2)
    assert not world.apple.sent
    await world.later(3)
    assert (await world.counts(key)).accepted == 1


async def test_a_schedule_in_the_past_means_now(world: World) -> None:
    await world.device("phone", "ann")
    key = await world.send("ann", send_at="2020-01-01T00:00:00Z")
    await world.run()
    assert (await world.counts(key)).accepted == 1


async def test_a_scheduled_push_can_be_cancelled(world: World) -> None:
    await world.device("phone", "ann")
    key = await world.send("ann", send_at="2026-11-18T15:06:40Z")
    await world.run()
    done = await world.pipeline.cancel(world.app, key)
    assert (done.cancelled, done.in_flight) == (1, 0)
    await world.later(86400, step=3600)
    assert not world.apple.sent
    assert (await world.delivery(key)).state is DeliveryState.CANCELLED


async def test_a_cancel_in_the_middle_stops_what_has_not_gone(world: World) -> None:
    for number in range(10):
        await world.device(f"phone{number}", "ann")
    world.apple.capacity = 4
    world.apple.answers = False
    key = await world.send("ann")
    await world.run()
    gone = len(world.apple.sent)
    assert 0 < gone < 10
    done = await world.pipeline.cancel(world.app, key)
    assert (done.cancelled, done.in_flight) == (10 - gone, gone)
    world.apple.answers = True
    await world.run()
    counts = await world.counts(key)
    assert (counts.accepted, counts.cancelled) == (gone, 10 - gone)
    assert len(world.apple.sent) == gone
    assert len(await world.events(EventType.PUSH_CANCELLED)) == 10 - gone


async def test_a_push_for_the_former_user_is_not_shown_to_the_next(world: World) -> None:
    await world.device("phone", "ann")
    named = await world.send(to={"devices": ["phone"]})
    key = await world.send("ann")
    await world.device("phone", "carl")
    await world.run()
    assert not world.apple.sent
    for push in (key, named):
        assert (await world.delivery(push)).state is DeliveryState.SKIPPED
    skipped = await world.events(EventType.PUSH_SKIPPED)
    assert [event.data.outcome.reason for event in skipped if event.data.outcome] == ["user_changed"] * 2


async def test_a_raw_token_gets_it_whoever_holds_the_phone(world: World) -> None:
    target = {"kind": "apns", "value": "ab" * 32, "topic": "com.acme"}
    key = await world.send(to={"targets": [target]})
    await world.run()
    assert world.apple.tokens() == ["ab" * 32]
    assert (await world.counts(key)).accepted == 1


async def test_a_connected_device_is_given_its_time(world: World) -> None:
    await world.device("phone", "ann")
    await world.store.devices.set_presence(world.app.id, "phone", world.clock.now() + 30_000)
    key = await world.send("ann", only_if_absent=True)
    await world.later(20)
    assert not world.apple.sent
    await world.later(11)
    assert (await world.counts(key)).accepted == 1


@pytest.mark.parametrize("to", [{"devices": ["phone"]}, {"everyone": True}])
async def test_a_device_that_is_connected_by_sip_is_given_time_as_well(world: World, to: dict[str, Any]) -> None:
    await world.device("phone", "ann")
    world.parts.connected = lambda app, device: (app, device) == (world.app.id, "phone")
    await world.send(to=to, only_if_absent=True)
    await world.run()
    early = len(world.apple.sent)
    await world.later(89)
    still = len(world.apple.sent)
    await world.later(3)

    assert (early, still, len(world.apple.sent)) == (0, 0, 1)


async def test_a_connected_device_waits_ninety_seconds_at_most(world: World) -> None:
    await world.device("phone", "ann")
    await world.store.devices.set_presence(world.app.id, "phone", world.clock.now() + 3_600_000)
    key = await world.send("ann", only_if_absent=True)
    skipped = await world.send("ann", only_if_absent=True, ttl=60)
    await world.later(91)
    assert (await world.counts(key)).accepted == 1
    assert (await world.delivery(skipped)).state is DeliveryState.SKIPPED


async def test_beyond_the_limit_alerts_wait_and_then_go_one_by_one(limited: World) -> None:
    keys = [await limited.send("ann", title=str(number)) for number in range(4)]
    await limited.run()
    assert [(await limited.counts(key)).held for key in keys] == [0, 0, 1, 1]
    assert [item.code for key in keys for item in await limited.deliveries(key)] == [0, 0, 914, 914]
    await limited.later(61)
    assert [(await limited.counts(key)).accepted for key in keys] == [1, 1, 1, 0]
    await limited.later(60)
    assert [sent.title for sent in limited.apple.sent] == ["0", "1", "2", "3"]


async def test_held_pushes_of_one_collapse_id_become_the_newest(limited: World) -> None:
    keys = [await limited.send("ann", title=str(number), collapse_id="score") for number in range(6)]
    await limited.run()
    assert [(await limited.counts(key)).superseded for key in keys] == [0, 0, 1, 1, 1, 0]
    await limited.later(61)
    assert [sent.title for sent in limited.apple.sent] == ["0", "1", "5"]


async def test_a_limited_push_whose_ttl_ends_sooner_fails_and_says_when(limited: World) -> None:
    for _ in range(2):
        await limited.send("ann")
    [taken] = await limited.submit(request("ann", ttl=30))
    assert isinstance(taken, Taken)
    [refusal] = taken.failures
    assert refusal.code == 914
    assert "allowed at 2026-" in refusal.cause
    assert (await limited.delivery(taken.key)).state is DeliveryState.FAILED


async def test_a_limited_call_is_refused_at_once(limited: World) -> None:
    keys = [await limited.call("ann") for _ in range(3)]
    await limited.run()
    assert [(await limited.delivery(key)).code for key in keys] == [0, 0, 914]


async def test_a_repeated_request_is_not_charged(limited: World) -> None:
    for _ in range(5):
        await limited.submit(request("ann"), key="k1")
    key = await limited.send("ann", title="second")
    await limited.run()
    assert (await limited.counts(key)).accepted == 1


async def test_a_user_is_charged_once_for_all_devices(limited: World) -> None:
    for number in range(4):
        await limited.device(f"tablet{number}", "ann")
    await limited.send("ann")
    key = await limited.send("ann")
    await limited.run()
    assert (await limited.counts(key)).accepted == 5


async def test_an_app_can_switch_the_limits_off(limited: World) -> None:
    await limited.change_app(settings=AppSettings(limits=False))
    for _ in range(10):
        await limited.send("ann")
    await limited.run()
    assert len(limited.apple.sent) == 10


async def test_a_broadcast_counts_for_nobody(limited: World) -> None:
    for _ in range(5):
        await limited.send(to={"everyone": True})
    await limited.run()
    assert len(limited.apple.sent) == 5


async def test_a_device_that_vanished_meanwhile_fails_alone(world: World) -> None:
    await world.device("phone", "ann")
    await world.device("tablet", "ann")
    key = await world.send("ann")
    await world.store.devices.delete(world.app.id, "phone")
    await world.run()
    counts = await world.counts(key)
    assert (counts.accepted, counts.failed) == (1, 1)


async def test_a_new_token_is_used_for_the_next_push(world: World) -> None:
    await world.device("phone", "ann")
    claim = TargetClaim(kind=TargetKind.APNS, value="new", topic="com.acme")
    await world.store.devices.put_target(world.app.id, "phone", claim, world.clock.now())
    await world.send("ann")
    await world.run()
    assert world.apple.tokens() == ["new"]
