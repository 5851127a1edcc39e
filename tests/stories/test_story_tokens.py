"""Tokens die by proof, are doubted otherwise, and are never destroyed by a wrong setting."""

from __future__ import annotations

import pytest

from stories.post import BAD_TOKEN, unregistered
from stories.world import World
from wakeline.model.app import ApnsEnvironment, AppSettings
from wakeline.model.credential import CredentialKind
from wakeline.model.delivery import DeliveryState
from wakeline.model.device import TargetKind, TargetState
from wakeline.model.event import EventType
from wakeline.model.route import Environment, HoldReason
from wakeline.wire.outcomes import apns, fcm

pytestmark = pytest.mark.anyio

DAY = 86400


async def test_a_token_that_is_gone_retires_with_its_evidence(world: World) -> None:
    await world.device("phone", "ann")
    world.clock.advance(60)
    world.apple.to_token["phone"].append(unregistered(world.clock.now()))
    key = await world.send("ann")
    await world.run()
    delivery, target = await world.delivery(key), await world.target("phone")
    assert (delivery.state, delivery.code, delivery.status) == (DeliveryState.FAILED, 911, 410)
    assert target.state is TargetState.RETIRED
    assert target.evidence is not None
    assert target.evidence.reason == "Unregistered"
    [retired] = await world.events(EventType.TARGET_RETIRED)
    assert retired.data.device == "phone"
    assert [event.data.users for event in await world.events(EventType.PUSH_FAILED)] == [("ann",)]


async def test_a_410_from_before_the_last_registration_proves_nothing(world: World) -> None:
    since = world.clock.now()
    world.clock.advance(60)
    await world.device("phone", "ann")
    world.apple.to_token["phone"].append(unregistered(since))
    await world.send("ann")
    await world.run()
    assert (await world.target("phone")).state is TargetState.ACTIVE


async def test_an_undated_import_needs_two_410s(world: World) -> None:
    await world.device("phone", "ann", confirmed=0)
    world.apple.to_token["phone"] += [unregistered(world.clock.now()), unregistered(world.clock.now())]
    await world.send("ann")
    await world.run()
    assert (await world.target("phone")).state is TargetState.QUARANTINED
    await world.later(DAY + 7200, step=3600)
    await world.send("ann")
    await world.run()
    assert (await world.target("phone")).state is TargetState.RETIRED


async def test_a_development_token_in_production_is_found_and_corrected(world: World) -> None:
    await world.device("phone", "ann")
    world.apple.to_environment["phone", "production"] = BAD_TOKEN
    key = await world.send("ann")
    await world.run()
    assert [sent.environment for sent in world.apple.sent] == ["production", "sandbox"]
    assert (await world.delivery(key)).state is DeliveryState.ACCEPTED
    target = await world.target("phone")
    assert (target.state, target.environment) == (TargetState.ACTIVE, Environment.SANDBOX)
    await world.send("ann")
    await world.run()
    assert [sent.environment for sent in world.apple.sent] == ["production", "sandbox", "sandbox"]


async def test_a_token_that_neither_environment_knows_is_quarantined(world: World) -> None:
    await world.device("phone", "ann")
    world.apple.to_token["phone"] += [BAD_TOKEN, BAD_TOKEN]
    key = await world.send("ann")
    await world.run()
    assert [sent.environment for sent in world.apple.sent] == ["production", "sandbox"]
    assert (await world.delivery(key)).code == 911
    assert (await world.target("phone")).state is TargetState.QUARANTINED
    assert len(await world.events(EventType.TARGET_QUARANTINED)) == 1
    await world.send("ann")
    await world.run()
    assert len(world.apple.sent) == 2


async def test_the_other_environment_is_tried_once_a_second(world: World) -> None:
    for number in range(3):
        await world.device(f"phone{number}", "ann")
        world.apple.to_environment[f"phone{number}", "production"] = BAD_TOKEN
    await world.send("ann")
    await world.run()
    assert [sent.environment for sent in world.apple.sent].count("sandbox") == 1
    await world.later(3)
    assert [sent.environment for sent in world.apple.sent].count("sandbox") == 3


async def test_no_other_environment_is_tried_without_a_credential_for_it(world: World) -> None:
    for credential in world.store.credentials.all():
        await world.store.credentials.delete(credential.id)
    await world.credential(
        CredentialKind.APNS_CERTIFICATE, topics=("com.acme",), environments=(Environment.PRODUCTION,)
    )
    await world.device("phone", "ann")
    world.apple.to_environment["phone", "production"] = BAD_TOKEN
    await world.send("ann")
    await world.run()
    assert [sent.environment for sent in world.apple.sent] == ["production"]
    assert (await world.target("phone")).state is TargetState.QUARANTINED


