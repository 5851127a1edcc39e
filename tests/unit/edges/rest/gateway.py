"""A whole gateway in memory behind the REST edge: real pipeline, memory store, push services that answer as told."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import httpx2

from stories.post import Post
from unit.edges.rest.far_portals import FarPortals
from wakeline.config import Settings
from wakeline.edges.rest import RestApp, RestPorts, build
from wakeline.edges.rest.auth import new_key
from wakeline.edges.rest.ports import ConnectedParts, SipParts
from wakeline.model.credential import Credential, CredentialKind, CredentialSecret
from wakeline.model.errors import ConnectFailed, TransportError
from wakeline.model.key import ApiKey, Scope
from wakeline.model.route import Environment, ProviderKind
from wakeline.observe.health import Health, Phase
from wakeline.observe.metrics import Metrics
from wakeline.pipeline import Parts, Pipeline
from wakeline.ports import NewCredential
from wakeline.ports.probe import Answered
from wakeline.service.ids import KeyMaker
from wakeline.service.receipt_signing import ReceiptSigner
from wakeline.storage.memory import MemoryStore
from wakeline.storage.sealing import Sealer
from wakeline.transport import webhook_urls
from wakeline.wire.credential_file import Expectation, Inspection, inspect
from webhook_listener import Listener

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


class Outlook:
    """Hosts outside: each answers at 192.0.2.7, or fails or is silent as a test says; `ahead`: by how much our clock is."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.services: list[tuple[ProviderKind, str]] = []
        self.ahead: int | None = None
        self.failures: dict[str, TransportError] = {}
        self.silent: set[str] = set()
        self.ends: dict[tuple[str, int], int] = {}

    async def service(self, provider: ProviderKind, url: str) -> Answered:
        self.services.append((provider, url))
        place = urlsplit(url).netloc
        if place in self.silent:
            await asyncio.Event().wait()
        if place in self.failures:
            raise self.failures[place]
        return Answered(place=place, ahead=self.ahead)

    async def https(self, host: str) -> str:
        self.asked.append(host)
        if host in self.silent:
            await asyncio.Event().wait()
        if host in self.failures:
            raise self.failures[host]
        return "192.0.2.7"

    async def shown_until(self, host: str, port: int) -> int:
        if (host, port) not in self.ends:
            raise ConnectFailed(f"{host}:{port}: no connection")
        return self.ends[host, port]


class Gateway:
    """What a test holds: the parts, and callers with keys."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.clock = HandClock()
        self.sealer = Sealer(b"k" * 32)
        self.store = store = MemoryStore(self.clock, self.sealer)
        self.listener = Listener()
        self.posts = {kind: Post(kind) for kind in ProviderKind}
        self.settings = settings or Settings()
        self.probe = Outlook()
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
                brakes=store.brakes,
                portal_access=store.portal_access,
                portal_events=store.portal_events,
                portal_calls=store.portal_calls,
                event_inbox=store.event_inbox,
                outbox=store.outbox,
                sip_bindings=store.sip_bindings,
                sip_messages=store.sip_messages,
                endpoints=store.endpoints,
                receipts=store.receipts,
                webhook_sender=self.listener,
                silence=store.silence,
                facts=store.settings,
                keeper=store.keeper,
                providers=dict(self.posts),
                clock=self.clock,
                ids=KeyMaker(self.clock.now, 0),
                entropy=lambda: 0.5,
                receipt_token=ReceiptSigner(self.sealer).token,
                settings=self.settings,
            )
        )
        self.portals = FarPortals()
        self.ports = RestPorts(
            clock=self.clock,
            apps=store.apps,
            devices=store.devices,
            credentials=store.credentials,
            routes=store.routes,
            facts=store.settings,
            keys=store.api_keys,
            portal_keys=store.portal_keys,
            secrets=self.sealer,
            idempotency=store.idempotency,
            ledger=store.ledger,
            queue=store.queue,
            events=store.events,
            keeper=store.keeper,
            portal=store.portal_access,
            connected=ConnectedParts(
                installations=store.installations,
                rules=store.portal_rules,
                inbox=store.event_inbox,
                outbox=store.outbox,
                portals=self.portals,
            ),
            sip=SipParts(bindings=store.sip_bindings, messages=store.sip_messages, users=store.sip_users),
            endpoints=store.endpoints,
            judge_webhook=webhook_urls.judge,
            probe=self.probe,
            services=self.probe,
            pipeline=self.pipeline,
            settings=self.settings,
            health=self.health,
            metrics=Metrics(),
            inspect=inspect_here,
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


async def inspect_here(data: bytes, expectation: Expectation) -> Inspection:
    """Judge a file in this process."""
    return inspect(data, expectation)


def _client(app: Any) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://wakeline")


async def opened(settings: Settings | None = None) -> Gateway:
    """Return a gateway with an administrator's key."""
    gateway = Gateway(settings)
    gateway.admin = await gateway.key(Scope.ADMIN)
    return gateway
