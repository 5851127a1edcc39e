"""Credentials that end, break or are switched off: what waits is kept, told of, and sent in order once they are repaired."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from stories.post import OK, REVOKED
from stories.world import World, request
from wakeline.model.credential import CredentialKind, CredentialState
from wakeline.model.delivery import DeliveryState
from wakeline.model.device import TargetState
from wakeline.model.event import EventType
from wakeline.model.notification import Counts
from wakeline.model.outcome import Outcome
from wakeline.model.route import Environment, HoldReason
from wakeline.pipeline import RouteStatus, Taken
from wakeline.pipeline.lanes import GRANT, SHARE
from wakeline.wire.outcomes import apns

pytestmark = pytest.mark.anyio

PHONES = 50
LONG = 86_400
ALERT: dict[str, Any] = {"ttl": LONG}
BACKGROUND: dict[str, Any] = {"type": "background", "alert": None, "ttl": LONG}
BULK: dict[str, Any] = {"priority": "low", "ttl": LONG}


async def phones(world: World, count: int = PHONES) -> None:
    for number in range(count):
        await world.device(f"p{number}", f"u{number}")


async def accept(world: World, count: int, **fields: Any) -> list[int]:
    """Accept so many pushes at once, each to one of the phones; return their keys in order."""
    taken = await world.submit(*(request(f"u{number % PHONES}", **fields) for number in range(count)))
    assert all(isinstance(one, Taken) for one in taken)
    return [one.key for one in taken if isinstance(one, Taken)]


async def backlog(world: World, alerts: int, backgrounds: int, bulk: int) -> tuple[list[int], list[int], list[int]]:
    """Accept pushes of three lanes, the lowest first."""
    low = await accept(world, bulk, **BULK)
    quiet = await accept(world, backgrounds, **BACKGROUND)
    loud = await accept(world, alerts, **ALERT)
    return loud, quiet, low


async def counted(world: World, keys: list[int]) -> Counter[str]:
    """Count the deliveries of these notifications by state."""
    found: Counter[str] = Counter()
    for key in keys:
        counts = await world.counts(key)
        found.update({name: getattr(counts, name) for name in Counts.__struct_fields__ if getattr(counts, name)})
    return found


def status(world: World, topic: str = "") -> RouteStatus:
    """Return the state of a route as `wakeline route list` and /v1/health show it."""
    [found] = [one for one in world.pipeline.routes() if topic in ("", one.route.topic)]
    return found


def in_lane_order(sent: list[int], lanes: tuple[list[int], list[int], list[int]]) -> bool:
    """Tell whether the better lane went first, with a twentieth for each other, and each lane in order of acceptance."""
    place = {key: at for at, key in enumerate(sent)}
    ordered = all([place[key] for key in lane] == sorted(place[key] for key in lane) for lane in lanes)
    loud, quiet, _ = lanes
    beside = (1 + 3 * SHARE) * len(loud) + 3 * GRANT
    return ordered and place[loud[-1]] < beside and place[quiet[-1]] < len(sent)


# --- a certificate that ends


def at(hour: int, minute: int = 0) -> int:
    """Return a time of the day on which the clock starts, Unix ms."""
    return round(datetime(2026, 11, 18, hour, minute, tzinfo=UTC).timestamp() * 1000)


async def until(world: World, moment: int) -> None:
    await world.later((moment - world.clock.now()) / 1000, step=900)


async def test_a_certificate_expires_at_noon_and_ten_thousand_wait_for_its_successor(world: World) -> None:
    await world.store.credentials.delete(1)
    facts: dict[str, Any] = {"topics": ("com.acme", "com.acme.voip"), "environments": (Environment.PRODUCTION,)}
    old = await world.credential(CredentialKind.APNS_CERTIFICATE, not_after=at(12), **facts)
    await phones(world)
    await world.device("voip", "zoe", "apns-voip:voip")
    await until(world, at(11, 58))
    world.apple.capacity = 0
    lanes = await backlog(world, 6_000, 2_000, 2_000)
    keys = [key for lane in lanes for key in lane]
    await until(world, at(12, 1))
    world.apple.capacity = 1000
    await until(world, at(12, 30))

    assert not world.apple.sent
    assert await counted(world, keys) == {"held": 10_000}
    hold = status(world, "com.acme").hold
    assert hold is not None
    assert (hold.reason, hold.code) == (HoldReason.CREDENTIAL, 903)
    assert "certificate" in hold.cause
    assert hold.fix
    [told] = await world.events(EventType.CREDENTIAL_EXPIRED)
    assert (told.data.credential, bool(told.data.note)) == (old.id, True)

    ring = await world.call("zoe")
    await world.run()
    refused = await world.delivery(ring)
    assert (refused.state, refused.code) == (DeliveryState.FAILED, 903)

    await until(world, at(14))
    assert len(await world.events(EventType.CREDENTIAL_EXPIRED)) == 1
    await world.credential(CredentialKind.APNS_CERTIFICATE, replace=old.id, not_after=at(23), **facts)
    await world.later(10)
    assert await counted(world, keys) == {"accepted": 10_000}
    sent = [one.notification for one in world.apple.sent]
    assert sorted(sent) == sorted(keys), "each exactly once"
    assert in_lane_order(sent, lanes)
    assert {target.state for target in [await world.target(f"p{number}") for number in range(PHONES)]} == {
        TargetState.ACTIVE
    }


# --- a key that is refused, and no older one to go back to


async def at_a_thousand_a_second(world: World, seconds: float) -> list[int]:
    """Accept ten pushes every ten milliseconds; what was sent is answered when its time has come."""
    keys: list[int] = []
    end = world.clock.monotonic() + seconds
    while world.clock.monotonic() < end:
        first = len(keys)
        taken = await world.submit(*(request(f"u{number % PHONES}") for number in range(first, first + 10)))
        keys += [one.key for one in taken if isinstance(one, Taken)]
        while await world.step():
            pass
        world.clock.advance(0.01)
    return keys


@pytest.mark.parametrize(
    ("reason", "code", "said"),
    [
        pytest.param("InvalidProviderToken", 904, "signature", id="the key was revoked, or its team is another"),
        pytest.param("BadEnvironmentKeyIdInToken", 905, "environment", id="the key is for the sandbox"),
        pytest.param("Forbidden", 904, "does not allow", id="the key lacks the right to push"),
    ],
)
async def test_a_key_refused_at_a_thousand_a_second_holds_its_route_and_changes_no_token(
    world: World, reason: str, code: int, said: str
) -> None:
    await phones(world)
    await world.device("voip", "zoe", "apns-voip:voip")
    world.apple.latency = 0.05
    keys = await at_a_thousand_a_second(world, 0.5)
    tokens = [await world.target(f"p{number}") for number in range(PHONES)]
    refusal = apns(403, reason)
    world.apple.to_credential[1], world.apple.on_check = refusal, refusal
    keys += await at_a_thousand_a_second(world, 1.0)

    refused = {key for key in keys if (await world.delivery(key)).reason == reason}
    assert 0 < len(refused) <= 60, "what was in flight for 50 ms, and nothing more goes out once one was refused"
    assert len(world.apple.sent) < 560
    states = await counted(world, keys)
    assert (states["accepted"], states["held"]) == (
        len(world.apple.sent) - len(refused),
        len(keys) - states["accepted"],
    )
    hold = status(world, "com.acme").hold
    assert hold is not None
    assert (hold.reason, hold.code) == (HoldReason.CREDENTIAL, code)
    [told] = await world.events(EventType.CREDENTIAL_FAILED)
    assert told.data.outcome is not None
    assert said in told.data.outcome.cause
    assert told.data.outcome.cause.count(". ") == 0, "one sentence"
    ring = await world.call("zoe")
    await world.run()
    assert (await world.delivery(ring)).code == code

    world.apple.on_check = OK
    await world.credential(replace=1)
    del world.apple.to_credential[1]
    await world.later(5)
    assert await counted(world, keys) == {"accepted": len(keys)}
    assert [await world.target(f"p{number}") for number in range(PHONES)] == tokens
    taken = Counter(sent.notification for sent in world.apple.sent if sent.notification != ring)
    assert taken == {key: 2 if key in refused else 1 for key in keys}


# --- several keys


async def test_of_two_apps_with_a_key_for_each_topic_one_key_fails_and_the_others_go_on(world: World) -> None:
    await world.store.credentials.delete(1)
    first = world.app
    chat = await world.credential(topics=("com.acme",))
    shop = await world.credential(topics=("com.acme.shop",))
    sandbox = await world.credential(topics=("com.acme",), environments=(Environment.SANDBOX,))
    await world.device("phone", "ann")
    await world.device("till", "bob", "apns:till/com.acme.shop")
    await world.device("build", "carl", "apns:build@sandbox")
    second = world.app = await world.store.apps.create("other", "Other", world.clock.now())
    other = await world.credential(topics=("com.acme",))
    await world.device("tablet", "ann")
    world.apple.to_credential[chat.id] = world.apple.on_check = REVOKED

    keys: dict[str, int] = {}
    for app, users in ((first, ("ann", "bob", "carl")), (second, ("ann",))):
        world.app = app
        keys |= {f"{app.slug} {user}": await world.send(user) for user in users}
    await world.run()
    states = {name: (await world.delivery(key)).state.value for name, key in keys.items()}
    used = {(sent.token, sent.credential) for sent in world.apple.sent}
    held = [one.credential for one in world.pipeline.routes() if one.hold is not None]
    failed = [one.id for one in world.store.credentials.all() if one.state is CredentialState.FAILED]

    assert states == {"acme ann": "held", "acme bob": "accepted", "acme carl": "accepted", "other ann": "accepted"}
    assert used == {("phone", chat.id), ("till", shop.id), ("build", sandbox.id), ("tablet", other.id)}
    assert held == failed == [chat.id]
    world.app = first
    await world.credential(replace=chat.id, topics=("com.acme",))
    world.apple.to_credential.clear()
    await world.run()
    assert (await world.delivery(keys["acme ann"])).state is DeliveryState.ACCEPTED


# --- an app that is paused


async def test_a_paused_app_keeps_what_it_is_given_refuses_calls_and_goes_on_in_lane_order(world: World) -> None:
    await phones(world)
    await world.device("voip", "zoe", "apns-voip:voip")
    await world.change_app(paused=True)
    lanes = await backlog(world, 600, 200, 200)
    short = await accept(world, 20, ttl=60)
    ring = await world.call("zoe")
    await world.run()
    refused = await world.delivery(ring)
    await world.later(61)
    asked = [sent.notification for sent in world.apple.sent]
    ended = [await world.delivery(key) for key in short]
    outcomes = [event.data.outcome for event in await world.events(EventType.PUSH_EXPIRED)]

    assert not asked
    assert (refused.state, refused.code) == (DeliveryState.FAILED, 902)
    assert {(one.state, one.code) for one in ended} == {(DeliveryState.EXPIRED, 902)}
    assert len(outcomes) == 20
    assert all(isinstance(one, Outcome) and "paused" in one.cause for one in outcomes)
    assert await counted(world, [key for lane in lanes for key in lane]) == {"held": 1000}
    hold = status(world, "com.acme").hold
    assert hold is not None
    assert (hold.reason, hold.code) == (HoldReason.OPERATOR, 902)

    await world.change_app(paused=False)
    await world.later(2)
    sent = [one.notification for one in world.apple.sent]
    assert sorted(sent) == sorted(key for lane in lanes for key in lane)
    assert in_lane_order(sent, lanes)


async def test_a_development_certificate_alone_holds_what_is_for_production_until_there_is_another(
    world: World,
) -> None:
    [key] = world.store.credentials.of_app(world.app.id)
    await world.store.credentials.delete(key.id)
    certificate = CredentialKind.APNS_CERTIFICATE
    topics = ("com.acme", "com.acme.voip")
    await world.credential(certificate, topics=topics, environments=(Environment.SANDBOX,))
    await world.device("p1", "u1", "apns:p1/com.acme", "apns-voip:v1/com.acme")

    called, sent = await world.call("u1"), await world.send("u1", **ALERT)
    await world.run()

    [ringing] = await world.deliveries(called)
    [waiting] = await world.deliveries(sent)
    assert (ringing.state, ringing.code) == (DeliveryState.FAILED, 905)
    assert waiting.state is DeliveryState.HELD
    assert {status.hold.code for status in world.pipeline.routes() if status.hold is not None} == {905}
    assert not world.apple.sent

    await world.credential(certificate, topics=topics, environments=(Environment.PRODUCTION,))
    await world.run()

    [arrived] = await world.deliveries(sent)
    assert arrived.state is DeliveryState.ACCEPTED
    assert not [status for status in world.pipeline.routes() if status.hold is not None]


async def test_a_route_that_loses_its_credential_to_one_of_the_other_environment_waits(world: World) -> None:
    [key] = world.store.credentials.of_app(world.app.id)
    await world.credential(topics=("com.acme",), environments=(Environment.SANDBOX,))
    await world.device("p1", "u1", "apns:p1/com.acme")
    first = await world.send("u1", **ALERT)
    await world.run()
    await world.store.credentials.delete(key.id)
    await world.run()

    second = await world.send("u1", ttl=60)
    await world.run()
    [waiting] = await world.deliveries(second)
    assert (await world.deliveries(first))[0].state is DeliveryState.ACCEPTED
    assert waiting.state is DeliveryState.HELD
    await world.later(90, step=10)
    [late] = await world.deliveries(second)
    assert (late.state, late.code) == (DeliveryState.EXPIRED, 905)
