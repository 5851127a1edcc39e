"""Lives of Web Push: each push service is a route of its own, and none of them speaks for the key or for the others."""

from __future__ import annotations

import pytest

from stories.post import NO_ANSWER
from stories.world import World
from wakeline.config import Providers, Settings, WebPush
from wakeline.model.credential import CredentialKind, CredentialState
from wakeline.model.delivery import DeliveryState
from wakeline.model.device import TargetKind, TargetState
from wakeline.model.event import EventType
from wakeline.model.route import HoldReason, Lane, ProviderKind, Route
from wakeline.wire.outcomes import webpush

pytestmark = pytest.mark.anyio

MOZILLA, GOOGLE, HOME = (
    "https://updates.push.services.mozilla.com",
    "https://fcm.googleapis.com",
    "https://push.home.example:8443",
)
MISMATCH = webpush(400, b'{"reason":"VapidPkHashMismatch"}')
REFUSED = webpush(403, b'{"reason":"BadJwtToken"}')
ACCEPTED, FAILED, HELD = DeliveryState.ACCEPTED, DeliveryState.FAILED, DeliveryState.HELD


def at(origin: str, name: str = "1") -> str:
    return f"{origin}/wp/{name} key secret"


async def routes(world: World) -> dict[str, Route]:
    return {route.topic: route for route in world.store.routes.all() if route.provider is ProviderKind.WEBPUSH}


async def state(world: World, key: int) -> DeliveryState:
    return (await world.delivery(key)).state


async def test_a_browser_is_reached_by_the_apps_vapid_key(world: World) -> None:
    vapid = await world.vapid()
    await world.device("laptop", "ann", f"webpush:{at(MOZILLA)}")
    key = await world.send("ann", title="Hi")
    await world.run()
    assert await state(world, key) is ACCEPTED
    [sent] = world.web.sent
    assert (sent.token, sent.credential, sent.title) == (at(MOZILLA), vapid.id, "Hi")
    assert set(await routes(world)) == {MOZILLA}


async def test_a_phone_with_an_app_and_a_browser_is_reached_once_by_its_app(world: World) -> None:
    await world.vapid()
    await world.device("phone", "ann", "apns:phone", f"webpush:{at(MOZILLA)}")
    await world.send("ann")
    await world.run()
    assert (world.apple.tokens(), world.web.tokens()) == (["phone"], [])


async def test_a_call_rings_a_browser_in_the_lane_of_calls(world: World) -> None:
    await world.vapid()
    await world.device("laptop", "ann", f"webpush:{at(MOZILLA)}")
    key = await world.call("ann")
    await world.run()
    notification = await world.store.ledger.notification(key)
    assert notification is not None
    assert notification.lane is Lane.CALL
    assert await state(world, key) is ACCEPTED


async def test_a_subscription_that_is_gone_retires_and_the_other_of_the_user_is_sent_to(world: World) -> None:
    await world.vapid()
    await world.device("old", "ann", f"webpush:{at(MOZILLA, 'old')}")
    await world.device("new", "ann", f"webpush:{at(MOZILLA, 'new')}")
    world.web.to_token[at(MOZILLA, "old")].append(webpush(410, b'{"errno":105}'))
    await world.send("ann")
    await world.run()
    assert (await world.target("old", TargetKind.WEBPUSH)).state is TargetState.RETIRED
    assert (await world.target("new", TargetKind.WEBPUSH)).state is TargetState.ACTIVE
    assert [event.data.device for event in await world.events(EventType.TARGET_RETIRED)] == ["old"]


async def test_a_subscription_of_another_key_fails_with_912_and_stays(world: World) -> None:
    await world.vapid()
    await world.device("laptop", "ann", f"webpush:{at(MOZILLA)}")
    world.web.to_token[at(MOZILLA)].append(MISMATCH)
    key = await world.send("ann")
    await world.run()
    delivery = await world.delivery(key)
    assert (delivery.state, delivery.code) == (FAILED, 912)
    assert (await world.target("laptop", TargetKind.WEBPUSH)).state is TargetState.ACTIVE
    assert (await routes(world))[MOZILLA].hold is None


async def test_a_push_service_that_is_silent_holds_no_other(world: World) -> None:
    await world.vapid()
    for number in range(12):
        token = at(HOME, str(number))
        await world.device(f"home-{number}", f"user-{number}", f"webpush:{token}")
        world.web.to_token[token] += [NO_ANSWER] * 50
    await world.device("laptop", "ann", f"webpush:{at(MOZILLA)}")
    for number in range(12):
        await world.send(f"user-{number}")
    await world.run()
    await world.later(30)
    found = await routes(world)
    hold = found[HOME].hold
    assert hold is not None
    assert hold.reason is HoldReason.BREAKER
    key = await world.send("ann")
    await world.run()
    assert await state(world, key) is ACCEPTED


