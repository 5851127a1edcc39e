"""Trials that meet something else on their way: another upload, a deletion, a silent service, a store that fails, a restart."""

from __future__ import annotations

import asyncio

import pytest

from stories.post import NO_ANSWER, REVOKED
from stories.test_story_canary import DEVICES, all_counts, everybody, served
from stories.world import World
from wakeline.model.credential import Credential, CredentialKind, CredentialState
from wakeline.model.delivery import DeliveryState
from wakeline.model.errors import StoreUnavailable
from wakeline.model.event import EventType
from wakeline.model.route import Environment
from wakeline.wire.outcomes import apns

pytestmark = pytest.mark.anyio

WRONG_TOPIC = apns(400, "TopicDisallowed")


async def test_what_was_uploaded_during_a_trial_does_not_become_what_worked_before() -> None:
    world = World()
    await served(world)
    world.apple.to_key["NEW"] = WRONG_TOPIC
    await world.credential(replace=1, key_id="NEW")
    await world.pipeline.check(1)  # Apple knows the key: only a push shows that its topic is wrong

    await world.credential(replace=1, key_id="NEWER")
    world.apple.to_key["NEWER"] = WRONG_TOPIC
    keys = await everybody(world)
    await world.run()

    assert await all_counts(world, keys) == {"accepted": DEVICES}
    assert "NEW" not in {sent.key_id for sent in world.apple.sent}
    [now] = world.store.credentials.of_app(world.app.id)
    assert now.key_id == "OLD"


async def test_a_silent_service_that_comes_back_during_a_trial_frees_its_route_at_once() -> None:
    world = World()
    await served(world)
    world.apple.silent = True
    keys = await everybody(world)
    await world.later(60)
    await world.credential(replace=1, key_id="NEW")
    world.apple.silent = False

    await world.later(400)

    assert await all_counts(world, keys) == {"accepted": DEVICES}
    assert not any(route.breaker_open for route in world.pipeline.routes())


async def test_a_canary_that_is_never_sent_again_does_not_keep_the_trial_from_ending() -> None:
    world = World()
    await served(world)
    world.apple.to_key["NEW"] = NO_ANSWER
    await world.credential(replace=1, key_id="NEW")
    await world.send("u0", "u1", on_unknown="stop")
    await world.run()
    world.apple.to_key.clear()

    await everybody(world)
    await world.run()
    await world.later(7200, step=600)
    keys = await everybody(world)
    await world.run()

    assert await all_counts(world, keys) == {"accepted": DEVICES}
    assert world.store.credentials.former(1) is None


async def test_taking_a_change_back_spares_what_was_uploaded_meanwhile() -> None:
    world = World()
    await served(world)
    world.apple.to_key["NEW"] = REVOKED
    await world.credential(replace=1, key_id="NEW")
    await world.send("u0")
    world.pipeline.watch.refresh()
    await world.pipeline.dispatch.turn()
    world.apple.deliver()

    await world.credential(replace=1, key_id="RIGHT")
    keys = await everybody(world)
    await world.run()

    assert await all_counts(world, keys) == {"accepted": DEVICES}
    [now] = world.store.credentials.of_app(world.app.id)
    assert (now.key_id, world.store.credentials.former(1)) == ("RIGHT", None)


async def test_a_store_that_fails_while_a_change_is_taken_back_only_puts_it_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    await served(world)
    store = world.store.credentials
    revert, broken = store.revert, [True]

    async def fragile(credential: int, note: str) -> Credential:
        if broken:
            raise StoreUnavailable("the disk is full")
        return await revert(credential, note)

    monkeypatch.setattr(store, "revert", fragile)
    world.apple.to_key["NEW"] = REVOKED
    await world.credential(replace=1, key_id="NEW")
    keys = [await world.send("u0")]
    await world.run()
    broken.clear()

    await world.later(120, step=10)
    keys += await everybody(world)
    await world.run()

    assert await all_counts(world, keys) == {"accepted": DEVICES + 1}
    [now] = store.of_app(world.app.id)
    assert (now.key_id, store.former(1)) == ("OLD", None)
    assert len(await world.events(EventType.CHANGE_TAKEN_BACK)) == 1


