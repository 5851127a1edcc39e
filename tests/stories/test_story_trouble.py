"""Trouble inside the gateway: whatever fails between claim and settle, nothing accepted is lost, stuck or repeated for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from stories.post import BAD_TOKEN, DOWN, OK, REVOKED, Office
from stories.world import World, request
from wakeline.config import Limits, Settings
from wakeline.model.delivery import DeliveryState
from wakeline.model.errors import StoreUnavailable
from wakeline.model.event import EventType
from wakeline.model.route import HoldReason
from wakeline.pipeline import Taken
from wakeline.pipeline.dispatch import Dispatch
from wakeline.pipeline.fanout import Fanout
from wakeline.pipeline.way import hold_of
from wakeline.ports import Shipment
from wakeline.wire.outcomes import Loss, Refusal, fcm, lost, ours

pytestmark = pytest.mark.anyio

Patch = pytest.MonkeyPatch

FULL = StoreUnavailable("the disk is full")


def failing(patch: Patch, owner: object, name: str, error: Exception = FULL, *, times: int = 1) -> None:
    """Have a port fail so many times, then work again."""
    works, left = getattr(owner, name), [error] * times

    async def port(*args: Any, **fields: Any) -> Any:
        if left:
            raise left.pop()
        return await works(*args, **fields)

    patch.setattr(owner, name, port)


async def alive(world: World) -> None:
    """Let everything happen as the loops would do it: what raises is tried again in a second."""
    for _ in range(100):
        try:
            await world.run()
        except Exception:  # noqa: BLE001 - the loops outlive whatever it is
            world.clock.advance(1)
        else:
            return
    raise AssertionError("it fails for ever")


# --- between claim and hand-over


@pytest.mark.parametrize(
    ("owner", "name"), [("devices", "bump_badges"), ("devices", "recipients"), ("ledger", "notifications")]
)
async def test_a_job_that_was_claimed_when_the_store_failed_is_claimed_again(
    world: World, monkeypatch: Patch, owner: str, name: str
) -> None:
    await world.device("phone", "ann")
    failing(monkeypatch, getattr(world.store, owner), name)
    key = await world.send("ann", alert={"title": "hello", "badge": "+1"})
    await alive(world)
    assert (await world.counts(key)).accepted == 1
    assert len(world.apple.sent) == 1


async def test_what_is_expired_when_the_store_fails_is_expired_a_second_later(world: World, monkeypatch: Patch) -> None:
    await world.device("phone", "ann")
    await world.send("ann")
    await world.run()
    await world.pipeline.hold(1)
    key = await world.send("ann", ttl=30)
    await world.run()
    world.clock.advance(31)
    failing(monkeypatch, world.store.ledger, "notifications")
    await world.later(5)
    assert (await world.delivery(key)).state is DeliveryState.EXPIRED


async def test_a_push_that_a_sender_chokes_on_fails_alone_and_says_so(world: World, monkeypatch: Patch) -> None:
    await world.device("phone", "ann")
    await world.device("tablet", "bob")
    send = Office.send

    def choke(office: Office, shipment: Shipment) -> None:
        alerts = [shipment.notification_of(place).content.alert for place in range(len(shipment.recipients))]
        if any(alert is not None and alert.title == "poison" for alert in alerts):
            raise ValueError("cannot be encoded")
        send(office, shipment)

    monkeypatch.setattr(Office, "send", choke)
    poison = await world.send("ann", title="poison")
    fine = await world.send("bob")
    await alive(world)
    assert (await world.counts(fine)).accepted == 1
    failed = await world.delivery(poison)
    assert failed.state is DeliveryState.FAILED
    assert failed.reason


async def test_a_notification_that_cannot_be_read_fails_alone(world: World, monkeypatch: Patch) -> None:
    for user in ("ann", "bob", "carl"):
        await world.device(user, user)
    taken = await world.submit(request("ann"), request("bob"), request("carl"))
    ann, bob, carl = (one.key for one in taken if isinstance(one, Taken))
    read = world.store.ledger.notifications

    async def choosy(keys: Sequence[int]) -> Any:
        if bob in keys:
            raise ValueError("content of another version")
        return await read(keys)

    monkeypatch.setattr(world.store.ledger, "notifications", choosy)
    await alive(world)
    assert [(await world.counts(key)).accepted for key in (ann, carl)] == [1, 1]
    failed = await world.delivery(bob)
    assert (failed.state, failed.reason) == (DeliveryState.FAILED, "defect")
    assert await world.queue.pending() == 0


async def test_a_turn_that_was_interrupted_for_long_hands_over_something_all_the_same(
    world: World, monkeypatch: Patch
) -> None:
    await world.device("phone", "ann")
    key = await world.send("ann")
    read = world.clock.monotonic

    def later() -> float:
        world.clock.advance(0.002)
        return read()

    monkeypatch.setattr(world.clock, "monotonic", later)
    await world.run()
    assert (await world.counts(key)).accepted == 1


async def test_an_answer_that_cannot_be_judged_loses_no_delivery(world: World, monkeypatch: Patch) -> None:
    for number in range(4):
        await world.device(f"phone{number}", "ann")
    world.apple.to_token["phone1"].append(DOWN)
    dispatch = world.pipeline.dispatch
    monkeypatch.setattr(dispatch._feed._shipping._answers, "_plan", _raise)
    key = await world.send("ann")
    await alive(world)
    counts = await world.counts(key)
    assert (counts.accepted, counts.failed, counts.pending) == (3, 1, 0)


def _raise(*_: object) -> None:
    raise ValueError("nobody thought of this")


async def test_a_push_cancelled_while_its_badge_is_counted_is_not_sent(world: World, monkeypatch: Patch) -> None:
    await world.device("phone", "ann")
    key = await world.send("ann", alert={"title": "hello", "badge": "+1"})
    bump = world.store.devices.bump_badges

    async def slow(devices: Sequence[int], notification: int, *, again: bool = False) -> dict[int, int]:
        await world.pipeline.cancel(world.app, key)
        return await bump(devices, notification, again=again)

    monkeypatch.setattr(world.store.devices, "bump_badges", slow)
    await world.run()
    assert not world.apple.sent
    assert (await world.counts(key)).cancelled == 1


# --- settling


async def test_a_result_that_the_store_cannot_write_takes_no_other_with_it(world: World, monkeypatch: Patch) -> None:
    for user in ("ann", "bob", "carl"):
        await world.device(user, user)
    settle, queue = world.queue.settle, world.queue
    keys = {user: await world.send(user) for user in ("ann", "bob", "carl")}

    async def choosy(settlement: Any) -> None:
        if any(keys["bob"] in run.notifications and run.attempt.reason != "defect" for run in settlement.accepted):
            raise ValueError("surrogates not allowed")
        await settle(settlement)

    monkeypatch.setattr(queue, "settle", choosy)
    await alive(world)
    assert [(await world.counts(key)).accepted for key in keys.values()] == [1, 1, 1]
    assert [(await world.delivery(key)).reason for key in keys.values()] == ["", "defect", ""]
    assert world.pipeline.dispatch.claims


async def test_the_end_of_an_app_takes_no_answer_of_another_with_it(world: World) -> None:
    await world.device("phone", "ann", "apns:wrong")
    first = world.app
    world.app = await world.store.apps.create("other", "Other", world.clock.now())
    await world.credential()
    for number in range(12):
        await world.device(f"gone{number}", "bob")
    world.apple.answers = False
    await world.send("bob")
    other, world.app = world.app, first
    world.apple.to_token["wrong"].append(BAD_TOKEN)
    key = await world.send("ann")
    await world.run()
    for number in range(12):
        world.apple.to_token[f"gone{number}"].append(lost(Loss.TIMEOUT))
    await world.store.apps.delete(other.id)
    world.apple.offices.sort(key=lambda office: office.route.app != other.id)
    world.apple.answers = True
    world.apple.deliver()
    await alive(world)
    await world.later(5)
    assert (await world.counts(key)).accepted == 1, "the other environment was to be tried"


async def test_everything_can_be_released_although_an_app_is_gone(world: World) -> None:
    await world.device("phone", "ann")
    await world.send("ann")
    await world.run()
    first = world.app
    world.app = await world.store.apps.create("other", "Other", world.clock.now())
    await world.credential()
    await world.device("tablet", "bob")
    await world.send("bob")
    await world.run()
    for status in world.pipeline.routes():
        await world.pipeline.hold(status.route.id)
    await world.store.apps.delete(first.id)
    await world.run()
    assert [status.app for status in world.pipeline.routes()] == ["other"]
    await world.pipeline.release()
    assert [status.hold for status in world.pipeline.routes()] == [None]


async def test_a_credential_that_was_replaced_while_the_store_failed_still_frees_its_routes(
    world: World, monkeypatch: Patch
) -> None:
    await world.device("phone", "ann")
    await world.device("build", "bob", "apns:build@sandbox")
    world.apple.to_credential[1] = REVOKED
    key, other = await world.send("ann"), await world.send("bob")
    await world.run()
    world.apple.to_credential.clear()
    failing(monkeypatch, world.store.routes, "hold")
    await world.credential(replace=1)
    await alive(world)
    assert [(await world.counts(one)).accepted for one in (key, other)] == [1, 1]


async def test_a_route_whose_credential_was_deleted_a_moment_ago_can_be_released(world: World) -> None:
    await world.device("phone", "ann")
    world.apple.to_credential[1] = REVOKED
    await world.send("ann")
    await world.run()
    await world.store.credentials.delete(1)
    await world.pipeline.release()
    [status] = world.pipeline.routes()
    assert status.hold is None


async def test_a_release_that_could_not_be_written_is_no_release(world: World, monkeypatch: Patch) -> None:
    await world.device("phone", "ann")
    await world.send("ann")
    await world.run()
    await world.pipeline.hold(1)
    failing(monkeypatch, world.store.routes, "hold")
    with pytest.raises(StoreUnavailable):
        await world.pipeline.release()
    assert world.pipeline.routes()[0].hold is not None
    await world.pipeline.release()
    world.restarted()
    assert world.pipeline.routes()[0].hold is None


# --- walks


async def crowd(world: World, count: int) -> None:
    for number in range(count):
        await world.device(f"p{number}", f"u{number}")


@pytest.mark.parametrize("audience", [{"everyone": True}, {"users": [f"u{number}" for number in range(1200)]}])
@pytest.mark.parametrize("name", ["step", "claim"])
async def test_a_walk_outlives_a_step_that_failed_and_reaches_everybody_once(
    world: World, monkeypatch: Patch, audience: dict[str, Any], name: str
) -> None:
    await crowd(world, 1200)
    key = await world.send(to=audience)
    failing(monkeypatch, world.queue, name, times=2)
    await alive(world)
    assert len(world.apple.sent) == len(set(world.apple.tokens())) == 1200
    assert (await world.counts(key)).accepted == 1200


async def test_a_cancelled_broadcast_is_in_nobodys_way(world: World) -> None:
    await crowd(world, 200)
    await world.send("u1")
    await world.run()
    for _ in range(60):  # as many jobs as a walk may be ahead
        await world.pipeline.hold(1)
        gone = await world.send(to={"everyone": True})
        await world.run()
        await world.pipeline.cancel(world.app, gone)
    await world.pipeline.release()
    key = await world.send(to={"everyone": True})
    await world.run()
    assert (await world.counts(key)).accepted == 200


async def test_a_walk_that_is_ahead_goes_on_once_its_jobs_have_ended_unsent(world: World, monkeypatch: Patch) -> None:
    monkeypatch.setattr("wakeline.pipeline.fanout.AHEAD", 2)
    await world.android()
    await crowd(world, 3000)
    for number in range(3000, 4000):
        await world.device(f"a{number}", f"u{number}", f"fcm:a{number}")
    world.apple.capacity = 0
    key = await world.send(to={"everyone": True})
    await world.pipeline.start()
    await settle_down()
    await world.store.credentials.delete(1)
    for _ in range(50):
        await settle_down()
        world.google.deliver()
        world.clock.advance(0.05)
    await world.pipeline.stop(drain=1)
    counts = await world.counts(key)
    assert (counts.failed, counts.accepted) == (3000, 1000)


async def settle_down(turns: int = 200) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


# --- at rest


class Turns:
    """Counts the turns of a loop's body."""

    def __init__(self, patch: Patch, owner: type[Dispatch | Fanout]) -> None:
        self.number = 0
        turn = owner.turn

        async def counted(body: Any) -> bool:
            self.number += 1
            return await turn(body)

        patch.setattr(owner, "turn", counted)


