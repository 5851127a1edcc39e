"""What may happen to a gateway: what callers, phones, operators, push services and machines do at random."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from random import Random
from typing import TYPE_CHECKING, Any

from stories.carrier import Mood
from stories.world import request
from wakeline.model.credential import CredentialKind
from wakeline.model.errors import StoreUnavailable
from wakeline.model.route import ProviderKind

if TYPE_CHECKING:
    from stories.seeded import SeededLife

USERS = ("ann", "bob", "carl", "dora")
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


class Happenings:
    """Things that happen to one life, as `chance` decides."""

    def __init__(self, life: SeededLife, chance: Random) -> None:
        self._life = life
        self._chance = chance

    def all(self) -> dict[str, Callable[[], Awaitable[Any]]]:
        """Return everything that may happen, by name."""
        return {
            "alert": self._alert,
            "call": self._call,
            "broadcast": self._broadcast,
            "burst": self._burst,
            "batch": self._batch,
            "repeat": self._repeat,
            "cancel": self._cancel,
            "another user": self._another_user,
            "new token": lambda: self._life.register(
                self._chance.choice(self._life.names), self._chance.choice(USERS), anew=True
            ),
            "forget": self._forget,
            "token dies": self._token_dies,
            "wrong environment": self._moves,
            "key breaks": self._key_breaks,
            "key swapped": self._swap,
            "key withdrawn": self._withdraw,
            "pause": self._pause,
            "release": self._release,
            "mood": self._mood,
            "room": self._room,
            "turns": self._turns,
            "time": self._time,
            "long time": lambda: self._life.pass_time(self._chance.choice((3600.0, 26 * 3600.0))),
            "clock set": self._clock_set,
            "disk": self._disk,
            "store fails": self._store_fails,
            "crash": self._life.crash,
            "restart": self._life.stop_and_start,
            "witness": self._life.witness,
        }

    async def _alert(self) -> None:
        users = self._chance.sample(USERS, self._chance.randint(1, 2))
        fields: dict[str, Any] = {"ttl": self._chance.choice((0, 5, 60, 3600, 86_400, 86_400))}
        if self._chance.random() < 0.2:
            fields["alert"] = {"title": "hello", "badge": "+1"}
        if self._chance.random() < 0.2:
            fields["collapse_id"] = "score"
        if self._chance.random() < 0.1:
            fields["on_unknown"] = "stop"
        await self._life.send({"users": sorted(users)}, **fields)

    async def _call(self) -> None:
        await self._life.send({"users": [self._chance.choice(USERS)]}, alert=None, call={"id": "c", "caller": "Bob"})

    async def _broadcast(self) -> None:
        audiences: list[dict[str, Any]] = [{"everyone": True}, {"tags": ["beta"]}, {"tags": ["beta"], "users": ["bob"]}]
        await self._life.send(self._chance.choice(audiences), ttl=self._chance.choice((60, 7200)))

    async def _burst(self) -> None:
        for _ in range(self._chance.randint(5, 25)):
            await self._alert()

    async def _batch(self) -> None:
        """Send to one phone each, most of them alike, so that they share parcels; some with a key, and twins among these."""
        chance, hour = self._chance, int(self._life.clock.monotonic()) // 3600
        ttl = chance.choice((5, 60, 3600, 86_400))
        asked = []
        for number in range(chance.randint(2, 30)):
            phone = chance.random() < 0.8
            to = {"devices": [chance.choice(self._life.names)]} if phone else {"users": [chance.choice(USERS)]}
            key = f"{hour} batch {number // 2} {to} {ttl}" if chance.random() < 0.2 else ""
            more: dict[str, Any] = {"collapse_id": "score"} if not key and chance.random() < 0.1 else {}
            if not key and chance.random() < 0.1:
                more["on_unknown"] = "stop"
            asked.append((request(to=to, ttl=ttl, **more), key))
        await self._life.send_together(*asked)

    async def _repeat(self) -> None:
        user = self._chance.choice(USERS)
        hour = int(self._life.clock.monotonic()) // 3600  # a key is remembered for a day
        await self._life.send({"users": [user]}, key=f"{hour} {self._chance.choice('xy')} {user}")

    async def _cancel(self) -> None:
        if self._life.keys:
            await self._life.cancel(self._chance.choice(self._life.keys[-10:]))

    async def _another_user(self) -> None:
        await self._life.register(self._chance.choice(self._life.names), self._chance.choice(USERS))

    async def _forget(self) -> None:
        name = self._chance.choice(self._life.names)
        await self._life.store.devices.delete(self._life.app.id, name)
        for token in [token for token, device in self._life.tokens.items() if device == name]:
            self._life.owner[token] = ""
        self._life.clock.advance(0.25)

    async def _token_dies(self) -> None:
        token = self._chance.choice(sorted(self._life.tokens))
        for carrier in self._life.carriers.values():
            if token in carrier.truth:
                # Apple may have known it for long, or may mean an installation before the present one.
                carrier.truth[token].dead = self._life.clock.now() - self._chance.choice((0, 1000, 10**9))

    async def _moves(self) -> None:
        """A build for the other environment is installed; or, seldom, all of them are: a wrong setting."""
        truths = self._life.carriers[ProviderKind.APNS].truth
        everybody = self._chance.random() < 0.3
        environment = self._chance.choice(("production", "sandbox", ""))
        for token in sorted(truths) if everybody else self._chance.sample(sorted(truths), 1):
            truths[token].environment = environment

    async def _key_breaks(self) -> None:
        for credential in self._life.store.credentials.of_app(self._life.app.id):
            if self._chance.random() < 0.5:
                self._life.carriers[credential.provider].bad_keys.add((credential.id, credential.revision))

    async def _swap(self) -> None:
        kind = self._chance.choice((CredentialKind.APNS_KEY, CredentialKind.FCM_SERVICE_ACCOUNT))
        there = [one for one in self._life.store.credentials.of_app(self._life.app.id) if one.kind is kind]
        if not there:
            await self._life.credential_of(self._life.app, kind)
            return
        old = self._chance.choice(there)
        new = await self._life.credential_of(self._life.app, kind, replace=old.id, environments=old.environments)
        if self._chance.random() < 0.3:
            self._life.carriers[new.provider].bad_keys.add((new.id, new.revision))

    async def _withdraw(self) -> None:
        """A key is deleted, and mostly uploaded again soon."""
        for credential in self._life.store.credentials.of_app(self._life.app.id)[:1]:
            await self._life.store.credentials.delete(credential.id)
            await self._turns()
            if self._chance.random() < 0.8:
                await self._life.credential_of(self._life.app, credential.kind, environments=credential.environments)

    async def _pause(self) -> None:
        self._life.app = await self._life.store.apps.update(self._life.app.id, paused=not self._life.app.paused)

    async def _release(self) -> None:
        with contextlib.suppress(StoreUnavailable):
            await self._life.pipeline.release()

    async def _mood(self) -> None:
        carrier = self._life.carriers[self._chance.choice(tuple(self._life.carriers))]
        bad = self._chance.random
        carrier.mood = Mood(
            lost=self._chance.choice((0, 0, 0.2, 0.8)),
            busy=self._chance.choice((0, 0, 0.2, 1.0)),
            slow=self._chance.choice((0, 0.3, 1.0)),
            twice=self._chance.choice((0, 0.3)),
            silent=bad() < 0.2,
        )

    async def _room(self) -> None:
        self._life.carriers[self._chance.choice(tuple(self._life.carriers))].capacity = self._chance.choice(
            (0, 2, 1000, 1000)
        )

    async def _turns(self) -> None:
        for _ in range(self._chance.randint(1, 8)):
            await self._life.step(answers=self._chance.random() < 0.8)
            if self._chance.random() < 0.7:
                await self._life.flush()

    async def _time(self) -> None:
        for _ in range(self._chance.randint(1, 4)):
            await self._life.pass_time(self._chance.choice((0.1, 0.5, 1.0, 10.0, 61.0, 700.0)))
            await self._life.step()
            await self._life.flush()

    async def _clock_set(self) -> None:
        self._life.clock.jump(self._chance.choice((-3600.0, -1.0, 1.0, 3600.0)))

    async def _disk(self) -> None:
        """The disk is full for some seconds."""
        self._life.disk.low = True
        for _ in range(3):
            await self._life.pass_time(1.0)
            await self._turns()
        self._life.disk.low = False
        await self._life.pass_time(1.0)

    async def _store_fails(self) -> None:
        self._life.armed[self._chance.choice(FRAGILE)] += self._chance.randint(1, 2)
