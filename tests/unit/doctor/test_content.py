"""What was sent lately under the doctor's eyes: near the limit, refused, of another type than was meant; and all well."""

from __future__ import annotations

import pytest

from stories.world import World
from unit.doctor.clinic import line, ports_in
from wakeline.doctor import content
from wakeline.model.app import AppSettings
from wakeline.observe.health import Status
from wakeline.wire.outcomes import apns

pytestmark = pytest.mark.anyio
SIZES, TYPES = "payloads of acme", "push types of acme"


@pytest.fixture
async def world() -> World:
    world = await World().open()
    await world.device("ios-1", "alice", "apns:a1")
    return world


async def said(world: World, name: str) -> tuple[str, str, str]:
    return await line(content.look, ports_in(world), name)


async def test_an_app_that_sent_nothing_is_skipped(world: World) -> None:
    assert [check.status for check in await content.look(ports_in(world))] == [Status.SKIPPED]


async def test_the_largest_push_is_told_and_nothing_of_its_text(world: World) -> None:
    await world.send("alice", title="short")
    await world.send("alice", title="x" * 1000)
    await world.run()
    status, cause, _ = await said(world, SIZES)

    assert status == "ok"
    assert cause.startswith("The largest of the last 2 pushes has 1")
    assert "of 4096 bytes (apns)" in cause
    assert "xxx" not in cause


async def test_a_push_near_the_limit_is_a_warning_before_one_is_refused(world: World) -> None:
    await world.send("alice", title="x" * 3600)
    await world.run()
    status, cause, fix = await said(world, SIZES)

    assert (status, "of 4096 bytes" in cause) == ("warning", True)
    assert "validate_only" in fix


async def test_the_longest_language_counts(world: World) -> None:
    texts = {"de": {"title": "y" * 3700}}
    await world.send("alice", alert={"title": "short", "localized": texts})
    await world.run()

    assert (await said(world, SIZES))[0] == "warning"


async def test_payloads_that_were_refused_fail(world: World) -> None:
    world.apple.to_all = apns(400, "BadRequestPayload")
    await world.send("alice")
    await world.run()
    status, cause, fix = await said(world, SIZES)

    assert status == "failed"
    assert "1 failed with 913 (1 BadRequestPayload). Apple cannot read the payload" in cause
    assert "`aps` must be an object" in fix


async def test_a_refusal_for_something_else_than_size_is_not_told_to_be_shortened(world: World) -> None:
    world.apple.to_all = apns(400, "BadPriority")
    await world.send("alice")
    await world.run()
    _, cause, fix = await said(world, SIZES)

    assert "(1 BadPriority)" in cause
    assert "truncate" not in fix
    assert "5" in fix


async def test_each_push_service_is_measured_by_its_own_rules(world: World) -> None:
    await world.android()
    await world.device("android-1", "bob", "fcm:token")
    await world.send("bob", alert=None, data={"text": "x" * 3700})
    await world.run()
    status, cause, _ = await said(world, SIZES)

    assert (status, "(fcm)" in cause) == ("warning", True)


async def test_alerts_that_show_nothing_were_meant_to_wake_the_app(world: World) -> None:
    await world.send("alice")
    await world.send("alice", alert=None, type="alert", apns={"raw": {"aps": {"content-available": 1}}})
    await world.run()
    status, cause, fix = await said(world, TYPES)

    assert status == "warning"
    assert cause.startswith("Of the last 2 pushes, 1 was sent as an alert with nothing to show")
    assert '"type": "background"' in fix


async def test_data_for_android_wakes_the_app_whatever_its_type_is(world: World) -> None:
    """As chat messages of SIP are pushed: `wire.flexisip.payloads`."""
    await world.android()
    await world.device("android-1", "bob", "fcm:token")
    await world.send("bob", alert=None, type="alert", fcm={"raw": {"android": {"data": {"call-id": "1"}}}})
    await world.run()

    assert (await said(world, TYPES))[0] == "ok"


async def test_background_pushes_with_something_to_show_were_meant_to_be_seen(world: World) -> None:
    await world.send("alice", alert=None, type="background", apns={"raw": {"aps": {"alert": "hello"}}})
    await world.run()
    status, cause, fix = await said(world, TYPES)

    assert status == "warning"
    assert cause == "Of the last push, 1 was sent as a background push with something to show, which nobody sees."
    assert "`alert`" in fix


async def test_a_broadcast_is_looked_at_as_one_push(world: World) -> None:
    await world.device("ios-2", "bob", "apns:b1")
    await world.send(to={"everyone": True}, title="x" * 3600)
    await world.run()

    status, cause, _ = await said(world, SIZES)
    assert (status, "the largest of the last push has 3" in cause) == ("warning", True)
    assert (await said(world, TYPES))[1].startswith("Of the last push: 1 alert.")


async def test_types_that_fit_are_counted(world: World) -> None:
    await world.send("alice")
    await world.send("alice", title="again")
    await world.send("alice", alert=None, data={"n": 1})
    await world.run()
    status, cause, _ = await said(world, TYPES)

    assert (status, cause.startswith("Of the last 3 pushes: 2 alert, 1 background.")) == ("ok", True)


async def test_content_that_is_not_kept_cannot_be_judged_and_says_so() -> None:
    world = await World().open(AppSettings(keep_content=False))
    await world.device("ios-1", "alice", "apns:a1")
    await world.send("alice")
    await world.run()
    await world.later(5)

    assert [(await said(world, name))[0] for name in (SIZES, TYPES)] == ["skipped", "skipped"]


async def test_browsers_have_a_limit_of_their_own(world: World) -> None:
    await world.vapid()
    await world.device("web-1", "wendy", "webpush:https://push.example.org/1 key auth")
    await world.send("wendy", title="x" * 100)
    await world.run()
    status, cause, _ = await said(world, SIZES)

    assert (status, "of 3993 bytes (webpush)" in cause) == ("ok", True)
