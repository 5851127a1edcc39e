"""No token is destroyed on doubt: wrong settings stop routes, and everything can be undone (promise 2, DESIGN 5.4)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from stories.post import BAD_TOKEN, OK, unregistered
from stories.world import World
from storing import sqlite_store
from wakeline.config import Limits, Settings
from wakeline.model.app import ApnsEnvironment, AppSettings
from wakeline.model.brake import BrakeEpisode
from wakeline.model.delivery import DeliveryState
from wakeline.model.device import Evidence, TargetState
from wakeline.model.event import EventType
from wakeline.model.notification import PushType
from wakeline.model.outcome import Outcome
from wakeline.model.route import Environment, HoldReason
from wakeline.pipeline.brake import DISTINCT, WINDOW
from wakeline.pipeline.flight import doubtful
from wakeline.wire.outcomes import apns, fcm, webpush

pytestmark = pytest.mark.anyio

HOUR = 3600
DAY = 86400
LONG = 28 * DAY
ACTIVE, QUARANTINED, RETIRED = TargetState
WRONG_TOPIC = apns(400, "DeviceTokenNotForTopic")
PRODUCTION = AppSettings(apns_environment=ApnsEnvironment.PRODUCTION, max_devices_per_user=0)


@pytest.fixture(params=["memory", "sqlite"])
async def either(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """A gateway on each store, of an app that sends everything to production."""
    world = World(Settings(limits=Limits(per_user=False)))
    if request.param == "sqlite":
        store = cast("Any", sqlite_store(tmp_path, cast("Any", world.clock)))
        await store.open()
        world.store, world.queue = store, store.queue
        world.restarted()
    yield await world.open(PRODUCTION)
    await world.store.close()


@pytest.fixture
async def fixed(world: World) -> World:
    """A gateway of an app that sends everything to production."""
    await world.change_app(settings=PRODUCTION)
    return world


async def phones(world: World, count: int, *, prefix: str = "phone") -> None:
    for number in range(count):
        await world.device(f"{prefix}{number}", f"{prefix}{number}")


def answering(world: World, outcome: Outcome | None, numbers: range, *, prefix: str = "phone") -> None:
    """Have Apple answer for these phones, in production, until it is told otherwise; None: it accepts them."""
    for number in numbers:
        place = f"{prefix}{number}", Environment.PRODUCTION.value
        if outcome is None:
            world.apple.to_environment.pop(place, None)
        else:
            world.apple.to_environment[place] = outcome


async def states(world: World) -> dict[TargetState, int]:
    return await world.store.devices.app_counts(world.app.id)


def episode(world: World) -> BrakeEpisode:
    [only] = world.store.brakes.all()
    return only


async def stop(world: World, count: int = 60) -> int:
    """Put the app into the wrong environment and send until its brake closes; return the notification's key."""
    await phones(world, count)
    answering(world, BAD_TOKEN, range(count))
    key = await world.send(*(f"phone{number}" for number in range(count)), ttl=LONG)
    await world.run()
    return key


# --- the two that the promise is about


async def test_a_small_app_left_in_the_wrong_environment_for_a_week_loses_no_token(either: World) -> None:
    await phones(either, 15)
    answering(either, BAD_TOKEN, range(15))
    for _ in range(7 * 24):
        await either.send(*(f"phone{number}" for number in range(15)))
        await either.run()
        await either.later(HOUR, step=HOUR)
    assert len(either.apple.sent) >= 7 * 15  # each is tried again every day
    assert (await states(either))[RETIRED] == 0
    assert either.store.brakes.all() == []

    answering(either, None, range(15))
    await either.store.devices.restore(either.app.id, at=either.clock.now())
    key = await either.send(*(f"phone{number}" for number in range(15)))
    await either.run()
    assert (await either.counts(key)).accepted == 15