async def test_an_app_may_fix_the_environment_of_all_its_devices(world: World) -> None:
    await world.change_app(settings=AppSettings(apns_environment=ApnsEnvironment.SANDBOX))
    await world.device("phone", "ann", "apns:phone@production")
    world.apple.to_token["phone"].append(BAD_TOKEN)
    await world.send("ann")
    await world.run()
    assert [sent.environment for sent in world.apple.sent] == ["sandbox"]


async def test_doubt_in_numbers_closes_the_brake_and_spares_the_tokens(world: World) -> None:
    for number in range(60):
        await world.device(f"phone{number}", "ann")
        world.apple.to_environment[f"phone{number}", "production"] = BAD_TOKEN
        world.apple.to_environment[f"phone{number}", "sandbox"] = BAD_TOKEN
    await world.change_app(settings=AppSettings(apns_environment=ApnsEnvironment.PRODUCTION))
    key = await world.send("ann")
    await world.run()
    states = [(await world.target(f"phone{number}")).state for number in range(60)]
    assert states.count(TargetState.ACTIVE) >= 40
    counts = await world.counts(key)
    assert counts.failed < 20
    assert counts.held == 60 - counts.failed
    [closed] = await world.events(EventType.BRAKE_CLOSED)
    assert "(BadDeviceToken)" in closed.data.note
    [route] = [way for way in world.pipeline.routes() if way.hold is not None]
    assert route.hold is not None
    assert route.hold.reason is HoldReason.BRAKE

    world.apple.to_environment.clear()
    await world.pipeline.release(route.route.id)
    await world.run()
    assert (await world.counts(key)).accepted == counts.held
    assert len(await world.events(EventType.BRAKE_RELEASED)) == 1


async def test_dated_410s_in_numbers_do_not_close_the_brake(world: World) -> None:
    for number in range(60):
        await world.device(f"phone{number}", "ann")
    world.clock.advance(60)
    for number in range(60):
        world.apple.to_token[f"phone{number}"].append(unregistered(world.clock.now()))
    key = await world.send("ann")
    await world.run()
    assert (await world.counts(key)).failed == 60
    assert not await world.events(EventType.BRAKE_CLOSED)


async def test_two_strikes_a_day_apart_retire(world: World) -> None:
    await world.device("good", "bob")
    await world.device("phone", "ann")
    world.apple.to_token["phone"] += [BAD_TOKEN] * 4
    await world.send("bob")
    await world.run()
    await world.send("ann")
    await world.run()
    assert (await world.target("phone")).state is TargetState.QUARANTINED
    await world.later(DAY + 7200, step=3600)
    assert (await world.target("phone")).state is TargetState.ACTIVE
    await world.send("bob")
    await world.run()
    await world.send("ann")
    await world.run()
    retired = await world.target("phone")
    assert retired.state is TargetState.RETIRED
    assert retired.evidence is not None
    assert retired.evidence.strikes == 2


async def test_a_strike_does_not_count_while_the_route_accepts_nothing(world: World) -> None:
    await world.device("phone", "ann")
    world.apple.to_token["phone"] += [BAD_TOKEN] * 4
    for _ in range(2):
        await world.send("ann")
        await world.run()
        await world.later(DAY + 7200, step=3600)
    assert (await world.target("phone")).state is TargetState.ACTIVE


async def test_fcm_unregistered_retires_at_once(world: World) -> None:
    await world.android()
    await world.device("android", "ann", "fcm:android")
    world.google.to_token["android"].append(
        fcm(
            404,
            b'{"error":{"status":"NOT_FOUND","details":[{"@type":'
            b'"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"UNREGISTERED"}]}}',
        )
    )
    await world.send("ann")
    await world.run()
    assert (await world.target("android", TargetKind.FCM)).state is TargetState.RETIRED


async def test_a_bad_payload_fails_the_push_and_leaves_the_token(world: World) -> None:
    await world.device("phone", "ann")
    world.apple.to_token["phone"].append(apns(413, "PayloadTooLarge"))
    key = await world.send("ann")
    await world.run()
    assert (await world.delivery(key)).code == 913
    assert (await world.target("phone")).state is TargetState.ACTIVE
