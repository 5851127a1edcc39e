"""Large audiences: walked in steps, 8 bytes a recipient, never in the way of a call."""

from __future__ import annotations

import pytest

from stories.post import BAD_TOKEN, DOWN, REVOKED
from stories.world import World, request
from wakeline.model.app import ApnsEnvironment, AppSettings
from wakeline.model.delivery import DeliveryState
from wakeline.model.errors import NoCredential
from wakeline.model.event import EventType
from wakeline.model.notification import PushType
from wakeline.model.route import Lane
from wakeline.pipeline import Taken

pytestmark = pytest.mark.anyio


async def crowd(world: World, count: int, *, tags: tuple[str, ...] = ()) -> None:
    for number in range(count):
        await world.device(f"p{number}", f"u{number}", tags=tags)


async def test_everyone_is_walked_and_counted(world: World) -> None:
    await crowd(world, 1200)
    [taken] = await world.submit(request(to={"everyone": True}))
    assert isinstance(taken, Taken)
    assert (taken.recipients, taken.estimate) == (None, 1200)
    await world.run()
    assert len(set(world.apple.tokens())) == len(world.apple.sent) == 1200
    counts = await world.counts(taken.key)
    assert (counts.accepted, counts.pending) == (1200, 0)
    assert len(await world.deliveries(taken.key)) == 1200
    assert len(await world.events(EventType.NOTIFICATION_COMPLETED)) == 1
    assert not await world.events(EventType.PUSH_ACCEPTED)


async def test_tags_and_names_reach_nobody_twice(world: World) -> None:
    await crowd(world, 20, tags=("beta",))
    await world.device("other", "olga")
    key = await world.send(to={"tags": ["beta"], "users": ["u3", "olga"], "devices": ["p3", "p4"]})
    await world.run()
    assert len(world.apple.sent) == 21
    assert (await world.counts(key)).accepted == 21


async def test_more_than_five_hundred_names_are_walked(world: World) -> None:
    await crowd(world, 700)
    users = [f"u{number}" for number in range(700)]
    [taken] = await world.submit(request(*users))
    assert isinstance(taken, Taken)
    assert taken.estimate == 700
    await world.run()
    assert len(set(world.apple.tokens())) == len(world.apple.sent) == 700
    assert (await world.counts(taken.key)).accepted == 700


async def test_a_bulk_recipient_that_fails_is_found_in_its_chunk(world: World) -> None:
    await crowd(world, 30)
    await world.change_app(settings=AppSettings(apns_environment=ApnsEnvironment.PRODUCTION))
    world.apple.to_token["p7"].append(DOWN)
    world.apple.to_token["p9"].append(BAD_TOKEN)
    key = await world.send(to={"everyone": True})
    await world.run()
    assert (await world.counts(key)).accepted == 28
    await world.later(120)
    states = {item.device_id: (item.state, item.tries, item.code) for item in await world.deliveries(key)}
    assert states["p7"] == (DeliveryState.ACCEPTED, 2, 0)
    assert states["p9"] == (DeliveryState.FAILED, 1, 911)
    assert states["p8"] == (DeliveryState.ACCEPTED, 1, 0)
    [failed] = await world.events(EventType.PUSH_FAILED)
    assert failed.data.device == "p9"


async def test_recipients_without_a_credential_are_counted_as_failed(world: World) -> None:
    await crowd(world, 3)
    for number in range(4):
        await world.device(f"a{number}", f"v{number}", f"fcm:a{number}")
    key = await world.send(to={"everyone": True})
    await world.run()
    counts = await world.counts(key)
    assert (counts.accepted, counts.failed) == (3, 4)
    codes = {item.device_id: item.code for item in await world.deliveries(key)}
    assert codes["a2"] == 901


async def test_an_app_without_any_credential_is_told_at_once(world: World) -> None:
    await world.store.credentials.delete(1)
    [error] = await world.submit(request(to={"everyone": True}))
    assert isinstance(error, NoCredential)


