"""A gateway that lives through anything: on either store, killed and started again, with ports that fail when told to."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from stories.clock import FakeClock
from stories.post import Office, Post
from stories.world import Disk, request, submission
from storing import Store, sqlite_store
from wakeline.config import Limits, Settings
from wakeline.model.app import App
from wakeline.model.credential import Credential, CredentialKind, CredentialSecret
from wakeline.model.device import DeviceClaim, Recipient, TargetClaim, TargetKind
from wakeline.model.errors import StoreUnavailable, WakelineError
from wakeline.model.notification import Counts, Notification
from wakeline.model.outcome import Outcome
from wakeline.model.route import Environment, ProviderKind
from wakeline.pipeline import Parts, Pipeline, Taken
from wakeline.pipeline.feed import FRESH
from wakeline.ports import NewCredential, Replayed, Shipment
from wakeline.service.ids import KeyMaker
from wakeline.service.receipt_signing import ReceiptSigner
from wakeline.storage.memory import MemoryStore
from wakeline.storage.sealing import Sealer
from webhook_listener import Listener

PORTS = ("acceptance", "queue", "ledger", "events", "devices", "credentials", "routes")


class Flaky:
    """A port of which the next call by a name fails, before anything was done."""

    def __init__(self, port: object, armed: Counter[str]) -> None:
        self._port = port
        self._armed = armed

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._port, name)
        if not self._armed[name]:
            return member

        async def fails(*_: Any, **__: Any) -> Any:
            raise StoreUnavailable(f"{name} fails this time")

        self._armed[name] -= 1
        return fails


class WatchedPost(Post):
    """A push service that notes what promise a request or an answer may break."""

    def __init__(self, kind: ProviderKind, life: Life) -> None:
        super().__init__(kind)
        self.life = life

    def open(self, *arguments: Any) -> Office:
        office = super().open(*arguments)
        send = office.send

        def watched(shipment: Shipment) -> None:
            for place, recipient in enumerate(shipment.recipients):
                self.life.saw(shipment.notification_of(place), recipient)
            on_results = shipment.on_results

            def noted(answered: Shipment, accepted: Sequence[int], others: list[tuple[int, Outcome]]) -> None:
                self.life.answered.update(
                    (shipment.notification_of(place).key, shipment.recipients[place].target) for place in accepted
                )
                on_results(answered, accepted, others)

            shipment.on_results = noted
            send(shipment)

        office.send = watched  # type: ignore[method-assign]  # the office is ours, and each is watched
        return office


class Life:
    """What a caller was promised, what a push service saw, and the gateway between them."""

    def __init__(self, folder: Path | None) -> None:
        self.clock = FakeClock()
        self.folder = folder
        self.store: Store = MemoryStore(self.clock, Sealer(b"k" * 32))
        self.armed: Counter[str] = Counter()
        self.disk = Disk()
        self.apple = WatchedPost(ProviderKind.APNS, self)
        self.google = WatchedPost(ProviderKind.FCM, self)
        self.settings = Settings(limits=Limits(alert_per_hour=600, alert_burst=5))
        self.ids = KeyMaker(self.clock.now, 0)
        self.app: App
        self.pipeline: Pipeline
        self.keys: list[int] = []
        self.replies: dict[str, tuple[bytes, bytes]] = {}
        self.owner: dict[str, str] = {}
        self.meant: dict[int, frozenset[str]] = {}
        self.answered: set[tuple[int, int]] = set()
        """Accepted by a push service and not written yet: (notification, target)."""
        self.done: set[tuple[int, int]] = set()
        self.cancelled: set[int] = set()
        self.broken: list[str] = []
        """Promises that a push service saw broken."""

    async def begin(self) -> None:
        await self._open()
        self.app = await self.store.apps.create("acme", "Acme", self.clock.now())
        await self.credential(CredentialKind.APNS_KEY)
        await self.credential(CredentialKind.FCM_SERVICE_ACCOUNT)

    async def _open(self) -> None:
        if self.folder is not None:
            self.store = sqlite_store(self.folder, cast("Any", self.clock))
        await self.store.open()
        self.ids = KeyMaker(self.clock.now, await self.store.ledger.newest())
        ports = {name: Flaky(getattr(self.store, name), self.armed) for name in PORTS}
        self.pipeline = Pipeline(
            Parts(
                **cast("Any", ports),
                idempotency=self.store.idempotency,
                apps=self.store.apps,
                brakes=self.store.brakes,
                portal_access=self.store.portal_access,
                portal_events=self.store.portal_events,
                portal_calls=self.store.portal_calls,
                event_inbox=self.store.event_inbox,
                outbox=self.store.outbox,
                sip_bindings=self.store.sip_bindings,
                sip_messages=self.store.sip_messages,
                endpoints=self.store.endpoints,
                receipts=self.store.receipts,
                webhook_sender=Listener(),
                silence=self.store.silence,
                facts=self.store.settings,
                keeper=self.disk,
                providers={ProviderKind.APNS: self.apple, ProviderKind.FCM: self.google},
                clock=self.clock,
                ids=self.ids,
                entropy=lambda: 0.5,
                receipt_token=ReceiptSigner(Sealer(b"k" * 32)).token,
                settings=self.settings,
            )
        )
        await self.store.queue.rescue()

    async def crash(self) -> None:
        """Lose everything that is only in memory."""
        self.armed.clear()
        self.answered.clear()
        for chore in self.pipeline.settle._chores:
            chore.close()
        for post in (self.apple, self.google):
            post.offices.clear()
        if self.folder is not None:
            await self.store.close()
        await self._open()

    async def end(self) -> None:
        await self.store.close()
        if self.folder is not None:
            shutil.rmtree(self.folder)

    # --- what callers and operators do

    async def credential(self, kind: CredentialKind, *, replace: int | None = None) -> Credential:
        apple = kind is CredentialKind.APNS_KEY
        both = (Environment.PRODUCTION, Environment.SANDBOX)
        facts = Credential(
            id=0, app=self.app.id, kind=kind, topics=() if apple else ("acme-1",), environments=both if apple else ()
        )
        new = NewCredential(facts=facts, secret=CredentialSecret(kind=kind, private_key=b"a key"))
        if replace is not None:
            return await self.store.credentials.replace(replace, new, self.clock.now())
        return await self.store.credentials.create(new, self.clock.now())

    async def device(self, name: str, user: str, *, tags: tuple[str, ...] = ()) -> None:
        kind = TargetKind.FCM if name.startswith("a") else TargetKind.APNS
        target = TargetClaim(kind=kind, value=name, topic="" if kind is TargetKind.FCM else "com.acme")
        claim = DeviceClaim(
            app=self.app.id, device_id=name, users=(user,), targets=(target,), at=self.clock.now(), tags=tags
        )
        await self.store.devices.put([claim])
        self.owner[name] = user
        self.clock.advance(FRESH + 0.001)  # sums of seconds are rounded

    async def forget(self, name: str) -> None:
        await self.store.devices.delete(self.app.id, name)
        self.owner[name] = ""
        self.clock.advance(FRESH + 0.001)  # sums of seconds are rounded

    async def send(self, to: dict[str, Any], *, key: str = "", **fields: Any) -> int | None:
        """Send, and hold the gateway to its answer; None if it was not taken."""
        body = request(to=to, **fields)
        try:
            [taken] = await self.pipeline.accept.accept(self.app, [submission(body, key)])
        except StoreUnavailable:
            return None
        return self._took(taken, body, key)

    async def send_together(self, *asked: tuple[dict[str, Any], str]) -> None:
        """Send a batch of (body, idempotency key), and hold the gateway to each answer; in one commit they share parcels."""
        try:
            answers = await self.pipeline.accept.accept(self.app, [submission(body, key) for body, key in asked])
        except StoreUnavailable:
            return
        for taken, (body, key) in zip(answers, asked, strict=True):
            self._took(taken, body, key)

    def _took(self, taken: Taken | Replayed | WakelineError, body: dict[str, Any], key: str) -> int | None:
        if isinstance(taken, Replayed):
            first, reply = self.replies[key]
            assert (msgspec.json.encode(body), taken.reply.body) == (first, reply)
            return None
        if isinstance(taken, WakelineError):
            return None
        assert not self.keys or taken.key > self.keys[-1], "keys grow, whatever the clock does"
        assert key not in self.replies, "the same request was taken twice"
        if key:
            self.replies[key] = msgspec.json.encode(body), str(taken.key).encode()
        self.keys.append(taken.key)
        if set(body["to"]) <= {"users"}:
            self.meant[taken.key] = frozenset(body["to"]["users"])
        elif set(body["to"]) <= {"devices"}:
            self.meant[taken.key] = self.holders(body["to"]["devices"])
        return taken.key

    def holders(self, devices: Sequence[str]) -> frozenset[str]:
        """Return who has these phones now."""
        return frozenset(self.owner[name] for name in devices)

    async def cancel(self, key: int) -> None:
        try:
            await self.pipeline.cancel(self.app, key)
        except StoreUnavailable:
            return
        self.cancelled.add(key)

    # --- what happens

    async def step(self, *, answers: bool = True) -> bool:
        """Let each loop have a turn; what the store refuses is tried again, as the loops do it."""
        busy = False
        for turn in (self.pipeline.dispatch.turn, self.pipeline.fanout.turn):
            try:
                self.pipeline.watch.refresh()
                busy |= await turn()
            except WakelineError:
                busy = True
        if answers:
            busy |= self.apple.deliver()
            busy |= self.google.deliver()
        return busy

    async def flush(self) -> bool:
        settle = self.pipeline.settle
        if settle.idle:
            return False
        kept = await settle.flush()
        if kept and settle.idle:
            self.done |= self.answered
            self.answered.clear()
        return kept

    async def rest(self, turns: int = 400) -> None:
        """Let everything happen that can happen now."""
        for _ in range(turns):
            if not (await self.step() | await self.flush()):
                return
        raise AssertionError("it never comes to rest")

    async def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await self.pipeline.maintain.tick()

    def saw(self, notification: Notification, recipient: Recipient) -> None:
        """Judge a request as the push service gets it; whoever sends survives what is raised here, so it is remembered."""
        key, token = notification.key, recipient.value
        if (key, recipient.target) in self.done:
            self.broken.append("what was accepted and written is sent again")
        if notification.expires <= self.clock.now():
            self.broken.append("something is sent after its time")
        if key in self.meant and self.owner[token] not in self.meant[key]:
            self.broken.append("a push reaches another user")
        if key in self.cancelled:
            self.broken.append("what was cancelled is sent")

    # --- what is promised

    async def observe(self, key: int) -> tuple[Notification, Counts]:
        """Look at a notification as a caller would, and see that it adds up."""
        now = self.clock.now()
        known = await self.store.ledger.notification(key)
        assert known is not None, "what was accepted is kept"
        counts = await self.store.ledger.counts(key, now)
        assert adds_up(known.recipients, msgspec.structs.asdict(counts)), (known.recipients, counts)
        page = await self.store.ledger.deliveries(key, now=now, limit=10_000)
        assert len(page.deliveries) == known.recipients
        states = Counter(delivery.state.value for delivery in page.deliveries)
        shown = msgspec.structs.asdict(counts)
        pending = states.pop("queued", 0) + states.pop("sending", 0) + states.pop("unknown", 0)
        assert pending == shown.pop("pending")
        assert {state: number for state, number in shown.items() if number} == dict(states)
        return known, counts


def adds_up(recipients: int, counts: dict[str, int]) -> bool:
    """Tell whether every delivery is counted in exactly one state; acknowledged and opened are counted in accepted, too."""
    apart = {name: number for name, number in counts.items() if name not in {"acknowledged", "opened"}}
    return sum(apart.values()) == recipients and min(apart.values()) >= 0
