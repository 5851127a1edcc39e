"""A wrong setting heals itself: its first twenty pushes find it out, and nobody else notices."""

from __future__ import annotations

import asyncio
from collections import Counter

import msgspec
import pytest

from stories.post import BAD_TOKEN, DOWN, NO_ANSWER, OK, REVOKED, unregistered
from stories.world import World, request
from wakeline.config import Limits, Settings
from wakeline.model.app import ApnsEnvironment, AppSettings
from wakeline.model.credential import Credential, CredentialKind, CredentialState
from wakeline.model.delivery import DeliveryState
from wakeline.model.device import TargetState
from wakeline.model.event import EventType
from wakeline.model.notification import Counts
from wakeline.model.outcome import Outcome
from wakeline.model.route import Environment
from wakeline.pipeline import Taken
from wakeline.wire.outcomes import apns, fcm

pytestmark = pytest.mark.anyio

DEVICES = 60


async def served(world: World, *, kind: str = "apns", devices: int = DEVICES) -> Credential:
    """Open a world whose credential has proved itself, with devices."""
    await world.open()
    credential = await world.credential(replace=1, key_id="OLD", team_id="TEAM1")
    for number in range(devices):
        await world.device(f"d{number}", f"u{number}", f"{kind}:{number:04x}")
    await (world.call("u0") if kind == "apns-voip" else world.send("u0"))
    await world.run()
    [proven] = world.store.credentials.of_app(world.app.id)
    assert proven.state is CredentialState.WORKING
    world.apple.sent.clear()
    return credential


async def everybody(world: World, *, users: int = DEVICES) -> list[int]:
    return [await world.send(f"u{number}") for number in range(users)]


