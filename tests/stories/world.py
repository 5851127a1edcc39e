"""A gateway in memory that goes on step by step: no task, no sleep, no network."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from stories.clock import FakeClock
from stories.post import Post
from wakeline.config import Settings
from wakeline.model.app import App, AppSettings
from wakeline.model.credential import Credential, CredentialKind, CredentialSecret
from wakeline.model.delivery import Delivery
from wakeline.model.device import Device, DeviceClaim, Target, TargetClaim, TargetKind
from wakeline.model.errors import StoreUnavailable, WakelineError
from wakeline.model.event import Event, EventType
from wakeline.model.notification import Counts, NotificationRequest
from wakeline.model.route import Environment, ProviderKind
from wakeline.pipeline import Parts, Pipeline, Submission, Taken
from wakeline.ports import Due, IdempotencyKey, NewCredential, Replayed, Reply, Settlement, StoreHealth
from wakeline.service.ids import KeyMaker
from wakeline.service.receipt_signing import ReceiptSigner
from wakeline.storage.memory import MemoryStore
from wakeline.storage.memory.queue import MemoryQueue
from wakeline.storage.sealing import Sealer
from webhook_listener import Listener

BOTH = (Environment.PRODUCTION, Environment.SANDBOX)


class Disk:
    """A disk that can be full."""

    def __init__(self) -> None:
        self.low = False
        self.unreadable = False

    def health(self) -> StoreHealth:
        if self.unreadable:
            raise ValueError("statvfs said something new")
        return StoreHealth(writable=True, low_disk=self.low)

    async def checkpoint(self) -> None:
        """Nothing to fold."""


class FragileQueue(MemoryQueue):
    """A queue whose commits can fail."""

    broken = False
    interruptions = 0

    async def due(self, now: int) -> list[Due]:
        if self.interruptions:
            self.interruptions -= 1
            raise asyncio.CancelledError
        return await super().due(now)

    async def settle(self, settlement: Settlement) -> None:
        if self.broken:
            raise StoreUnavailable("the disk is full")
        await super().settle(settlement)


class World:
    def __init__(self, settings: Settings | None = None) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock, Sealer(b"k" * 32))
        self.queue = FragileQueue(self.store.queue._books, self.store.queue._noting)
        self.apple = Post(ProviderKind.APNS)
        self.google = Post(ProviderKind.FCM)
        self.web = Post(ProviderKind.WEBPUSH)
        self.disk = Disk()
        self.listener = Listener()
        self.ids = KeyMaker(self.clock.now, 0)
        self.settings = settings or Settings()
        self.pipeline = self.restarted()
        self.app: App

    def restarted(self) -> Pipeline:
        """Return a new gateway on the same store, as after a crash."""
        self.parts = Parts(
            acceptance=self.store.acceptance,
            idempotency=self.store.idempotency,
            queue=self.queue,
            ledger=self.store.ledger,
            events=self.store.events,
            devices=self.store.devices,
            apps=self.store.apps,
            credentials=self.store.credentials,
            routes=self.store.routes,
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
            webhook_sender=self.listener,
            silence=self.store.silence,
            facts=self.store.settings,
            keeper=self.disk,
            providers={ProviderKind.APNS: self.apple, ProviderKind.FCM: self.google, ProviderKind.WEBPUSH: self.web},
            clock=self.clock,
            ids=self.ids,
            entropy=lambda: 0.5,
            receipt_token=ReceiptSigner(Sealer(b"k" * 32)).token,
            settings=self.settings,
        )
        self.pipeline = Pipeline(self.parts)
        return self.pipeline

    async def open(self, settings: AppSettings | None = None) -> World:
        self.app = await self.store.apps.create("acme", "Acme", self.clock.now())
        if settings is not None:
            await self.change_app(settings=settings)
        await self.credential()
        return self

    async def change_app(self, **changes: Any) -> None:
        self.app = await self.store.apps.update(self.app.id, **changes)

    # --- what an operator sets up

    async def credential(
        self, kind: CredentialKind = CredentialKind.APNS_KEY, *, replace: int | None = None, **facts: Any
    ) -> Credential:
        values = {"topics": (), "environments": BOTH} | facts
        new = NewCredential(
            facts=Credential(id=0, app=self.app.id, kind=kind, **values),
            secret=CredentialSecret(kind=kind, private_key=b"a key"),
        )
        if replace is not None:
            return await self.store.credentials.replace(replace, new, self.clock.now())
        return await self.store.credentials.create(new, self.clock.now())

    async def android(self) -> Credential:
        return await self.credential(CredentialKind.FCM_SERVICE_ACCOUNT, topics=("acme-1",), environments=())

    async def vapid(self) -> Credential:
        return await self.credential(CredentialKind.VAPID_KEY, environments=(Environment.PRODUCTION,), public_key="P")

    async def device(
        self, device_id: str, user: str | Sequence[str], *targets: str, tags: Sequence[str] = (), **claim: Any
    ) -> Device:
        """Register a device; a target is written `kind:token`, `kind:token@sandbox` or `kind:token/topic`."""
        users = (user,) if isinstance(user, str) else tuple(user)
        values = DeviceClaim(
            app=self.app.id,
            device_id=device_id,
            users=users,
            targets=tuple(_target(text) for text in targets or (f"apns:{device_id}",)),
            at=self.clock.now(),
            tags=tuple(tags),
            **claim,
        )
        [registered] = await self.store.devices.put([values])
        return registered.device

    # --- what callers do

    async def submit(self, *requests: dict[str, Any], key: str = "") -> list[Taken | Replayed | WakelineError]:
        return await self.pipeline.accept.accept(self.app, [submission(request, key) for request in requests])

    async def send(self, *users: str, title: str = "hello", **fields: Any) -> int:
        """Send an alert (or what `fields` say) to users and return its key."""
        [taken] = await self.submit(request(*users, title=title, **fields))
        assert isinstance(taken, Taken), taken
        return taken.key

    async def call(self, *users: str, **fields: Any) -> int:
        return await self.send(*users, alert=None, call={"id": "c1", "caller": "Bob"}, **fields)

    # --- time

    async def run(self) -> None:
        """Let everything happen that can happen now."""
        for _ in range(10_000):
            if not await self.step():
                wait = self.pipeline.dispatch.next()
                if wait is None or wait > 0.25:
                    return
                self.clock.advance(max(wait, 0.001))
        raise AssertionError("it never comes to rest")

    async def step(self) -> bool:
        self.pipeline.watch.refresh()
        busy = await self.pipeline.dispatch.turn()
        busy |= await self.pipeline.fanout.turn()
        monotonic = self.clock.monotonic()
        busy |= self.apple.deliver(monotonic)
        busy |= self.google.deliver(monotonic)
        busy |= self.web.deliver(monotonic)
        if not self.pipeline.settle.idle:
            busy |= await self.pipeline.settle.flush()
        return busy

    async def later(self, seconds: float, *, step: float = 1.0) -> None:
        """Let time pass, with everything that happens meanwhile; in jumps of at least `step` seconds."""
        end = self.clock.monotonic() + seconds
        while (left := end - self.clock.monotonic()) > 0:
            coming = [self.pipeline.dispatch.next(), self.pipeline.fanout.next(), await self.pipeline.maintain.tick()]
            wait = max(step, min(wait for wait in coming if wait is not None))
            self.clock.advance(min(wait, left))
            await self.run()
        await self.pipeline.maintain.tick()
        await self.run()

    # --- what can be seen

    async def counts(self, key: int) -> Counts:
        return await self.store.ledger.counts(key, self.clock.now())

    async def deliveries(self, key: int) -> list[Delivery]:
        page = await self.store.ledger.deliveries(key, now=self.clock.now(), limit=5000)
        return list(page.deliveries)

    async def delivery(self, key: int) -> Delivery:
        [one] = await self.deliveries(key)
        return one

    async def target(self, device_id: str, kind: TargetKind = TargetKind.APNS) -> Target:
        device = await self.store.devices.get(self.app.id, device_id)
        assert device is not None
        return next(target for target in device.targets if target.kind is kind)

    async def events(self, *types: EventType) -> list[Event]:
        return await self.store.events.read(after=0, types=frozenset(types) or None, limit=100_000)


def request(*users: str, title: str = "hello", **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"to": {"users": users}, "alert": {"title": title}} | fields
    return {name: value for name, value in body.items() if value is not None}


def submission(body: dict[str, Any], key: str = "") -> Submission:
    idempotency = IdempotencyKey(scope="k", key=key, fingerprint=msgspec.json.encode(body)) if key else None
    return Submission(request=msgspec.convert(body, NotificationRequest), idempotency=idempotency, reply=_reply)


def _reply(taken: Taken) -> Reply:
    return Reply(status=202, body=str(taken.key).encode())


def _target(text: str) -> TargetClaim:
    kind, _, rest = text.partition(":")
    if kind == TargetKind.WEBPUSH:
        return TargetClaim(kind=TargetKind.WEBPUSH, value=rest, topic="/".join(rest.split("/")[:3]))
    rest, _, topic = rest.partition("/")
    value, _, environment = rest.partition("@")
    return TargetClaim(
        kind=TargetKind(kind),
        value=value,
        environment=Environment(environment or "production"),
        topic="" if kind == "fcm" else topic or "com.acme",
    )