def _full(world: World) -> None:
    world.disk.low = True


def _failing(world: World) -> None:
    world.queue.broken = True


def _held(world: World) -> None:
    way = world.pipeline.table.ways()[0]
    way.hold = way.route.hold
    world.pipeline.watch.credential_failed(way, REVOKED)


def _silent(world: World) -> None:
    world.apple.capacity = 0
    way = world.pipeline.table.ways()[0]
    way.breaker.failed(10, world.clock.monotonic() - 10)
    world.pipeline.watch._hold(way, _breaker(world))


def _breaker(world: World) -> Any:
    return hold_of(HoldReason.BREAKER, ours(Refusal.BREAKER), world.clock.now())


def _busy(world: World) -> None:
    world.apple.capacity = 0


@pytest.mark.parametrize("trouble", [_full, _failing, _held, _silent, _busy])
async def test_a_loop_that_can_do_nothing_sleeps(
    world: World, monkeypatch: Patch, trouble: Callable[[World], None]
) -> None:
    await crowd(world, 30)
    await world.send("u1")
    await world.run()
    await world.pipeline.start()
    await world.send("u1")
    await world.send(to={"everyone": True})
    trouble(world)
    for _ in range(200):
        await settle_down(5)
        world.apple.deliver()
        world.clock.advance(0.01)
    dispatching, walking = Turns(monkeypatch, Dispatch), Turns(monkeypatch, Fanout)
    for _ in range(100):  # ten seconds
        await settle_down(20)
        world.clock.advance(0.1)
    await world.pipeline.stop(drain=0)
    assert dispatching.number < 100
    assert walking.number < 100


