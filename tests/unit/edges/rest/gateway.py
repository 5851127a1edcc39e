"""A whole gateway in memory behind the REST edge: real pipeline, memory store, a push service that only keeps what it gets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2

from wakeline.config import Settings
from wakeline.edges.rest import RestApp, RestPorts, build
from wakeline.edges.rest.auth import new_key
from wakeline.model.credential import Credential, CredentialKind, CredentialSecret
from wakeline.model.device import Recipient
from wakeline.model.key import ApiKey, Scope
from wakeline.model.notification import Notification
from wakeline.model.outcome import Action, Outcome, OutcomeClass
from wakeline.model.route import Environment, ProviderKind, Route
from wakeline.observe.health import Health, Phase
from wakeline.observe.metrics import Metrics
from wakeline.pipeline import Pipeline
from wakeline.pipeline.parts import Parts
from wakeline.ports import NewCredential, Preview, SenderStats, Shipment
from wakeline.service.ids import KeyMaker
from wakeline.storage.memory import MemoryStore
from wakeline.storage.sealing import Sealer

START = 1_795_000_000_000
TOKEN = "ab" * 32


class HandClock:
    """A clock that goes on when told to."""

    def __init__(self) -> None:
        self.milliseconds = START

    def now(self) -> int:
        return self.milliseconds

    def monotonic(self) -> float:
        return self.milliseconds / 1000

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self.milliseconds += int(seconds * 1000)


class Keeping:
    """A push service that accepts everything, or answers what `answer` says, and keeps what it got."""

    def __init__(self, kind: ProviderKind, limit: int = 4096) -> None:
        self.kind = kind
        self.limit = limit
        self.sent: list[Shipment] = []
        self.answer: Outcome | None = None

    def open(
        self, route: Route, credential: Credential, secret: CredentialSecret, wake: Callable[[], None]
    ) -> KeepingSender:
        return KeepingSender(self)

    def preview(
        self, notification: Notification, route: Route, credential: Credential, recipient: Recipient, now: int
    ) -> Preview:
        body = (notification.content.alert or notification.content).__class__.__name__
        return Preview(
            method="POST",
            url="https://push.example/3/device/...",
            headers=(),
            body=body,
            size=len(body),
            limit=self.limit,
        )

    def size(self, notification: Notification) -> tuple[int, int, str]:
        alert = notification.content.alert
        return len(alert.body) if alert else 0, self.limit, "/alert/body"


class KeepingSender:
    def __init__(self, service: Keeping) -> None:
        self._service = service

    def room(self, *, call: bool = False) -> int:
        return 500

    def send(self, shipment: Shipment) -> None:
        self._service.sent.append(shipment)
        positions = list(range(len(shipment.recipients)))
        answer = self._service.answer
        if answer is None:
            shipment.on_results(shipment, positions, [])
        else:
            shipment.on_results(shipment, [], [(position, answer) for position in positions])

    async def check(self) -> Outcome:
        return self._service.answer or Outcome(
            outcome_class=OutcomeClass.ACCEPTED, action=Action.DONE, code=0, status=200
        )

    def stats(self) -> SenderStats:
        return SenderStats(connections=1)

    async def close(self, *, drain: float) -> None:
        return None


class Gateway:
    """What a test holds: the parts, and callers with keys."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.clock = HandClock()
        self.sealer = Sealer(b"k" * 32)
        self.store = store = MemoryStore(self.clock, self.sealer)
        self.services = {kind: Keeping(kind) for kind in ProviderKind}
        self.settings = settings or Settings()
        self.health = Health()
        self.health.phase = Phase.READY
        self.pipeline = Pipeline(
            Parts(
                acceptance=store.acceptance,
                idempotency=store.idempotency,
                queue=store.queue,
                ledger=store.ledger,
                events=store.events,
                devices=store.devices,
                apps=store.apps,
                credentials=store.credentials,
                routes=store.routes,
                facts=store.settings,
                keeper=store.keeper,
                providers=dict(self.services),
                clock=self.clock,
                ids=KeyMaker(self.clock.now, 0),
                entropy=lambda: 0.5,
                settings=self.settings,
            )
        )
        self.ports = RestPorts(
            clock=self.clock,
            apps=store.apps,
            devices=store.devices,
            credentials=store.credentials,
            routes=store.routes,
            keys=store.api_keys,
            secrets=self.sealer,
            idempotency=store.idempotency,
            ledger=store.ledger,
            queue=store.queue,
            events=store.events,
            keeper=store.keeper,
            pipeline=self.pipeline,
            settings=self.settings,
            health=self.health,
            metrics=Metrics(),
            heartbeat=0.02,
        )
        self.app: RestApp = build(self.ports)
        self.client = _client(self.app)
        self.admin = ""

    def serve(self, app: Any) -> None:
        """Put another application behind the client."""
        self.client = _client(app)

    async def key(self, *scopes: Scope, apps: tuple[str, ...] = (), expires: int | None = None) -> str:
        """Make an API key and return its text."""
        text, prefix, digest = new_key()
        key = ApiKey(
            id=0,
            name="",
            prefix=prefix,
            digest=digest,
            scopes=scopes,
            apps=apps,
            created=self.clock.now(),
            expires=expires,
        )
        await self.store.api_keys.create(key)
        return text

    async def call(
        self, method: str, path: str, *, key: str | None = None, headers: dict[str, str] | None = None, **more: Any
    ) -> httpx2.Response:
        """Ask, with the administrator's key unless told otherwise (an empty key: none)."""
        bearer = self.admin if key is None else key
        given = {"authorization": f"Bearer {bearer}"} if bearer else {}
        return await self.client.request(method, path, headers={**given, **(headers or {})}, **more)

    async def with_app(self, slug: str = "acme-chat") -> None:
        """Make an app with a key for each push service, and one device of user alice."""
        app = await self.store.apps.create(slug, slug, self.clock.now())
        for kind, topics in (
            (CredentialKind.APNS_KEY, ("com.acme.chat",)),
            (CredentialKind.FCM_SERVICE_ACCOUNT, ("acme",)),
        ):
            facts = Credential(
                id=0, app=app.id, kind=kind, environments=tuple(Environment), topics=topics, fingerprint=kind
            )
            secret = CredentialSecret(kind=kind, private_key=b"sealed")
            await self.store.credentials.create(NewCredential(facts=facts, secret=secret), self.clock.now())
        await self.call(
            "PUT",
            f"/v1/apps/{slug}/devices/ios-1",
            json={"user": "alice", "targets": [{"kind": "apns", "value": TOKEN, "topic": "com.acme.chat"}]},
        )


def _client(app: Any) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://wakeline")


async def opened(settings: Settings | None = None) -> Gateway:
    """Return a gateway with an administrator's key."""
    gateway = Gateway(settings)
    gateway.admin = await gateway.key(Scope.ADMIN)
    return gateway
