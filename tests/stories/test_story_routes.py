"""Broken credentials, silent providers, operators: routes wait, nothing is burned, others do not notice."""

from __future__ import annotations

import pytest

from stories.post import DOWN, OK, REVOKED
from stories.world import World, request
from wakeline.model.credential import CredentialKind, CredentialState
from wakeline.model.delivery import DeliveryState
from wakeline.model.device import TargetState
from wakeline.model.event import EventType
from wakeline.model.notification import PushType
from wakeline.model.route import Environment, HoldReason, ProviderKind
from wakeline.pipeline.way import Way
from wakeline.wire.outcomes import Loss, apns, fcm, lost

pytestmark = pytest.mark.anyio


def way_of(world: World) -> Way:
    return world.pipeline.table.ways()[0]


async def test_a_rejected_key_holds_the_route_until_it_is_repaired(world: World) -> None:
    await world.device("phone", "ann")
    [credential] = world.store.credentials.all()
    world.apple.to_credential[credential.id] = REVOKED
    keys = [await world.send("ann", title=f"n{number}") for number in range(3)]
    await world.run()
    assert [(await world.counts(key)).held for key in keys] == [1, 1, 1]
    assert (await world.target("phone")).state is TargetState.ACTIVE
    [failed] = await world.events(EventType.CREDENTIAL_FAILED)
    assert failed.data.credential == credential.id
    assert failed.data.outcome is not None
    assert (failed.data.outcome.code, bool(failed.data.outcome.fix)) == (904, True)
    known = world.store.credentials.get(credential.id)
    assert known is not None
    assert known.state is CredentialState.FAILED
    asked = len(world.apple.sent)

    later = await world.send("ann", title="n4")
    await world.run()
    assert len(world.apple.sent) == asked

    world.apple.to_credential.clear()
    await world.credential(replace=credential.id)
    await world.run()
    for key in [*keys, later]:
        delivery = await world.delivery(key)
        assert delivery.state is DeliveryState.ACCEPTED
        assert delivery.tries == 1
    assert len(await world.events(EventType.CREDENTIAL_RECOVERED)) == 1


async def test_calls_on_a_held_route_fail_at_once(world: World) -> None:
    await world.device("phone", "ann", "apns:alert", "apns-voip:voip")
    [credential] = world.store.credentials.all()
    world.apple.to_credential[credential.id] = REVOKED
    first = await world.call("ann")
    await world.run()
    second = await world.call("ann")
    await world.run()
    for key in (first, second):
        delivery = await world.delivery(key)
        assert (delivery.state, delivery.code) == (DeliveryState.FAILED, 904)
    assert len(world.apple.sent) == 1


async def test_a_check_that_succeeds_releases(world: World) -> None:
    await world.device("phone", "ann")
    [credential] = world.store.credentials.all()
    world.apple.to_credential[credential.id] = REVOKED
    key = await world.send("ann")
    await world.run()
    world.apple.on_check = REVOKED
    assert (await world.pipeline.check(credential.id)).code == 904
    assert way_of(world).hold is not None
    world.apple.to_credential.clear()
    world.apple.on_check = OK
    await world.pipeline.check(credential.id)
    await world.run()
    assert (await world.counts(key)).accepted == 1


async def test_a_failed_credential_is_checked_again_by_itself(world: World) -> None:
    await world.device("phone", "ann")
    [credential] = world.store.credentials.all()
    world.apple.to_credential[credential.id] = REVOKED
    key = await world.send("ann")
    await world.run()
    world.apple.to_credential.clear()
    await world.later(700, step=30)
    assert (await world.counts(key)).accepted == 1


async def test_another_key_of_the_app_takes_over(world: World) -> None:
    await world.device("phone", "ann")
    second = await world.credential(topics=("com.acme",))
    world.apple.to_credential[second.id] = REVOKED
    key = await world.send("ann")
    await world.run()
    assert (await world.counts(key)).accepted == 1
    assert [sent.credential for sent in world.apple.sent] == [second.id, 1]


async def test_one_route_does_not_notice_the_other(world: World) -> None:
    await world.android()
    await world.device("phone", "ann")
    await world.device("android", "ann", "fcm:android")
    world.apple.to_credential[1] = REVOKED
    key = await world.send("ann")
    await world.run()
    counts = await world.counts(key)
    assert (counts.accepted, counts.held) == (1, 1)


async def test_a_credential_that_cannot_be_used_stops_its_own_route_alone(world: World) -> None:
    google = await world.android()
    await world.device("phone", "ann")
    await world.device("android", "ann", "fcm:android")
    world.google.unusable.add(google.id)

    key = await world.send("ann")
    await world.run()

    counts = await world.counts(key)
    assert (counts.accepted, counts.held) == (1, 1)
    held = next(way for way in world.pipeline.table.ways() if way.hold is not None)
    assert held.hold is not None
    assert (held.route.provider, held.hold.code) == (ProviderKind.FCM, 904)


