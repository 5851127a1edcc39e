"""A push service that goes silent: its own pushes wait and are sent when it answers again, and the other routes do not notice."""

from __future__ import annotations

from typing import Any

import pytest

from stories.post import Post
from stories.world import World
from wakeline.config import Limits, Settings
from wakeline.model.delivery import DeliveryState
from wakeline.model.event import EventType
from wakeline.model.route import HoldReason
from wakeline.pipeline.breaker import THRESHOLD
from wakeline.wire.outcomes import fcm

pytestmark = pytest.mark.anyio

LATENCY = 0.03
"""Seconds that a push service takes to answer."""

PERIOD = 0.25
"""Seconds between two arrivals on each route."""


class Traffic:
    """A steady stream of pushes to an iPhone and an Android phone, and how long each took."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.keys: dict[str, list[int]] = {"ann": [], "bob": []}
        self.began: dict[int, float] = {}
        world.apple.latency = world.google.latency = LATENCY

    async def flow(self, seconds: float, **to_google: Any) -> None:
        """Let a push arrive for each every `PERIOD`."""
        world = self.world
        for _ in range(round(seconds / PERIOD)):
            for user, fields in (("ann", {}), ("bob", to_google)):
                key = await world.send(user, **fields)
                self.keys[user].append(key)
                self.began[key] = world.clock.monotonic()
            for wait in (0.01, LATENCY, PERIOD - LATENCY - 0.01):
                await self._settle()
                world.clock.advance(wait)
            if len(self.began) % 20 == 0:
                await world.pipeline.maintain.tick()

    async def _settle(self) -> None:
        while await self.world.step():
            pass

    def waits(self, post: Post, since: int = 0) -> list[float]:
        """Return the seconds from acceptance to the first request, sorted; of the pushes from number `since` on."""
        first = {sent.notification: sent.at for sent in reversed(post.sent)}
        user = "ann" if post is self.world.apple else "bob"
        return sorted(first[key] - self.began[key] for key in self.keys[user][since:])


def p99(waits: list[float]) -> float:
    return waits[len(waits) * 99 // 100]


async def two_routes() -> World:
    world = await World(Settings(limits=Limits(per_user=False))).open()
    await world.android()
    await world.device("phone", "ann")
    await world.device("android", "bob", "fcm:android")
    return world


async def test_a_service_silent_for_five_minutes_slows_no_other_route_and_loses_nothing() -> None:
    world = await two_routes()
    traffic = Traffic(world)
    await traffic.flow(30)
    calm = len(traffic.keys["ann"])
    world.google.silent = True
    await traffic.flow(300)
    asked = len(world.google.sent)
    [silent] = [one for one in world.pipeline.routes() if one.hold is not None]
    hold = silent.hold
    world.google.silent = False
    await traffic.flow(10)
    await world.later(700, step=5)

    assert p99(traffic.waits(world.apple)) == p99(traffic.waits(world.apple, calm)) == 0.0
    assert [(await world.delivery(key)).tries for key in traffic.keys["ann"]] == [1] * len(traffic.keys["ann"])
    assert hold is not None
    assert (hold.reason, hold.code) == (HoldReason.BREAKER, 902)
    assert "The last of it: " in hold.cause
    states = [(await world.delivery(key)).state for key in traffic.keys["bob"]]
    assert states == [DeliveryState.ACCEPTED] * round(340 / PERIOD)
    assert asked < 1_000, "a silent service is asked only now and then"
    assert not await world.events(EventType.PUSH_FAILED, EventType.PUSH_EXPIRED, EventType.TARGET_QUARANTINED)


async def test_a_breaker_says_what_the_push_service_answered_last() -> None:
    world = await two_routes()
    world.google.to_all = fcm(503, b'{"error":{"status":"UNAVAILABLE"}}')
    for number in range(THRESHOLD):
        await world.device(f"android-{number}", f"user-{number}", f"fcm:token-{number}")
        await world.send(f"user-{number}")
    await world.run()
    [hold] = [one.hold for one in world.pipeline.routes() if one.hold is not None]

    assert hold.reason is HoldReason.BREAKER
    assert hold.cause.endswith("The last of it: 503 UNAVAILABLE.")
    assert "goes on by itself" in hold.fix


async def test_what_a_silent_service_lets_expire_says_so() -> None:
    world = await two_routes()
    traffic = Traffic(world)
    await traffic.flow(5)
    world.google.silent = True
    await traffic.flow(60, ttl=20)
    await world.later(30)

    late = [await world.delivery(key) for key in traffic.keys["bob"][round(5 / PERIOD) :]]
    assert {one.state for one in late} == {DeliveryState.EXPIRED, DeliveryState.FAILED}
    assert {one.code for one in late} == {902}, "the route was silent"
    told = await world.events(EventType.PUSH_EXPIRED, EventType.PUSH_FAILED)
    causes = {event.data.outcome.cause for event in told if event.data.outcome is not None}
    assert len(told) == len(late)
    assert all("answer" in cause or "ttl ends" in cause for cause in causes), causes
    assert p99(traffic.waits(world.apple)) == 0.0