async def test_a_push_that_waits_for_room_expires_in_time(world: World) -> None:
    await world.device("phone", "ann", "apns:alert", "apns-voip:voip")
    await world.send("ann")
    await world.run()
    world.apple.capacity = 0
    keys = [await world.call("ann"), await world.send("ann", ttl=30)]
    await world.run()
    await world.later(40)
    assert [(await world.delivery(key)).state for key in keys] == [DeliveryState.EXPIRED] * 2
    assert len(await world.events(EventType.PUSH_EXPIRED)) == 2


async def test_a_push_that_waits_for_room_is_not_shown_to_the_next_user(world: World) -> None:
    await world.device("phone", "ann")
    await world.device("tablet", "ann")
    await world.send("ann")
    await world.run()
    world.apple.capacity, before = 0, len(world.apple.sent)
    key = await world.send("ann")
    await world.run()
    await world.device("phone", "bob")
    await world.store.devices.delete(world.app.id, "tablet")
    await world.later(5)
    world.apple.capacity = 1000
    await world.later(5)
    assert len(world.apple.sent) == before
    counts = await world.counts(key)
    assert (counts.skipped, counts.failed) == (1, 1)


# --- clocks


async def test_a_clock_that_goes_back_stalls_no_route_and_no_user(monkeypatch: Patch) -> None:
    world = await World(Settings(limits=Limits(alert_per_hour=60, alert_burst=2))).open()
    await world.android()
    await world.device("phone", "ann", "fcm:phone")
    for _ in range(2):
        await world.send("ann")
    await world.run()
    world.clock.jump(-3600)
    key = await world.send("ann")
    await world.later(90)
    assert (await world.counts(key)).accepted == 1


async def test_a_route_that_rests_as_asked_rests_no_longer_when_the_clock_goes_back(world: World) -> None:
    await world.android()
    await world.device("phone", "ann", "fcm:phone")
    busy = lost_fcm(retry_after=20.0)
    world.google.to_token["phone"].append(busy)
    await world.send("ann")
    await world.run()
    world.clock.jump(-3600)
    key = await world.send("ann")
    await world.later(30)
    assert (await world.counts(key)).accepted == 1


def lost_fcm(retry_after: float) -> Any:
    return fcm(503, b'{"error":{"status":"UNAVAILABLE"}}', retry_after)


# --- starting again


async def test_a_route_held_for_its_credential_is_looked_at_again_after_a_restart(world: World) -> None:
    await world.device("phone", "ann")
    world.apple.to_credential[1] = REVOKED
    world.apple.on_check = REVOKED
    key = await world.send("ann")
    await world.run()
    assert (await world.counts(key)).held == 1
    world.restarted()
    world.apple.to_credential.clear()
    world.apple.on_check = OK
    await world.later(700, step=30)
    assert (await world.counts(key)).accepted == 1