async def test_a_push_that_cannot_be_written_fails_and_stops_nobody(world: World) -> None:
    await world.device("phone", "ann")
    broken = await world.send("ann", data={"unwritable": True})
    other = await world.send("ann")
    await world.run()

    failed = await world.delivery(broken)
    assert (failed.state, failed.code) == (DeliveryState.FAILED, 913)
    assert (await world.target("phone")).state is TargetState.ACTIVE
    assert (await world.counts(other)).accepted == 1
    assert way_of(world).hold is None


async def test_a_credential_that_could_not_be_used_is_tried_again_by_itself(world: World) -> None:
    await world.device("phone", "ann")
    world.apple.unusable.add(1)
    key = await world.send("ann")
    await world.later(60)
    assert (await world.counts(key)).held == 1

    world.apple.unusable.clear()
    await world.later(700, step=30)

    assert (await world.counts(key)).accepted == 1


async def test_places_that_callers_make_up_are_not_remembered_for_ever(world: World) -> None:
    await world.credential(replace=1, topics=("com.acme",))
    made_up = [("apns", "production", f"com.made-up.n{number}") for number in range(10_001)]

    await world.pipeline.table.place(world.app, PushType.ALERT, made_up)

    assert world.pipeline.table.placed(world.app, PushType.ALERT, made_up[0]) is None
    assert world.pipeline.table.placed(world.app, PushType.ALERT, made_up[-1]) is not None


async def test_a_key_for_one_environment_goes_on_in_the_other(world: World) -> None:
    await world.device("phone", "ann")
    await world.device("build", "bob", "apns:build@sandbox")
    world.apple.to_environment["build", "sandbox"] = apns(403, "BadEnvironmentKeyInToken")
    bob, ann = await world.send("bob"), await world.send("ann")
    await world.run()
    assert (await world.counts(bob)).held == 1
    assert (await world.counts(ann)).accepted == 1


async def test_a_voip_certificate_of_its_own_serves_calls_alone(world: World) -> None:
    await world.store.credentials.delete(1)
    alerts = await world.credential(
        CredentialKind.APNS_CERTIFICATE, topics=("com.acme",), environments=(Environment.PRODUCTION,)
    )
    calls = await world.credential(
        CredentialKind.APNS_CERTIFICATE, topics=("com.acme.voip",), environments=(Environment.PRODUCTION,)
    )
    await world.device("phone", "ann", "apns:alert", "apns-voip:voip")
    await world.call("ann")
    await world.send("ann")
    await world.run()
    assert [(sent.token, sent.credential) for sent in world.apple.sent] == [("voip", calls.id), ("alert", alerts.id)]
    assert {office.route.topic for office in world.apple.offices} == {"com.acme"}


async def test_a_certificate_past_its_end_holds_with_903(world: World) -> None:
    await world.store.credentials.delete(1)
    end = world.clock.now() + 3_600_000
    await world.credential(
        CredentialKind.APNS_CERTIFICATE, topics=("com.acme",), environments=(Environment.PRODUCTION,), not_after=end
    )
    await world.device("phone", "ann")
    await world.later(3700, step=600)
    key = await world.send("ann")
    await world.run()
    [delivery] = await world.deliveries(key)
    assert (delivery.state, delivery.code) == (DeliveryState.HELD, 903)
    assert len(await world.events(EventType.CREDENTIAL_EXPIRED)) == 1
    assert len(await world.events(EventType.CREDENTIAL_EXPIRING)) == 1


async def test_apple_is_down_for_an_hour(world: World) -> None:
    await world.device("phone", "ann")
    world.apple.to_all = DOWN
    keys = [await world.send("ann", title=str(number)) for number in range(20)]
    await world.run()
    assert way_of(world).hold is not None
    assert (await world.counts(keys[0])).failed == 0
    await world.later(3600, step=5)
    asked = len(world.apple.sent)
    assert asked < 120
    assert (await world.target("phone")).state is TargetState.ACTIVE
    world.apple.to_all = None
    await world.later(1800, step=5)
    assert [(await world.counts(key)).accepted for key in keys] == [1] * 20
    assert way_of(world).hold is None


async def test_a_call_is_tried_once_at_a_silent_provider(world: World) -> None:
    await world.device("phone", "ann", "apns:alert", "apns-voip:voip")
    world.apple.to_all = DOWN
    for number in range(12):
        await world.send("ann", title=str(number))
    await world.run()
    assert way_of(world).breaker.open
    before = len(world.apple.sent)
    key = await world.call("ann")
    await world.run()
    assert len(world.apple.sent) == before + 1
    assert (await world.delivery(key)).state is DeliveryState.FAILED


async def test_a_call_is_repeated_inside_its_ring_time(world: World) -> None:
    await world.device("phone", "ann", "apns-voip:voip")
    world.apple.to_token["voip"] += [DOWN, DOWN]
    key = await world.call("ann")
    await world.later(2, step=0.1)
    delivery = await world.delivery(key)
    assert delivery.state is DeliveryState.ACCEPTED
    assert [attempt.number for attempt in delivery.attempts] == [1, 2, 3]