async def all_counts(world: World, keys: list[int]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for key in keys:
        found: Counts = await world.counts(key)
        counts.update({name: getattr(found, name) for name in found.__struct_fields__ if getattr(found, name)})
    return counts


async def states(world: World, devices: int = DEVICES) -> set[TargetState]:
    return {(await world.target(f"d{number}")).state for number in range(devices)}


WRONG = [
    pytest.param(REVOKED, id="revoked key"),
    pytest.param(apns(403, "BadEnvironmentKeyInToken"), id="sandbox key"),
    pytest.param(apns(400, "TopicDisallowed"), id="other topic"),
    pytest.param(apns(400, "DeviceTokenNotForTopic"), id="other app's topic"),
    pytest.param(BAD_TOKEN, id="other environment"),
    pytest.param(unregistered(1_900_000_000_000), id="other team, answered as gone"),
]


@pytest.mark.parametrize("answer", WRONG)
async def test_a_wrong_credential_is_taken_back_and_its_canaries_go_out_as_before(answer: Outcome) -> None:
    world = World()
    await served(world)
    world.apple.to_key["NEW"] = answer
    await world.credential(replace=1, key_id="NEW", team_id="TEAM2")
    began = world.clock.monotonic()

    keys = await everybody(world)
    await world.run()

    assert world.clock.monotonic() - began < 5
    assert await all_counts(world, keys) == {"accepted": DEVICES}
    assert await states(world) == {TargetState.ACTIVE}
    canaries = [sent.token for sent in world.apple.sent if sent.key_id == "NEW"]
    assert 0 < len(canaries) <= 20
    assert len(canaries) == len(set(canaries)), "nobody is delayed twice"
    [now] = world.store.credentials.of_app(world.app.id)
    assert (now.key_id, now.state) == ("OLD", CredentialState.WORKING)
    assert world.store.credentials.former(1) is None
    [told] = await world.events(EventType.CHANGE_TAKEN_BACK)
    assert told.data.note == now.state_note
    for word in ("NEW", "TEAM2", answer.reason):
        assert word in told.data.note
    assert await world.events(EventType.CREDENTIAL_FAILED, EventType.TARGET_RETIRED, EventType.PUSH_FAILED) == []


@pytest.mark.parametrize("answer", WRONG[:4])
async def test_at_a_thousand_a_second_twenty_are_delayed_at_most_and_nobody_is_called(answer: Outcome) -> None:
    world = World(Settings(limits=Limits(per_user=False)))
    await served(world, devices=500)
    keys: list[int] = []
    for tick in range(20):
        if tick == 10:
            world.apple.to_key["NEW"] = answer
            await world.credential(replace=1, key_id="NEW", team_id="TEAM2")
        taken = await world.submit(
            *(request(f"u{number}") for number in range(100 * (tick % 5), 100 * (tick % 5) + 100))
        )
        keys += [one.key for one in taken if isinstance(one, Taken)]
        await world.run()
        world.clock.advance(0.1)

    deliveries = [await world.delivery(key) for key in keys]

    assert len(deliveries) == 2000
    assert {delivery.state for delivery in deliveries} == {DeliveryState.ACCEPTED}
    delayed = [delivery for delivery in deliveries if len(delivery.attempts) > 1]
    assert 0 < len(delayed) <= 20
    assert await states(world, 500) == {TargetState.ACTIVE}
    [now] = world.store.credentials.of_app(world.app.id)
    assert (now.key_id, now.state) == ("OLD", CredentialState.WORKING)


async def test_a_good_credential_passes_and_the_former_one_is_forgotten() -> None:
    world = World()
    await served(world)
    await world.credential(replace=1, key_id="NEW")

    keys = await everybody(world)
    await world.run()

    assert await all_counts(world, keys) == {"accepted": DEVICES}
    assert len([sent for sent in world.apple.sent if sent.key_id == "NEW"]) >= 20
    assert len(world.apple.sent) == DEVICES
    assert world.store.credentials.former(1) is None
    world.apple.sent.clear()
    await world.send("u1")
    await world.run()
    assert [sent.key_id for sent in world.apple.sent] == ["NEW"]
    [now] = world.store.credentials.of_app(world.app.id)
    assert now.state is CredentialState.WORKING
    assert await world.events(EventType.CHANGE_TAKEN_BACK) == []


async def test_tokens_that_are_dead_under_both_do_not_speak_against_a_good_credential() -> None:
    world = World()
    await served(world)
    for number in range(10):
        for environment in Environment:
            world.apple.to_environment[f"{number:04x}", environment.value] = unregistered(1_900_000_000_000)
    await world.credential(replace=1, key_id="NEW")

    keys = await everybody(world)
    await world.run()

    assert await all_counts(world, keys) == {"accepted": DEVICES - 10, "failed": 10}
    assert world.store.credentials.former(1) is None
    [now] = world.store.credentials.of_app(world.app.id)
    assert now.key_id == "NEW"


async def test_an_app_with_one_push_a_day_gets_its_push_and_its_old_credential_back() -> None:
    world = World()
    await served(world, devices=1)
    world.apple.to_key["NEW"] = apns(400, "TopicDisallowed")
    await world.credential(replace=1, key_id="NEW")

    key = await world.send("u0")
    await world.run()

    assert (await world.delivery(key)).state is DeliveryState.ACCEPTED
    [now] = world.store.credentials.of_app(world.app.id)
    assert now.key_id == "OLD"


async def test_a_call_rings_although_it_was_the_canary() -> None:
    world = World()
    await served(world, kind="apns-voip", devices=3)
    world.apple.to_key["NEW"] = REVOKED
    await world.credential(replace=1, key_id="NEW")

    calls = [await world.call("u1"), await world.call("u2")]
    await world.run()

    assert await all_counts(world, calls) == {"accepted": 2}
    assert len([sent for sent in world.apple.sent if sent.key_id == "NEW"]) == 1


async def test_silence_of_a_new_connection_delays_twenty_at_most_and_then_ends_the_trial() -> None:
    world = World()
    await served(world)
    world.apple.to_key["NEW"] = NO_ANSWER
    await world.credential(replace=1, key_id="NEW")

    keys = await everybody(world)
    await world.later(60)

    assert await all_counts(world, keys) == {"accepted": DEVICES}
    assert len({sent.token for sent in world.apple.sent if sent.key_id == "NEW"}) <= 20
    [now] = world.store.credentials.of_app(world.app.id)
    assert now.key_id == "OLD"


async def test_trouble_that_both_have_is_nobodys_fault() -> None:
    world = World()
    await served(world)
    world.apple.to_all = DOWN
    await world.credential(replace=1, key_id="NEW")
    keys = await everybody(world)
    await world.later(30)

    assert await world.events(EventType.CHANGE_TAKEN_BACK) == []
    world.apple.to_all = None
    await world.later(3 * 3600, step=60)
    assert await all_counts(world, keys) == {"accepted": DEVICES}
    [now] = world.store.credentials.of_app(world.app.id)
    assert now.key_id == "NEW"


async def test_nothing_is_tried_where_nothing_worked_before() -> None:
    world = World()
    await world.open()
    world.apple.to_key["OLD"] = REVOKED
    await world.credential(replace=1, key_id="OLD")
    await world.device("d0", "u0")
    key = await world.send("u0")
    await world.run()
    assert (await world.delivery(key)).state is DeliveryState.HELD

    await world.credential(replace=1, key_id="NEW")
    await world.run()

    assert (await world.delivery(key)).state is DeliveryState.ACCEPTED
    assert world.store.credentials.former(1) is None


async def test_an_old_credential_that_breaks_during_the_trial_gives_way_at_once() -> None:
    world = World()
    await served(world)
    await world.credential(replace=1, key_id="NEW")
    world.apple.to_key["OLD"] = REVOKED

    keys = await everybody(world)
    await world.run()

    assert await all_counts(world, keys) == {"accepted": DEVICES}
    assert await world.events(EventType.CREDENTIAL_FAILED, EventType.CHANGE_TAKEN_BACK) == []


async def test_a_wrong_environment_of_an_app_is_taken_back() -> None:
    world = World()
    await served(world)
    for number in range(DEVICES):
        world.apple.to_environment[f"{number:04x}", "sandbox"] = BAD_TOKEN
    await world.change_app(settings=AppSettings(apns_environment=ApnsEnvironment.SANDBOX))

    keys = await everybody(world)
    await world.run()

    assert await all_counts(world, keys) == {"accepted": DEVICES}
    assert await states(world) == {TargetState.ACTIVE}
    app = world.store.apps.by_id(world.app.id)
    assert app is not None
    assert app.settings.apns_environment is ApnsEnvironment.AS_REGISTERED
    [told] = await world.events(EventType.CHANGE_TAKEN_BACK)
    assert "sandbox" in told.data.note
    assert "BadDeviceToken" in told.data.note
    assert len([sent for sent in world.apple.sent if sent.environment == "sandbox"]) <= 20


async def test_a_right_environment_of_an_app_is_put_in_force_for_what_waits_too() -> None:
    world = World()
    await served(world)
    await world.change_app(settings=AppSettings(apns_environment=ApnsEnvironment.SANDBOX))
    keys = await everybody(world)
    await world.run()

    assert await all_counts(world, keys) == {"accepted": DEVICES}
    world.apple.sent.clear()
    await everybody(world, users=5)
    await world.run()
    assert {sent.environment for sent in world.apple.sent} == {"sandbox"}
    assert await world.store.settings.get(f"apns_environment_before/{world.app.id}") is None


async def test_another_credential_that_would_take_over_is_tried_first() -> None:
    world = World()
    await served(world)
    world.apple.to_key["NEW"] = apns(400, "TopicDisallowed")
    added = await world.credential(key_id="NEW", topics=("com.acme",))

    keys = await everybody(world)
    await world.run()

    assert await all_counts(world, keys) == {"accepted": DEVICES}
    assert await states(world) == {TargetState.ACTIVE}
    failed = world.store.credentials.get(added.id)
    assert failed is not None
    assert failed.state is CredentialState.FAILED
    assert "TopicDisallowed" in failed.state_note


async def test_another_project_of_fcm_is_taken_back() -> None:
    world = World()
    await world.open()
    await world.android()
    for number in range(DEVICES):
        await world.device(f"d{number}", f"u{number}", f"fcm:t{number}")
    await world.send("u0")
    await world.run()
    detail = {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": "SENDER_ID_MISMATCH"}
    error = {"code": 403, "status": "PERMISSION_DENIED", "message": "SenderId mismatch", "details": [detail]}
    foreign = fcm(403, msgspec.json.encode({"error": error}))
    assert foreign.reason == "SENDER_ID_MISMATCH"
    world.google.to_key["NEW"] = foreign
    await world.credential(
        CredentialKind.FCM_SERVICE_ACCOUNT, replace=2, topics=("acme-2",), environments=(), key_id="NEW"
    )

    keys = await everybody(world)
    await world.run()

    assert await all_counts(world, keys) == {"accepted": DEVICES}
    now = world.store.credentials.get(2)
    assert now is not None
    assert now.topics == ("acme-1",)
    [told] = await world.events(EventType.CHANGE_TAKEN_BACK)
    assert foreign.reason in told.data.note


async def test_a_crash_during_the_trial_forgets_neither_what_was_tried_nor_what_stood() -> None:
    world = World()
    await served(world)
    world.apple.to_key["NEW"] = apns(400, "TopicDisallowed")
    await world.credential(replace=1, key_id="NEW")
    world.apple.answers = False
    keys = await everybody(world)
    await world.run()
    await world.restarted().table.standing.recall()
    await world.store.queue.rescue()
    world.apple.answers = True

    await world.run()

    assert await all_counts(world, keys) == {"accepted": DEVICES}
    [now] = world.store.credentials.of_app(world.app.id)
    assert now.key_id == "OLD"


async def test_an_operator_who_insists_has_it_at_once() -> None:
    world = World()
    await served(world)
    await world.credential(replace=1, key_id="NEW")
    world.pipeline.insist(world.app)
    await world.run()
    assert world.store.credentials.former(1) is None

    await world.send("u1")
    await world.run()

    assert [sent.key_id for sent in world.apple.sent] == ["NEW"]


async def test_a_check_that_fails_takes_a_credential_back_before_it_sends_anything() -> None:
    world = World()
    await served(world)
    await world.credential(replace=1, key_id="NEW")
    world.apple.on_check = REVOKED

    outcome = await world.pipeline.check(1)
    await world.run()

    assert outcome.reason == "InvalidProviderToken"
    [now] = world.store.credentials.of_app(world.app.id)
    assert now.key_id == "OLD"
    keys = await everybody(world)
    await world.run()
    assert {sent.key_id for sent in world.apple.sent} == {"OLD"}
    assert await all_counts(world, keys) == {"accepted": DEVICES}


async def test_a_check_that_is_answered_after_the_change_was_taken_back_says_nothing_of_what_is_back() -> None:
    world = World()
    await served(world)
    await world.credential(replace=1, key_id="NEW")
    world.apple.to_key["NEW"] = world.apple.on_check = REVOKED

    async def pushes() -> None:
        world.apple.during_check = None
        await everybody(world)
        await world.run()

    world.apple.during_check = pushes
    await world.pipeline.check(1)
    await world.run()

    [now] = world.store.credentials.of_app(world.app.id)
    assert (now.key_id, now.state) == ("OLD", CredentialState.WORKING)
    assert "NEW" in now.state_note
    assert "taken back" in now.state_note


async def test_the_connections_of_a_revoked_key_are_closed() -> None:
    world = World()
    await served(world)
    world.apple.to_key["OLD"] = REVOKED
    await world.send("u1")
    await world.run()
    await asyncio.sleep(0)

    assert all(office.closed for office in world.apple.offices)
    assert world.apple.on_check is OK


async def test_a_key_for_one_environment_alone_is_held_in_the_other_alone() -> None:
    world = World()
    await world.open()
    await world.device("dev", "ann", "apns:aa@sandbox")
    await world.device("prod", "bob", "apns:bb")
    scoped = apns(403, "BadEnvironmentKeyInToken")
    world.apple.check_in = {Environment.PRODUCTION: scoped}
    world.apple.to_environment["bb", "production"] = scoped

    assert (await world.pipeline.check(1)).code == 905
    in_sandbox, in_production = await world.send("ann"), await world.send("bob")
    await world.run()
    assert (await world.pipeline.check(1)).code == 905
    await world.run()

    assert (await world.delivery(in_sandbox)).state is DeliveryState.ACCEPTED
    assert (await world.delivery(in_production)).state is DeliveryState.HELD
    [key] = world.store.credentials.of_app(world.app.id)
    assert key.state is CredentialState.WORKING
    assert "production" in key.state_note


async def test_a_check_without_an_answer_says_what_is_not_known() -> None:
    world = World()
    await world.open()
    world.apple.on_check = NO_ANSWER

    outcome = await world.pipeline.check(1)

    assert "nothing is known" in outcome.cause
    assert "credential check" in outcome.fix
    [key] = world.store.credentials.of_app(world.app.id)
    assert key.state is CredentialState.UNPROVEN
