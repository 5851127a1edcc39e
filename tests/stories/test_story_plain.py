"""The plain way of a push, and the doors that are closed early."""

from __future__ import annotations

import msgspec
import pytest

from stories.post import DOWN
from stories.world import World, request, submission
from wakeline.model.delivery import DeliveryState
from wakeline.model.errors import IdempotencyMismatch, InvalidRequest, NoCredential, Overloaded, PayloadTooLarge
from wakeline.model.event import EventType
from wakeline.pipeline import Taken
from wakeline.ports import Replayed

pytestmark = pytest.mark.anyio


async def test_a_push_goes_out_and_is_accounted_for(world: World) -> None:
    await world.device("phone", "ann")
    key = await world.send("ann", title="hi")
    assert (await world.counts(key)).pending == 1
    await world.run()
    assert [(sent.token, sent.title) for sent in world.apple.sent] == [("phone", "hi")]
    assert (await world.counts(key)).accepted == 1
    assert (await world.delivery(key)).state is DeliveryState.ACCEPTED
    [event] = await world.events(EventType.PUSH_ACCEPTED)
    assert (event.app, event.data.device, event.data.users) == ("acme", "phone", ("ann",))
    assert len(await world.events(EventType.NOTIFICATION_COMPLETED)) == 1


async def test_every_device_of_a_user_gets_it_once(world: World) -> None:
    await world.android()
    await world.device("phone", ("ann", "bob"))
    await world.device("tablet", "ann", "fcm:tablet")
    key = await world.send("ann", "bob", to={"users": ["ann", "bob"], "devices": ["phone"]})
    await world.run()
    assert world.apple.tokens() == ["phone"]
    assert world.google.tokens() == ["tablet"]
    assert (await world.counts(key)).accepted == 2


async def test_a_call_takes_the_voip_token_and_an_alert_the_other(world: World) -> None:
    await world.device("phone", "ann", "apns:alert", "apns-voip:voip")
    await world.call("ann")
    await world.send("ann")
    await world.run()
    assert world.apple.tokens() == ["voip", "alert"]


async def test_an_unknown_user_is_told_of_and_nothing_fails(world: World) -> None:
    [taken] = await world.submit(request("nobody"))
    assert isinstance(taken, Taken)
    assert taken.recipients == 0
    [event] = await world.events(EventType.PUSH_SKIPPED)
    assert event.data.users == ("nobody",)
    assert event.data.outcome is not None
    assert event.data.outcome.reason == "unknown_user"
    assert len(await world.events(EventType.NOTIFICATION_COMPLETED)) == 1


async def test_a_device_without_a_credential_fails_alone(world: World) -> None:
    await world.device("phone", "ann")
    await world.device("android", "ann", "fcm:android")
    key = await world.send("ann")
    await world.run()
    counts = await world.counts(key)
    assert (counts.accepted, counts.failed) == (1, 1)
    [failed] = [item for item in await world.deliveries(key) if item.state is DeliveryState.FAILED]
    assert (failed.code, failed.device_id) == (901, "android")


async def test_nobody_can_be_served_is_an_error(world: World) -> None:
    await world.device("android", "ann", "fcm:android")
    [error] = await world.submit(request("ann"))
    assert isinstance(error, NoCredential)
    assert error.pointer == "/to"


@pytest.mark.parametrize("users", [1, 501])
async def test_a_caller_without_a_word_for_it_has_the_failures_kept_if_nobody_can_be_served(
    world: World, users: int
) -> None:
    await world.device("android", "ann", "fcm:android")
    asked = submission(request("ann", *(f"user {number}" for number in range(1, users))))
    [taken] = await world.pipeline.accept.accept(world.app, [msgspec.structs.replace(asked, keeps_unserved=True)])
    assert isinstance(taken, Taken)
    await world.run()
    assert (await world.counts(taken.key)).failed == 1
    assert (await world.delivery(taken.key)).code == 901


async def test_a_batch_takes_the_good_and_names_the_bad(world: World) -> None:
    await world.device("phone", "ann")
    answers = await world.submit(
        request("ann"),
        request("ann", ttl=-1),
        {"to": {}, "alert": {"title": "x"}},
        request("ann", alert={"title": "x", "body": "y" * 5000}),
    )
    assert [type(answer) for answer in answers] == [Taken, InvalidRequest, InvalidRequest, PayloadTooLarge]
    pointers = [answer.pointer for answer in answers if isinstance(answer, InvalidRequest)]
    assert pointers == ["/ttl", "/to", "/alert/body"]
    await world.run()
    assert len(world.apple.sent) == 1


async def test_an_idempotent_twin_rings_once(world: World) -> None:
    await world.device("phone", "ann")
    [first] = await world.submit(request("ann"), key="k1")
    assert isinstance(first, Taken)
    [again] = await world.submit(request("ann"), key="k1")
    assert isinstance(again, Replayed)
    assert again.reply.body == str(first.key).encode()
    [other] = await world.submit(request("ann", title="other"), key="k1")
    assert isinstance(other, IdempotencyMismatch)
    await world.run()
    assert len(world.apple.sent) == 1


async def test_twins_in_one_batch_share_one_result(world: World) -> None:
    await world.device("phone", "ann")
    first, second = await world.submit(request("ann"), request("ann"), key="k1")
    assert isinstance(first, Taken)
    assert isinstance(second, Replayed)


async def test_low_disk_refuses_callers_and_claims_nothing_but_still_settles(world: World) -> None:
    await world.device("phone", "ann")
    world.apple.answers = False
    sent, waits = await world.send("ann"), 0
    await world.run()
    world.disk.low = True
    await world.later(2)
    [refused] = await world.submit(request("ann"))
    assert isinstance(refused, Overloaded)
    assert refused.retry_after
    world.disk.low = False
    waits = await world.send("ann")
    world.disk.low = True
    world.apple.answers = True
    await world.run()
    assert (await world.counts(sent)).accepted == 1
    assert (await world.counts(waits)).pending == 1
    world.disk.low = False
    await world.later(2)
    assert (await world.counts(waits)).accepted == 1


async def test_results_survive_a_commit_that_fails(world: World) -> None:
    await world.device("phone", "ann")
    key = await world.send("ann")
    world.queue.broken = True
    for _ in range(5):
        await world.step()
    second = await world.send("ann")
    await world.step()
    assert len(world.apple.sent) == 1
    assert world.pipeline.condition().failing
    world.queue.broken = False
    await world.run()
    assert (await world.counts(key)).accepted == 1
    assert (await world.counts(second)).accepted == 1


async def test_badges_count_up_once_a_notification(world: World) -> None:
    await world.device("phone", "ann")
    world.apple.to_token["phone"].append(DOWN)
    await world.send("ann", alert={"title": "a", "badge": "+1"})
    await world.later(120)
    await world.send("ann", alert={"title": "b", "badge": "+1"})
    await world.run()
    assert [sent.badge for sent in world.apple.sent] == [1, 1, 2]


async def test_a_badge_is_counted_once_although_the_gateway_restarts_between_two_attempts(world: World) -> None:
    await world.device("phone", "ann")
    world.apple.to_token["phone"].append(DOWN)
    await world.send("ann", alert={"title": "a", "badge": "+1"})
    await world.run()
    world.restarted()
    await world.later(120)
    assert [sent.badge for sent in world.apple.sent] == [1, 1]