async def test_what_cannot_be_repeated_in_time_says_so(world: World) -> None:
    await world.device("phone", "ann")
    world.apple.to_token["phone"].append(DOWN)
    key = await world.send("ann", ttl=30)
    await world.run()
    delivery = await world.delivery(key)
    assert (delivery.state, delivery.code, delivery.reason) == (DeliveryState.FAILED, 902, "ServiceUnavailable")
    [failed] = await world.events(EventType.PUSH_FAILED)
    assert failed.data.outcome is not None
    assert "ttl ends" in failed.data.outcome.cause


async def test_a_push_without_an_answer_is_repeated_unless_its_sender_said_stop(world: World) -> None:
    await world.device("phone", "ann")
    world.apple.to_token["phone"] += [lost(Loss.UNANSWERED), lost(Loss.UNANSWERED)]
    stops = await world.send("ann", on_unknown="stop")
    await world.run()
    assert (await world.delivery(stops)).reason == "no_answer"
    goes_on = await world.send("ann")
    await world.later(120)
    assert (await world.counts(goes_on)).accepted == 1
    assert len(world.apple.sent) == 3


async def test_pushes_that_share_a_job_are_repeated_or_stopped_as_each_sender_said(world: World) -> None:
    for name in ("ann", "bob", "carl"):
        await world.device(name, name)
        world.apple.to_token[name].append(lost(Loss.UNANSWERED))
    await world.submit(request("ann"), request("bob", on_unknown="stop"), request("carl"))
    await world.later(120)
    assert sorted(world.apple.tokens()) == ["ann", "ann", "bob", "carl", "carl"]


async def test_google_asks_for_a_rest_and_calls_go_on(world: World) -> None:
    await world.android()
    for number in range(4):
        await world.device(f"a{number}", "ann", f"fcm:a{number}")
        world.google.to_token[f"a{number}"].append(fcm(429, b"", 60.0))
    key = await world.send("ann")
    await world.run()
    await world.device("b", "bob", "fcm:b")
    waits, call = await world.send("bob"), await world.call("bob")
    await world.run()
    assert (await world.counts(call)).accepted == 1
    assert (await world.counts(waits)).accepted == 0
    await world.later(100, step=5)
    assert (await world.counts(waits)).accepted == 1
    assert (await world.counts(key)).accepted == 4


async def test_an_operator_holds_and_releases(world: World) -> None:
    await world.device("phone", "ann")
    await world.send("ann")
    await world.run()
    route = way_of(world).route.id
    await world.pipeline.hold(route, "maintenance")
    key = await world.send("ann")
    await world.run()
    [delivery] = await world.deliveries(key)
    assert (delivery.state, delivery.code) == (DeliveryState.HELD, 902)
    [status] = world.pipeline.routes()
    assert status.hold is not None
    assert status.hold.reason is HoldReason.OPERATOR
    await world.pipeline.release()
    await world.run()
    assert (await world.counts(key)).accepted == 1


async def test_a_paused_app_holds_what_it_sends_and_refuses_calls(world: World) -> None:
    await world.device("phone", "ann", "apns:alert", "apns-voip:voip")
    await world.change_app(paused=True)
    alert, call = await world.send("ann"), await world.call("ann")
    await world.run()
    assert (await world.counts(alert)).held == 1
    assert (await world.delivery(call)).code == 902
    await world.change_app(paused=False)
    await world.later(1)
    assert (await world.counts(alert)).accepted == 1


async def test_the_ttl_ends_while_the_route_is_held(world: World) -> None:
    await world.device("phone", "ann")
    world.apple.to_credential[1] = REVOKED
    key = await world.send("ann", ttl=60)
    await world.run()
    await world.later(61)
    delivery = await world.delivery(key)
    assert (delivery.state, delivery.code) == (DeliveryState.EXPIRED, 904)
    [expired] = await world.events(EventType.PUSH_EXPIRED)
    assert expired.data.outcome is not None
    assert "verify our signature" in expired.data.outcome.cause


async def test_a_deleted_credential_fails_what_waits(world: World) -> None:
    await world.device("phone", "ann")
    world.apple.to_credential[1] = REVOKED
    key = await world.send("ann")
    await world.run()
    await world.store.credentials.delete(1)
    await world.run()
    assert (await world.delivery(key)).code == 901


async def test_a_hot_swap_lets_the_old_sender_finish(world: World) -> None:
    await world.device("phone", "ann")
    world.apple.answers = False
    first = await world.send("ann")
    await world.run()
    await world.credential(replace=1)
    second = await world.send("ann", title="second")
    await world.run()
    assert [office.credential.revision for office in world.apple.offices] == [1, 2]
    world.apple.answers = True
    await world.run()
    assert (await world.counts(first)).accepted == 1
    assert (await world.counts(second)).accepted == 1
