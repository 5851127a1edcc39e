"""A whole life of a gateway from one seed: random callers, phones, operators, push services and machines.

`Judge` says whether the promises were kept. The same seed is the same life, as long as the code is the same.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from random import Random
from typing import Any

from stories.carrier import Carrier, Mood, Truth
from stories.happenings import USERS, Happenings
from stories.judging import BrokenPromise, Judge
from stories.lives import Life
from stories.world import request, submission
from wakeline.config import Limits, Settings
from wakeline.model.app import App
from wakeline.model.credential import Credential, CredentialKind, CredentialSecret
from wakeline.model.device import DeviceClaim, TargetClaim, TargetKind
from wakeline.model.errors import StoreUnavailable, WakelineError
from wakeline.model.route import Environment, ProviderKind
from wakeline.pipeline import Taken
from wakeline.ports import NewCredential, Shipment

COMMON = {"alert": 3, "call": 4, "burst": 2, "batch": 3, "turns": 5, "time": 3}
"""What happens more often, and in every life."""
ACTIONS = 80
"""How many things happen in a life, about."""


class SeededLife(Life):
    """One life; `chance` decides everything."""

    def __init__(self, seed: int) -> None:
        super().__init__(None)
        self.chance = Random(seed)  # noqa: S311 - lives, not secrets
        limits = Limits(per_user=False) if self.chance.random() < 0.5 else Limits(alert_per_hour=600, alert_burst=5)
        self.settings = Settings(limits=limits)
        self.judge = Judge(self)
        self.carriers = {
            kind: Carrier(kind, self.clock, self.chance, self._requested, self.judge.told)
            for kind in (ProviderKind.APNS, ProviderKind.FCM)
        }
        # The same attributes as any life has: whoever opens, steps or ends it finds the services there.
        self.apple = self.carriers[ProviderKind.APNS]  # type: ignore[assignment]  # another stand-in of the same ports
        self.google = self.carriers[ProviderKind.FCM]  # type: ignore[assignment]  # the same
        self.neighbour: App
        self.names: list[str] = []
        self.tokens: dict[str, str] = {}
        """Which device a token belongs to."""
        self.log: list[str] = []
        self.crowded = self.chance.random() < 0.2

    # --- setting up

    async def begin(self) -> None:
        await super().begin()
        self.neighbour = await self.store.apps.create("next-door", "Next door", self.clock.now())
        for carrier in self.carriers.values():
            carrier.immune.add(self.neighbour.id)
        await self.credential_of(self.neighbour, CredentialKind.FCM_SERVICE_ACCOUNT)
        await self._device_of(self.neighbour, "witness", "eve", [TargetClaim(kind=TargetKind.FCM, value="witness")])
        for number in range(40 if self.crowded else 5):
            self.names.append(f"i{number}")
        self.names += [f"a{number}" for number in range(3)]
        for name in self.names:
            await self.register(name, self.chance.choice(USERS))
        if self.chance.random() < 0.3:
            await self.store.credentials.delete(1)
            for environment in (Environment.PRODUCTION, Environment.SANDBOX):
                await self.credential_of(self.app, CredentialKind.APNS_KEY, environments=(environment,))

    async def credential_of(
        self, app: App, kind: CredentialKind, *, replace: int | None = None, **facts: Any
    ) -> Credential:
        apple = kind is CredentialKind.APNS_KEY
        both = (Environment.PRODUCTION, Environment.SANDBOX)
        values: dict[str, Any] = {"topics": () if apple else ("acme-1",), "environments": both if apple else ()}
        new = NewCredential(
            facts=Credential(id=0, app=app.id, kind=kind, **(values | facts)),
            secret=CredentialSecret(kind=kind, private_key=b"a key"),
        )
        if replace is not None:
            return await self.store.credentials.replace(replace, new, self.clock.now())
        return await self.store.credentials.create(new, self.clock.now())

    async def _device_of(self, app: App, name: str, user: str, targets: list[TargetClaim]) -> None:
        claim = DeviceClaim(
            app=app.id,
            device_id=name,
            users=(user,),
            targets=tuple(targets),
            at=self.clock.now(),
            tags=("beta",) if user == "ann" else (),
        )
        await self.store.devices.put([claim])

    async def register(self, name: str, user: str, *, anew: bool = False) -> None:
        """Have a phone register; `anew`: with new tokens, as after a new installation."""
        if anew:
            self.tokens = {token: device for token, device in self.tokens.items() if device != name}
        known = [token for token, device in self.tokens.items() if device == name]
        token = known[0] if known else f"{name}.{self.chance.randrange(10**6)}"
        google = name.startswith("a")
        kinds = [TargetKind.FCM] if google else [TargetKind.APNS, TargetKind.APNS_VOIP]
        said = self.chance.choice(("production", "production", "production", "sandbox"))
        targets = []
        for kind in kinds:
            value = f"{token}v" if kind is TargetKind.APNS_VOIP else token
            self.tokens[value] = name
            if value not in self.carriers[kind.provider].truth:
                wrong = not google and self.chance.random() < 0.1
                environment = {"production": "sandbox", "sandbox": "production"}[said] if wrong else said
                self.carriers[kind.provider].truth[value] = Truth(environment="" if google else environment)
            topic = "" if google else "com.acme"
            targets.append(TargetClaim(kind=kind, value=value, topic=topic, environment=Environment(said)))
        await self._device_of(self.app, name, user, targets)
        self.owner.update({target.value: user for target in targets})
        self.clock.advance(0.25)

    def holders(self, devices: Sequence[str]) -> frozenset[str]:
        """Return who has these phones now; a phone has several tokens."""
        return frozenset(self.owner[token] for token, device in self.tokens.items() if device in devices)

    def _requested(self, shipment: Shipment, place: int) -> None:
        if shipment.notification.app == self.app.id:
            self.judge.requested(shipment, place)

    # --- turns

    async def step(self, *, answers: bool = True) -> bool:
        busy = False
        try:
            self.pipeline.watch.refresh()
            self.judge.turn_begins()
            busy |= await self.pipeline.dispatch.turn()
            self.judge.turn_ends()
            busy |= await self.pipeline.fanout.turn()
        except WakelineError:
            busy = True
        if answers:
            for carrier in self.carriers.values():
                busy |= carrier.deliver()
        return busy

    async def crash(self) -> None:
        await self._end_process(crashed=True)

    async def stop_and_start(self) -> None:
        """End the process as a signal does it, and start the next: what was answered until then is written."""
        self.armed.clear()
        for carrier in self.carriers.values():
            carrier.stopping = True
        await self.pipeline.stop(drain=5.0)
        for carrier in self.carriers.values():
            carrier.stopping = False
        self.done |= self.answered
        await self._end_process(crashed=False)

    async def _end_process(self, *, crashed: bool) -> None:
        self.judge.ended(crashed=crashed)
        await super().crash()
        await self.pipeline.table.standing.recall()

    # --- the random life

    async def live(self) -> None:
        """Live it, and see that everything ends well."""
        await self.begin()
        actions = Happenings(self, self.chance).all()
        weights = {name: self.chance.choice((0, 1, 1, 3)) * COMMON.get(name, 1) for name in actions}
        if self.crowded:
            weights |= {"broadcast": 4, "wrong environment": 3}
        weights |= {name: max(common, weights[name]) for name, common in COMMON.items()}
        names = list(actions)
        for number in range(ACTIONS):
            [name] = self.chance.choices(names, [weights[one] for one in names])
            self.log.append(name)
            await actions[name]()
            self.judge.services()
            if number % 20 == 19:
                await self.judge.store()
        await self.finish()

    async def witness(self) -> None:
        """Have the app next door send: whatever happens here, it is served at once."""
        limited = self.settings.limits.per_user  # eve would be told so, and rightly
        if limited or self.armed.total() or self.disk.low or not self.pipeline.dispatch.claims:
            return
        body = request(to={"users": ["eve"]}, ttl=60)
        [taken] = await self.pipeline.accept.accept(self.neighbour, [submission(body)])
        if isinstance(taken, WakelineError):
            return  # too much waits here: said early, and to everybody
        assert isinstance(taken, Taken)
        for _ in range(12):
            await self.step()
            await self.flush()
        counts = await self.store.ledger.counts(taken.key, self.clock.now())
        if counts.accepted != 1:
            raise BrokenPromise(f"3: the app next door waits: {counts}")

    # --- the end

    async def finish(self) -> None:
        """End the troubles, let time pass, and judge."""
        self.armed.clear()
        self.disk.low = False
        for carrier in self.carriers.values():
            carrier.mood, carrier.capacity = Mood(), 1000
            carrier.bad_keys.clear()
            for truth in carrier.truth.values():
                truth.environment = ""  # or the brake would close for ever, and rightly
        self.app = await self.store.apps.update(self.app.id, paused=False)
        await self.pass_time(2.0)
        await self.pipeline.release()
        await self.judge.repaired()
        for _ in range(12):
            await self.calm_down()
            await self.pass_time(1000.0)
            with contextlib.suppress(StoreUnavailable):
                await self.pipeline.release()
        for _ in range(9):
            await self.calm_down()
            await self.pass_time(10_000.0)
        await self.calm_down()
        await self.judge.end()

    async def calm_down(self) -> None:
        """Let everything happen that can happen now, with the little waits in between."""
        for _ in range(400):
            busy = await self.step() | await self.flush()
            if not busy:
                return
        raise BrokenPromise("1: it never comes to rest")


def live(seed: int) -> SeededLife:
    """Live the life of a seed. Raises BrokenPromise, or whatever broke."""
    life = SeededLife(seed)

    async def whole() -> None:
        try:
            await life.live()
        finally:
            await life.store.close()

    asyncio.run(whole())
    return life
