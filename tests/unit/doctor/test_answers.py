"""What was answered lately, under the doctor's eyes: all well, some refused, all refused, another user's phone."""

from __future__ import annotations

import pytest

from stories.world import World
from unit.doctor.clinic import line, ports_in
from wakeline.doctor import answers
from wakeline.observe.health import Status
from wakeline.wire.outcomes import apns

pytestmark = pytest.mark.anyio
NAME = "answers of acme"


@pytest.fixture
async def world() -> World:
    world = await World().open()
    await world.device("ios-1", "alice", "apns:a1")
    await world.device("ios-2", "bob", "apns:b1")
    return world


async def said(world: World, user: str = "") -> tuple[str, str, str]:
    return await line(answers.look, ports_in(world, user=user), NAME)


async def test_an_app_that_sent_nothing_is_skipped(world: World) -> None:
    assert [check.status for check in await answers.look(ports_in(world))] == [Status.SKIPPED]


async def test_what_was_accepted_is_well(world: World) -> None:
    await world.send("alice")
    await world.run()

    assert await said(world) == ("ok", "The only push in the last day was accepted.", "")


async def test_a_refusal_is_told_with_its_meaning_and_only_of_those_it_is_about(world: World) -> None:
    world.apple.to_token["b1"].append(apns(400, "DeviceTokenNotForTopic"))
    await world.send("alice")
    await world.send("bob")
    await world.run()

    status, cause, fix = await said(world)
    assert status == "warning"
    assert cause.startswith(
        "1 of the last 2 pushes in the last day failed (apns: 400 DeviceTokenNotForTopic, code 912)."
    )
    assert "bundle id" in fix
    assert (await said(world, "bob"))[0] == "failed"
    assert (await said(world, "alice"))[0] == "ok"


async def test_what_was_refused_for_its_content_is_told_once(world: World) -> None:
    world.apple.to_token["b1"].append(apns(400, "BadPriority"))
    await world.send("alice")
    await world.send("bob")
    await world.run()

    status, cause, _ = await said(world)
    assert (status, "see `payloads of acme`" in cause) == ("ok", True)
    status, cause, _ = await said(world, "bob")
    assert status == "failed"
    assert cause.startswith("The only push in the last day failed (apns: 400 BadPriority, code 913). ")


async def test_a_refusal_of_a_device_that_was_forgotten_is_told_without_its_kind(world: World) -> None:
    world.apple.to_token["b1"].append(apns(400, "DeviceTokenNotForTopic"))
    await world.send("bob")
    await world.run()
    await world.store.devices.delete(world.app.id, "ios-2")

    assert "failed (400 DeviceTokenNotForTopic, code 912)." in (await said(world))[1]


async def test_what_is_older_than_a_day_is_not_looked_at(world: World) -> None:
    await world.send("alice")
    await world.run()
    world.clock.advance(90_000)

    assert (await said(world))[0] == "skipped"