async def test_a_key_that_is_refused_takes_no_other_change_back_with_it() -> None:
    world = World()
    await served(world)
    await world.credential(CredentialKind.FCM_SERVICE_ACCOUNT, topics=("acme-1",), environments=(), key_id="G1")
    await world.device("android", "andy", "fcm:t1")
    await world.send("andy")
    await world.run()
    await world.credential(
        CredentialKind.FCM_SERVICE_ACCOUNT, replace=2, topics=("acme-1",), environments=(), key_id="G2"
    )
    await world.credential(replace=1, key_id="NEW")
    world.apple.on_check = REVOKED

    await world.pipeline.check(1)
    await world.run()

    apple, google = world.store.credentials.of_app(world.app.id)
    assert (apple.key_id, google.key_id) == ("OLD", "G2")
    [told] = await world.events(EventType.CHANGE_TAKEN_BACK)
    assert "G2" not in told.data.note


async def test_a_restart_during_the_trial_of_another_credential_leaves_it_on_trial() -> None:
    world = World()
    await served(world)
    world.apple.to_key["NEW"] = WRONG_TOPIC
    added = await world.credential(key_id="NEW", topics=("com.acme",))
    await world.run()
    await world.pipeline.check(added.id)
    await world.restarted().table.standing.recall()
    assert [world.pipeline.on_trial(one) for one in world.store.credentials.of_app(world.app.id)] == [False, True]

    keys = await everybody(world)
    await world.run()

    assert await all_counts(world, keys) == {"accepted": DEVICES}
    failed = world.store.credentials.get(added.id)
    assert failed is not None
    assert failed.state is CredentialState.FAILED


async def test_the_former_credential_may_be_deleted_while_its_successor_is_on_trial() -> None:
    world = World()
    await served(world)
    await world.credential(key_id="NEW", topics=("com.acme",))
    keys = await everybody(world)

    await world.store.credentials.delete(1)
    keys.append(await world.send("u0"))
    await world.run()

    assert await all_counts(world, keys) == {"accepted": DEVICES + 1}


async def test_a_key_on_trial_serves_at_once_what_nothing_served_before() -> None:
    world = World()
    await world.open()
    await world.credential(
        CredentialKind.APNS_CERTIFICATE, replace=1, topics=("com.acme",), environments=(Environment.PRODUCTION,)
    )
    await world.device("d0", "u0", "apns:00", "apns-voip:01")
    await world.send("u0")
    await world.run()

    await world.credential(key_id="KEY", topics=("com.acme",))
    call = await world.call("u0")
    await world.run()

    assert (await world.delivery(call)).state is DeliveryState.ACCEPTED


async def test_a_check_does_not_put_what_was_taken_back_in_force() -> None:
    world = World()
    await served(world)
    world.apple.to_key["NEW"] = WRONG_TOPIC
    added = await world.credential(key_id="NEW", topics=("com.acme",))
    await everybody(world)
    await world.run()
    world.apple.sent.clear()

    await world.pipeline.check(added.id)
    keys = await everybody(world)
    await world.run()

    assert await all_counts(world, keys) == {"accepted": DEVICES}
    assert len([sent for sent in world.apple.sent if sent.key_id == "NEW"]) <= 20


async def test_a_check_that_runs_out_of_time_while_it_writes_loses_nothing_of_what_is_to_be_written() -> None:
    world = await World().open()
    gate, done = asyncio.Event(), list[str]()

    async def slowly() -> None:
        await gate.wait()
        done.append("slowly")

    async def quickly() -> None:
        done.append("quickly")

    world.pipeline.settle.chore(slowly())
    world.pipeline.settle.chore(quickly())
    check = asyncio.create_task(world.pipeline.check(1))
    for _ in range(20):
        await asyncio.sleep(0)
    check.cancel()
    await asyncio.gather(check, return_exceptions=True)
    assert check.cancelled()

    gate.set()
    await world.pipeline.settle.flush()

    assert done == ["slowly", "quickly"]