async def test_half_the_tokens_refused_after_a_deploy_close_the_brake_within_100_sends_and_undo_restores_all(
    either: World,
) -> None:
    count = 160
    await phones(either, count)
    for number in range(count):
        await either.send(f"phone{number}")
    await either.run()
    await either.later(DAY, step=HOUR)

    answering(either, BAD_TOKEN, range(0, count, 2))
    before, keys, sent = len(either.apple.sent), [], 0
    for number in range(count):
        keys.append(await either.send(f"phone{number}", ttl=LONG))
        await either.run()
        if either.store.brakes.all() and not sent:
            sent = len(either.apple.sent) - before
    assert 0 < sent <= 100
    assert len(either.apple.sent) - before == sent
    closed = episode(either)
    assert (closed.answers, closed.doubtful, closed.reasons[0].reason) == (WINDOW, WINDOW // 4, "BadDeviceToken")
    assert closed.repaired == WINDOW // 4 - 1
    [told] = await either.events(EventType.BRAKE_CLOSED)
    assert told.data.note.startswith(
        f"{WINDOW // 4} of the last {WINDOW} answers doubted the token, of {WINDOW // 4} targets (BadDeviceToken)."
    )
    assert "`wakeline brake release`" in told.data.note

    answering(either, None, range(count))
    now = either.clock.now()
    undone, _ = await either.pipeline.undo.undo(closed.id)
    await either.run()
    assert await states(either) == {ACTIVE: count, QUARANTINED: 0, RETIRED: 0}
    assert (undone.released_at, undone.undone_at) == (now, now)
    ends = [(await either.delivery(key)).state for key in keys]
    assert ends.count(DeliveryState.FAILED) == closed.repaired
    assert ends.count(DeliveryState.ACCEPTED) == count - closed.repaired


async def test_a_broadcast_after_a_deploy_loses_no_token_whatever_was_in_flight(either: World) -> None:
    count = 700
    await phones(either, count)
    answering(either, BAD_TOKEN, range(0, count, 2))
    key = await either.send(to={"everyone": True}, ttl=LONG)
    await either.run()
    assert await states(either) == {ACTIVE: count, QUARANTINED: 0, RETIRED: 0}
    counts = await either.counts(key)
    assert counts.failed < WINDOW // 4
    assert counts.accepted + counts.failed + counts.held == count

    answering(either, None, range(count))
    await either.pipeline.undo.undo(episode(either).id)
    await either.run()
    assert (await either.counts(key)).accepted == count - counts.failed


# --- what a closed brake does


async def test_what_doubt_felled_before_the_brake_closed_is_repaired_as_it_closes(fixed: World) -> None:
    await phones(fixed, DISTINCT)
    answering(fixed, BAD_TOKEN, range(DISTINCT))
    for number in range(DISTINCT - 1):
        await fixed.send(f"phone{number}")
        await fixed.run()
    assert (await states(fixed))[QUARANTINED] == DISTINCT - 1

    await fixed.send(f"phone{DISTINCT - 1}", ttl=LONG)
    await fixed.run()
    assert (await states(fixed))[ACTIVE] == DISTINCT
    assert episode(fixed).repaired == DISTINCT - 1
    device = await fixed.store.devices.get(fixed.app.id, "phone0")
    assert device is not None
    repaired, felled = await fixed.store.devices.history(device.id)
    assert repaired.reason.startswith("the brake closed")
    assert felled.evidence is not None
    assert (felled.evidence.reason, felled.evidence.route) == ("BadDeviceToken", episode(fixed).route)


async def test_what_was_doubted_before_the_window_or_on_another_route_stays(fixed: World) -> None:
    await fixed.device("early", "early")
    fixed.apple.to_environment["early", "production"] = BAD_TOKEN
    await fixed.send("early")
    await fixed.run()
    await phones(fixed, WINDOW, prefix="good")
    await fixed.send(*(f"good{number}" for number in range(WINDOW)))
    await fixed.run()
    fixed.clock.advance(60)
    await stop(fixed)
    assert (await fixed.target("early")).state is QUARANTINED
    assert (await states(fixed))[QUARANTINED] == 1


async def test_proof_is_no_doubt_and_stays_unless_all_is_undone(either: World) -> None:
    await either.device("gone", "gone")
    either.clock.advance(60)
    either.apple.to_token["gone"].append(unregistered(either.clock.now()))
    await either.send("gone")
    await either.run()
    await stop(either)
    assert (await either.target("gone")).state is RETIRED
    closed = episode(either)
    assert (await either.pipeline.undo.undo(closed.id))[1] == 0
    assert (await either.target("gone")).state is RETIRED
    assert (await either.pipeline.undo.undo(closed.id, everything=True))[1] == 1
    assert (await either.target("gone")).state is ACTIVE


async def test_an_undo_may_reach_further_back_and_finds_nothing_the_second_time(fixed: World) -> None:
    await fixed.device("early", "early")
    fixed.apple.to_token["early"].append(BAD_TOKEN)
    start = fixed.clock.now()
    await fixed.send("early")
    await fixed.run()
    await phones(fixed, WINDOW, prefix="good")
    await fixed.send(*(f"good{number}" for number in range(WINDOW)))
    await fixed.run()
    fixed.clock.advance(60)
    await stop(fixed)
    closed = episode(fixed)
    assert (await fixed.pipeline.undo.undo(closed.id))[1] == 0
    assert (await fixed.pipeline.undo.undo(closed.id, since=start))[1] == 1
    assert (await fixed.pipeline.undo.undo(closed.id, since=start))[1] == 0
    assert episode(fixed).restored == 1
    device = await fixed.store.devices.get(fixed.app.id, "early")
    assert device is not None
    assert (await fixed.store.devices.history(device.id))[0].reason == f"brake episode {closed.id} undone"


async def test_a_brake_stays_closed_and_is_remembered_over_a_restart(either: World) -> None:
    key = await stop(either)
    before = episode(either)
    either.restarted()
    await either.run()
    held = (await either.counts(key)).held
    assert held == 60 - DISTINCT + 1
    assert [way.hold.reason for way in either.pipeline.routes() if way.hold] == [HoldReason.BRAKE]

    answering(either, None, range(60))
    released = await either.pipeline.undo.release(before.id)
    await either.run()
    assert (await either.counts(key)).accepted == held
    assert (episode(either), released.released_at is not None) == (released, True)


async def test_calls_on_a_braked_route_fail_at_once_and_say_why(fixed: World) -> None:
    await stop(fixed)
    await fixed.device("ringing", "ringing", "apns:ringing")
    sent = len(fixed.apple.sent)
    key = await fixed.call("ringing")
    await fixed.run()
    delivery = await fixed.delivery(key)
    assert (delivery.state, delivery.code) == (DeliveryState.FAILED, 902)
    assert len(fixed.apple.sent) == sent
    [failed] = [event for event in await fixed.events(EventType.PUSH_FAILED) if event.data.device == "ringing"]
    assert failed.data.outcome is not None
    assert "many tokens of this route look dead" in failed.data.outcome.cause
    assert "wakeline brake" in failed.data.outcome.fix


async def test_after_a_release_what_waited_goes_out_in_lane_order(fixed: World) -> None:
    await stop(fixed)
    await fixed.device("late", "late")
    await fixed.send("late", priority="low", ttl=LONG)
    await fixed.send("late", alert=None, type="background", ttl=LONG)
    await fixed.run()
    answering(fixed, None, range(60))
    fixed.apple.capacity = 10
    sent = len(fixed.apple.sent)
    await fixed.pipeline.undo.release(episode(fixed).id)
    await fixed.run()
    after = fixed.apple.sent[sent:]
    assert {push.type for push in after[:9]} == {PushType.ALERT}
    assert {push.token for push in after[:9]} < {f"phone{number}" for number in range(60)}
    assert [push.token for push in after].count("late") == 2


async def test_a_release_begins_the_window_anew_and_the_same_fault_closes_it_again(fixed: World) -> None:
    await stop(fixed)
    released = await fixed.pipeline.undo.release(episode(fixed).id)
    await fixed.run()
    second, first = fixed.store.brakes.all()
    assert (first, second.released_at) == (released, None)
    assert second.answers == DISTINCT
    assert (await states(fixed))[ACTIVE] == 60


async def test_a_hold_by_the_operator_outlives_the_release_of_the_brake(fixed: World) -> None:
    await stop(fixed)
    await fixed.pipeline.hold(episode(fixed).route, "Looking into it.")
    released = await fixed.pipeline.undo.release(episode(fixed).id)
    assert released.released_at is not None
    [way] = [way for way in fixed.pipeline.routes() if way.hold is not None]
    assert way.hold is not None
    assert way.hold.reason is HoldReason.OPERATOR


async def test_old_episodes_are_forgotten_with_the_ledger_but_not_while_they_are_closed(fixed: World) -> None:
    await stop(fixed)
    fixed.clock.advance(fixed.settings.retention.notifications + 60)
    await fixed.pipeline.maintain.prune()
    await fixed.pipeline.undo.release(episode(fixed).id)
    await fixed.pipeline.maintain.prune()
    assert fixed.store.brakes.all() == []


async def test_what_is_usual_for_a_route_is_remembered_over_a_restart(either: World) -> None:
    """A part of these tokens is always doubted: that is no news after a restart either."""
    await phones(either, 90, prefix="good")
    for day in range(2):
        if day:
            await either.later(DAY, step=HOUR)
            await either.restarted().maintain.usual.recall()
        await phones(either, 19 if day == 0 else 40, prefix=f"day{day}-")
        answering(either, BAD_TOKEN, range(40), prefix=f"day{day}-")
        await either.send(*(f"good{number}" for number in range(90)))
        await either.run()
        await either.send(*(f"day{day}-{number}" for number in range(40)))
        await either.run()
    assert not either.store.brakes.all()


async def test_a_token_is_not_accused_by_its_own_acceptance(fixed: World) -> None:
    """An app of one phone, whose setting is wrong now and then."""
    await fixed.device("phone", "ann")
    for _ in range(3):
        for answer in (OK, BAD_TOKEN):
            fixed.apple.to_token["phone"].append(answer)
            await fixed.send("ann")
            await fixed.run()
            fixed.clock.advance(60)
        assert (await fixed.target("phone")).state is QUARANTINED
        await fixed.later(DAY + HOUR, step=HOUR)
    assert (await fixed.target("phone")).state is ACTIVE


# --- the other environment


async def test_answers_of_the_other_environment_are_not_held_against_its_route(world: World) -> None:
    for number in range(DISTINCT + 5):
        await world.device(f"old{number}", f"old{number}")
        world.apple.to_token[f"old{number}"] += [BAD_TOKEN, BAD_TOKEN]
        await phones(world, 20, prefix=f"good{number}-")
        names = [f"good{number}-{good}" for good in range(20)]
        await world.send(f"old{number}", *names)
        await world.later(2)
    assert [sent.environment for sent in world.apple.sent].count("sandbox") == DISTINCT + 5
    assert not await world.events(EventType.BRAKE_CLOSED)
    assert (await states(world))[QUARANTINED] == DISTINCT + 5


async def test_no_other_environment_is_tried_and_none_believed_while_the_route_is_braked(world: World) -> None:
    await phones(world, 40)
    for number in range(40):
        for environment in ("production", "sandbox"):
            world.apple.to_environment[f"phone{number}", environment] = BAD_TOKEN
    key = await world.send(*(f"phone{number}" for number in range(40)), ttl=LONG)
    await world.later(30)
    hops = [sent.environment for sent in world.apple.sent].count("sandbox")
    assert hops <= 1
    assert await states(world) == {ACTIVE: 40, QUARANTINED: 0, RETIRED: 0}
    assert (await world.counts(key)).failed == 0

    world.apple.to_environment.clear()
    await world.pipeline.undo.release(episode(world).id)
    await world.later(120)
    assert (await world.counts(key)).accepted == 40


async def test_what_the_other_environment_says_after_the_brake_closed_is_not_believed_either(world: World) -> None:
    await phones(world, 40)
    for number in range(40):
        for environment in ("production", "sandbox"):
            world.apple.to_environment[f"phone{number}", environment] = BAD_TOKEN
    world.apple.answers = False

    async def only_production_answers() -> None:
        for _ in range(10):
            await world.step()
            for office in world.apple.offices:
                if office.route.environment is Environment.PRODUCTION:
                    office.deliver()

    key = await world.send("phone0", ttl=LONG)
    await only_production_answers()
    assert [sent.environment for sent in world.apple.sent] == ["production", "sandbox"]
    await world.send(*(f"phone{number}" for number in range(1, 40)), ttl=LONG)
    await only_production_answers()
    assert episode(world).released_at is None
    world.apple.answers = True
    await world.later(30)
    assert (await world.delivery(key)).state is not DeliveryState.FAILED
    assert await states(world) == {ACTIVE: 40, QUARANTINED: 0, RETIRED: 0}

    world.apple.to_environment.clear()
    await world.pipeline.undo.release(episode(world).id)
    await world.later(120)
    assert (await world.delivery(key)).state is DeliveryState.ACCEPTED


# --- doubt of another kind, and proof


async def test_tokens_of_another_topic_close_the_brake_too_and_none_is_judged(fixed: World) -> None:
    await phones(fixed, 60)
    answering(fixed, WRONG_TOPIC, range(60))
    key = await fixed.send(*(f"phone{number}" for number in range(60)), ttl=LONG)
    await fixed.run()
    assert [reason.reason for reason in episode(fixed).reasons] == ["DeviceTokenNotForTopic"]
    assert (await states(fixed))[ACTIVE] == 60
    assert (await fixed.counts(key)).held == 60 - DISTINCT + 1


async def test_a_proxy_that_answers_404_for_a_push_service_destroys_no_subscription(world: World) -> None:
    await world.change_app(settings=AppSettings(max_devices_per_user=0))
    await world.android()
    for number in range(60):
        await world.device(f"browser{number}", "ann", f"fcm:browser{number}")
    world.google.to_all = webpush(404, b"<html>no such site</html>")
    key = await world.send("ann", ttl=LONG)
    await world.run()
    assert (await states(world))[RETIRED] == 0
    assert episode(world).repaired == 0
    world.google.to_all = None
    await world.pipeline.undo.release(episode(world).id)
    await world.run()
    assert (await world.counts(key)).accepted == 60 - DISTINCT + 1


@pytest.mark.parametrize(
    ("outcome", "proof"),
    [
        (apns(410, "Unregistered", since=1), True),
        (apns(410, "ExpiredToken"), True),
        (fcm(404, b'{"error":{"details":[{"@type":"x.FcmError","errorCode":"UNREGISTERED"}]}}'), True),
        (webpush(410), True),
        (webpush(404, b'{"errno":102}'), True),
        (webpush(404), False),
        (BAD_TOKEN, False),
        (WRONG_TOPIC, False),
    ],
)
def test_what_is_proof_and_what_is_doubt(outcome: Outcome, *, proof: bool) -> None:
    assert doubtful(outcome) is not proof
    assert Evidence(status=outcome.status, reason=outcome.reason).proof is proof


async def test_dated_410s_in_numbers_stop_nothing_but_alert_once_a_day(fixed: World) -> None:
    for day in range(2):
        await phones(fixed, 40, prefix=f"day{day}-")
        fixed.clock.advance(60)
        names = [f"day{day}-{number}" for number in range(40)]
        for name in names:
            fixed.apple.to_token[name].append(unregistered(fixed.clock.now()))
        await fixed.send(*names)
        await fixed.run()
        assert (await states(fixed))[RETIRED] == 40 * (day + 1)
        alerts = await fixed.events(EventType.TARGETS_DYING)
        assert len(alerts) == 1  # the second day is as usual
        await fixed.later(DAY, step=HOUR)
    assert not fixed.store.brakes.all()
    assert alerts[0].data.route == "acme/apns/production/com.acme"
    assert alerts[0].data.note == "Of the last 20 answers, 20 said that the token is gone (Unregistered)."


async def test_a_change_of_environment_confirms_a_token_at_once_and_a_repetition_once_a_day(world: World) -> None:
    await world.device("phone", "ann", "apns:phone")
    start = world.clock.now()
    world.clock.advance(HOUR)
    await world.device("phone", "ann", "apns:phone")
    assert (await world.target("phone")).confirmed == start
    await world.device("phone", "ann", "apns:phone@sandbox")
    assert (await world.target("phone")).confirmed == start + 1000 * HOUR
    world.clock.advance(DAY)
    await world.device("phone", "ann", "apns:phone@sandbox")
    assert (await world.target("phone")).confirmed == world.clock.now()


async def test_a_token_that_was_restored_starts_with_a_clean_slate(fixed: World) -> None:
    await fixed.device("good", "bob")
    await fixed.device("phone", "ann")
    fixed.apple.to_token["phone"] += [BAD_TOKEN, BAD_TOKEN, OK]
    for _ in range(2):
        await fixed.send("bob")
        await fixed.send("ann")
        await fixed.run()
        assert (await fixed.target("phone")).state is QUARANTINED
        await fixed.store.devices.restore(fixed.app.id, device_id="phone", at=fixed.clock.now())
        await fixed.later(DAY, step=HOUR)
    await fixed.send("ann")
    await fixed.run()
    assert (await fixed.target("phone")).state is ACTIVE
