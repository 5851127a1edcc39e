"""The promises, whatever happens: random lives on either store, with crashes, failing commits and clocks that jump."""

from __future__ import annotations

import asyncio
import contextlib
import math
import tempfile
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from stories.lives import Life
from stories.post import BAD_TOKEN, DOWN, OK, REVOKED, unregistered
from wakeline.model.credential import CredentialKind
from wakeline.model.errors import StoreUnavailable
from wakeline.model.event import EventType
from wakeline.wire.outcomes import Loss, apns, fcm, lost

USERS = ("ann", "bob", "carl")
DEVICES = ("i0", "i1", "i2", "i3", "a0", "a1", "a2")

FRAGILE = (
    "accept",
    "settle",
    "step",
    "judge",
    "claim",
    "notifications",
    "recipients",
    "hold",
    "append",
    "chunks",
    "walk",
)
"""Methods of ports that fail now and then."""

ANSWERS = (
    OK,
    DOWN,
    BAD_TOKEN,
    unregistered(since=1),
    lost(Loss.TIMEOUT),
    lost(Loss.REFUSED_STREAM),
    apns(429, "TooManyRequests"),
    apns(413, "PayloadTooLarge"),
)
GOOGLE = (
    OK,
    fcm(503, b"", 5.0),
    fcm(404, b'{"error":{"details":[{"errorCode":"UNREGISTERED"}]}}', None),
    fcm(429, b"", 20.0),
)