async def test_a_call_overtakes_a_broadcast(world: World) -> None:
    await crowd(world, 1500)
    await world.device("phone", "ann", "apns:alert", "apns-voip:voip")
    world.apple.capacity = 100
    await world.send(to={"everyone": True}, title="newsletter")
    for _ in range(6):
        await world.step()
    world.apple.answers = False
    await world.run()
    full = len(world.apple.sent)
    assert full < 1000
    await world.call("ann")
    await world.run()
    assert world.apple.sent[full].type is PushType.CALL
    assert len(world.apple.sent) == full + 1


async def test_alerts_go_before_bulk_and_bulk_is_not_starved(world: World) -> None:
    await crowd(world, 1000)
    world.apple.capacity = 50
    await world.send(to={"everyone": True}, title="bulk")
    for _ in range(5):
        await world.step()
    for number in range(1000):
        await world.send(f"u{number}", title="alert")
    start = len(world.apple.sent)
    for _ in range(20):
        await world.step()
    titles = [sent.title for sent in world.apple.sent[start:]]
    assert titles.count("alert") > 4 * titles.count("bulk")
    assert titles.count("bulk") >= len(titles) * 0.03


async def test_bulk_moves_when_every_turn_could_claim_nothing_but_alerts(world: World) -> None:
    """A sender that takes all it is given: it is the claiming that must not leave a lane out."""
    await crowd(world, 600)
    world.apple.capacity = 100_000
    await world.store.apps.update(world.app.id, paused=True)
    for number in range(3000):
        await world.send(f"u{number % 600}", title="alert")
    await world.send(to={"everyone": True}, title="bulk")
    await world.store.apps.update(world.app.id, paused=False)
    while len(world.apple.sent) < 2000:
        assert await world.step()
    titles = [sent.title for sent in world.apple.sent]
    assert titles.count("bulk") >= len(titles) * 0.03
    assert titles.count("alert") > 4 * titles.count("bulk")


async def test_a_held_route_does_not_stop_the_walk_for_the_others(world: World) -> None:
    await world.android()
    await crowd(world, 600)
    for number in range(600):
        await world.device(f"a{number}", f"v{number}", f"fcm:a{number}")
    world.apple.to_credential[1] = REVOKED
    key = await world.send(to={"everyone": True})
    await world.run()
    counts = await world.counts(key)
    assert (counts.accepted, counts.held) == (600, 600)
    world.apple.to_credential.clear()
    await world.credential(replace=1)
    await world.run()
    assert (await world.counts(key)).accepted == 1200


async def test_a_walk_can_be_cancelled(world: World) -> None:
    await crowd(world, 2500)
    world.apple.answers = False
    world.apple.capacity = 10
    key = await world.send(to={"everyone": True})
    for _ in range(2):
        await world.step()
    await world.pipeline.cancel(world.app, key)
    world.apple.answers = True
    await world.run()
    counts = await world.counts(key)
    assert counts.accepted == len(world.apple.sent) < 50
    assert counts.pending == 0
    assert len(await world.events(EventType.NOTIFICATION_COMPLETED)) == 1


async def test_a_walk_goes_on_after_a_restart_where_it_was(world: World) -> None:
    await crowd(world, 2500)
    key = await world.send(to={"everyone": True})
    await world.pipeline.fanout.turn()
    await world.store.queue.rescue()
    world.restarted()
    await world.run()
    assert len(set(world.apple.tokens())) == len(world.apple.sent) == 2500
    assert (await world.counts(key)).accepted == 2500


async def test_the_lane_follows_what_is_sent(world: World) -> None:
    await crowd(world, 1)
    bodies = [
        request("u0"),
        request("u0", priority="low"),
        request("u0", alert=None, data={"a": 1}),
        request(to={"everyone": True}),
    ]
    taken = [one.key for one in await world.submit(*bodies) if isinstance(one, Taken)]
    known = await world.store.ledger.notifications(taken)
    assert [known[key].lane for key in taken] == [Lane.ALERT, Lane.BULK, Lane.BACKGROUND, Lane.BULK]