async def test_a_push_service_that_refuses_the_key_is_held_and_tells_nothing_about_the_key_elsewhere(
    world: World,
) -> None:
    vapid = await world.vapid()
    await world.device("box", "bob", f"webpush:{at(HOME)}")
    await world.device("laptop", "ann", f"webpush:{at(MOZILLA)}")
    world.web.to_token[at(HOME)].append(REFUSED)
    waiting = await world.send("bob")
    await world.run()
    assert await state(world, waiting) is HELD
    hold = (await routes(world))[HOME].hold
    assert hold is not None
    assert (hold.reason, hold.code) == (HoldReason.CREDENTIAL, 904)
    kept = world.store.credentials.get(vapid.id)
    assert kept is not None
    assert kept.state is not CredentialState.FAILED
    key = await world.send("ann")
    await world.run()
    assert await state(world, key) is ACCEPTED
    [told] = await world.events(EventType.CREDENTIAL_FAILED)
    assert told.data.outcome is not None
    assert told.data.outcome.code == 904


async def test_a_push_service_that_takes_the_key_again_gets_what_waited(world: World) -> None:
    await world.vapid()
    await world.device("box", "bob", f"webpush:{at(HOME)}")
    world.web.to_token[at(HOME)].append(REFUSED)
    key = await world.send("bob")
    await world.run()
    await world.later(700, step=10)
    assert await state(world, key) is ACCEPTED


async def test_without_a_vapid_key_a_browser_gets_901_and_a_phone_beside_it_is_reached(world: World) -> None:
    await world.device("laptop", "ann", f"webpush:{at(MOZILLA)}")
    await world.device("phone", "ann")
    key = await world.send("ann")
    await world.run()
    states = {delivery.kind: (delivery.state, delivery.code) for delivery in await world.deliveries(key)}
    assert states == {"apns": (ACCEPTED, 0), "webpush": (FAILED, 901)}


async def test_phones_cannot_make_routes_without_end(world: World) -> None:
    few = World(Settings(providers=Providers(webpush=WebPush(max_origins=3))))
    await few.open()
    await few.vapid()
    for number in range(5):
        await few.device(f"d{number}", "ann", f"webpush:{at(f'https://push{number}.example')}")
    await few.device("chrome", "ann", f"webpush:{at(GOOGLE)}")
    key = await few.send("ann")
    await few.run()
    deliveries = await few.deliveries(key)
    assert sorted(delivery.state for delivery in deliveries) == [ACCEPTED] * 4 + [FAILED] * 2
    assert {delivery.reason for delivery in deliveries if delivery.state is FAILED} == {"too_many_origins"}
    assert len(await routes(few)) == 4
    assert GOOGLE in await routes(few)


async def test_what_browsers_do_not_know_does_not_go_to_them(world: World) -> None:
    await world.vapid()
    await world.device("laptop", "ann", f"webpush:{at(MOZILLA)}")
    [answer] = await world.submit(
        {"to": {"targets": [{"kind": "webpush", "value": "x"}]}, "type": "mdm", "apns": {"payload": {"mdm": "x"}}}
    )
    assert "mdm cannot go to a target of kind webpush" in str(answer)


async def test_a_vapid_key_that_was_replaced_for_good_is_not_undone_by_those_who_subscribed_before(
    world: World,
) -> None:
    vapid = await world.vapid()
    await world.device("laptop", "ann", f"webpush:{at(MOZILLA)}")
    await world.send("ann")
    await world.run()
    new = await world.credential(CredentialKind.VAPID_KEY, replace=vapid.id, public_key="Q")
    await world.store.credentials.forget_former(new.id)
    world.web.to_token[at(MOZILLA)] += [MISMATCH] * 3
    for _ in range(3):
        await world.send("ann")
        await world.run()
    kept = world.store.credentials.get(vapid.id)
    assert kept is not None
    assert kept.public_key == "Q"


async def test_many_who_subscribed_with_another_key_close_no_brake_for_those_who_did_not(world: World) -> None:
    await world.vapid()
    for number in range(40):
        token = at(MOZILLA, f"old{number}")
        await world.device(f"old-{number}", f"user-{number}", f"webpush:{token}")
        world.web.to_token[token].append(MISMATCH)
        await world.send(f"user-{number}")
    await world.run()
    assert (await routes(world))[MOZILLA].hold is None
    assert (await world.target("old-7", TargetKind.WEBPUSH)).state is TargetState.ACTIVE
    await world.device("new", "ann", f"webpush:{at(MOZILLA, 'new')}")
    key = await world.send("ann")
    await world.run()
    assert await state(world, key) is ACCEPTED


async def test_many_subscriptions_that_have_ended_are_retired_and_hold_nothing(world: World) -> None:
    await world.vapid()
    for number in range(40):
        token = at(MOZILLA, f"old{number}")
        await world.device(f"old-{number}", f"user-{number}", f"webpush:{token}")
        world.web.to_token[token].append(webpush(410) if number % 2 else webpush(404, b'{"errno":102}'))
        await world.send(f"user-{number}")
    await world.run()
    assert (await routes(world))[MOZILLA].hold is None
    states = {(await world.target(f"old-{number}", TargetKind.WEBPUSH)).state for number in range(40)}
    assert states == {TargetState.RETIRED}