class Lives(RuleBasedStateMachine):
    """Everything that callers, operators, push services and machines may do."""

    lasting = False

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.life = Life(Path(tempfile.mkdtemp()) if self.lasting else None)
        self.sends = 0
        self.latest = 0
        """The latest time that the wall clock showed before it was set back."""

    def run(self, work: Awaitable[Any]) -> Any:
        async def wrapped() -> Any:
            return await work

        return self.runner.run(wrapped())

    @initialize(users=st.lists(st.sampled_from(USERS), min_size=len(DEVICES), max_size=len(DEVICES)))
    def begin(self, users: list[str]) -> None:
        self.run(self.life.begin())
        for name, user in zip(DEVICES, users, strict=True):
            self.run(self.life.device(name, user, tags=("beta",) if user == "ann" else ()))

    # --- callers

    @rule(users=st.sets(st.sampled_from(USERS), min_size=1), ttl=st.sampled_from([0, 5, 60, 3600]), badge=st.booleans())
    def alert(self, users: set[str], ttl: int, badge: bool) -> None:
        alert = {"title": "hello"} | ({"badge": "+1"} if badge else {})
        self.run(self.life.send({"users": sorted(users)}, ttl=ttl, alert=alert))

    @rule(user=st.sampled_from(USERS))
    def call(self, user: str) -> None:
        self.run(self.life.send({"users": [user]}, alert=None, call={"id": "c", "caller": "Bob"}))

    @rule(user=st.sampled_from(USERS))
    def collapsed(self, user: str) -> None:
        self.run(self.life.send({"users": [user]}, collapse_id="score"))

    @rule(to=st.sampled_from([{"everyone": True}, {"tags": ["beta"]}, {"tags": ["beta"], "users": ["bob", "carl"]}]))
    def broadcast(self, to: dict[str, Any]) -> None:
        self.run(self.life.send(to, ttl=600))

    @rule(key=st.sampled_from(["k1", "k2"]), user=st.sampled_from(USERS))
    def repeat(self, key: str, user: str) -> None:
        self.run(self.life.send({"users": [user]}, key=f"{key} {user}"))

    @precondition(lambda self: self.life.keys)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self.run(self.life.cancel(data.draw(st.sampled_from(self.life.keys))))

    @rule(name=st.sampled_from(DEVICES), user=st.sampled_from(USERS), claimed=st.booleans())
    def change_hands(self, name: str, user: str, claimed: bool) -> None:
        """Another user signs in while a push for the one before is under way."""
        if before := self.life.owner[name]:
            self.run(self.life.send({"users": [before]}))
        if claimed:
            self._wait_for_room()
        self.run(self.life.device(name, user))

    @rule(user=st.sampled_from(USERS))
    def think_better_of_it(self, user: str) -> None:
        """Cancel what is claimed and waits for room."""
        key = self.run(self.life.send({"users": [user]}))
        self._wait_for_room()
        if key is not None:
            self.run(self.life.cancel(key))

    def _wait_for_room(self) -> None:
        self.life.apple.capacity = 0
        self.run(self.life.step(answers=False))
        self.life.apple.capacity = 1000

    @rule(name=st.sampled_from(DEVICES))
    def remove(self, name: str) -> None:
        self.run(self.life.forget(name))

    # --- operators

    @rule(paused=st.booleans())
    def pause(self, paused: bool) -> None:
        self.life.app = self.run(self.life.store.apps.update(self.life.app.id, paused=paused))

    @rule()
    def release(self) -> None:
        with contextlib.suppress(StoreUnavailable):
            self.run(self.life.pipeline.release())

    @rule(kind=st.sampled_from([CredentialKind.APNS_KEY, CredentialKind.FCM_SERVICE_ACCOUNT]))
    def replace(self, kind: CredentialKind) -> None:
        old = [one.id for one in self.life.store.credentials.all() if one.kind is kind]
        self.run(self.life.credential(kind, replace=old[0] if old else None))

    @rule()
    def withdraw(self) -> None:
        for credential in self.life.store.credentials.all()[:1]:
            self.run(self.life.store.credentials.delete(credential.id))

    # --- push services

    @rule(name=st.sampled_from(DEVICES), data=st.data())
    def answers(self, name: str, data: st.DataObject) -> None:
        google = name.startswith("a")
        post = self.life.google if google else self.life.apple
        post.to_token[name].append(data.draw(st.sampled_from(GOOGLE if google else ANSWERS)))

    @rule(room=st.sampled_from([0, 2, 1000]), refuses=st.booleans())
    def provider(self, room: int, refuses: bool) -> None:
        self.life.apple.capacity = room
        self.life.apple.to_all = REVOKED if refuses else None
        self.life.apple.on_check = REVOKED if refuses else OK

    # --- machines

    @rule(turns=st.integers(1, 3), answers=st.booleans(), flush=st.booleans())
    def steps(self, turns: int, answers: bool, flush: bool) -> None:
        for _ in range(turns):
            self.run(self.life.step(answers=answers))
            if flush:
                self.run(self.life.flush())

    @rule(seconds=st.sampled_from([0.1, 1.0, 30.0, 700.0]))
    def time(self, seconds: float) -> None:
        self.run(self.life.pass_time(seconds))

    @rule(seconds=st.sampled_from([-3600.0, -1.0, 3600.0]))
    def jump(self, seconds: float) -> None:
        self.latest = max(self.latest, self.life.clock.now())
        self.life.clock.jump(seconds)

    @rule(low=st.booleans())
    def disk(self, low: bool) -> None:
        self.life.disk.low = low

    @rule(name=st.sampled_from(FRAGILE), times=st.integers(1, 2))
    def fail(self, name: str, times: int) -> None:
        self.life.armed[name] += times

    @rule()
    def crash(self) -> None:
        self.run(self.life.crash())

    # --- promises

    @invariant()
    def adds_up(self) -> None:
        self.run(self._adds_up())

    async def _adds_up(self) -> None:
        assert not self.life.broken
        for key in self.life.keys:
            await self.life.observe(key)

    def teardown(self) -> None:
        try:
            if self.life.keys:
                self.run(self._everything_ends())
        finally:
            self.run(self.life.end())
            self.runner.close()

    async def _everything_ends(self) -> None:
        """Once the troubles are over, nothing accepted is stuck, and each notification is completed once."""
        life = self.life
        life.armed.clear()
        life.disk.low = False
        for post in (life.apple, life.google):
            post.to_all, post.capacity, post.on_check = None, 1000, OK
            post.to_token.clear()
        life.app = await life.store.apps.update(life.app.id, paused=False)
        await life.pass_time(2.0)
        await life.pipeline.release()
        # What was put off by a clock that was set back since comes due once that clock is where it was.
        behind = max(0, self.latest - life.clock.now()) / 1000
        for _ in range(8 + math.ceil(behind / 3000.0)):
            await life.rest()
            await life.pass_time(3000.0)
        await life.rest()
        for key in life.keys:
            known, counts = await life.observe(key)
            assert (counts.pending, counts.held, counts.scheduled) == (0, 0, 0), (known, counts)
        assert await life.store.queue.pending() == 0
        assert not [depth for depth in await life.store.queue.depth() if depth.jobs or depth.leased]
        completed = await life.store.events.read(
            after=0, types=frozenset({EventType.NOTIFICATION_COMPLETED}), limit=10_000
        )
        assert len(completed) == len({event.data.notification for event in completed}) == len(life.keys)


class LastingLives(Lives):
    """The same on SQLite."""

    lasting = True


def _settings(examples: int, steps: int) -> settings:
    slow = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=slow,
        phases=(
            Phase.explicit,
            Phase.reuse,
            Phase.generate,
        ),  # shrinking such lives takes minutes, and the report is read well
    )


@pytest.mark.timeout(300)  # seconds of work, on a machine that may have others to do
@pytest.mark.parametrize(("lives", "examples"), [(Lives, 150), (LastingLives, 40)])
def test_the_promises_hold_whatever_happens(lives: type[RuleBasedStateMachine], examples: int) -> None:
    run_state_machine_as_test(lives, settings=_settings(examples, 30))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("lives", "examples"), [(Lives, 3000), (LastingLives, 400)])
def test_the_promises_hold_whatever_happens_for_long(lives: type[RuleBasedStateMachine], examples: int) -> None:
    run_state_machine_as_test(lives, settings=_settings(examples, 60))
