"""The only place that constructs storage, providers and transport, and joins them to the story and its edges.

    master key -> store -> ports -> Parts -> Pipeline -> RestPorts, Portal -> Mount, the application

Opening makes what is absent: the data directory (0700), the master key (0600), the store with its schema.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import msgspec
from starlette.types import ASGIApp

from wakeline.config import Bitrix24, Settings
from wakeline.config.rules import sqlite_path
from wakeline.edges import rest
from wakeline.edges.flexisip import FlexisipDoor
from wakeline.edges.mesibo import MesiboDoor
from wakeline.model.app import App
from wakeline.model.credential import Credential, CredentialSecret
from wakeline.model.errors import ConfigError, StoreBusy
from wakeline.model.route import ProviderKind
from wakeline.observe.event_log import EventLog
from wakeline.observe.health import Health
from wakeline.observe.metrics import Metrics
from wakeline.pipeline import Parts, Pipeline
from wakeline.ports import Clock, Provider
from wakeline.providers import PROVIDERS
from wakeline.providers.webhook import WebhookPost
from wakeline.service import admin_socket, master_key, warm
from wakeline.service.attention import Attention
from wakeline.service.clock import SystemClock
from wakeline.service.credential_directory.door import LocalDoor
from wakeline.service.credential_directory.watch import Watch
from wakeline.service.ids import KeyMaker
from wakeline.service.judging import Judge
from wakeline.service.master_key import MasterKey
from wakeline.service.portal import Portal
from wakeline.service.receipt_signing import ReceiptSigner
from wakeline.service.sip import SipEdge
from wakeline.storage.sqlite import SqliteStore
from wakeline.transport import webhook_urls
from wakeline.transport.apart_resolver import ApartResolver
from wakeline.transport.guard import Guard, system_resolver
from wakeline.transport.http import GuardedClient
from wakeline.transport.http_apart import ClientsApart
from wakeline.transport.probe import TlsProbe
from wakeline.transport.service_probe import PushServiceProbe

_PATIENCE = 10.0
"""Seconds to wait for a data directory that a command has, or that a starting gateway does not answer for yet."""

_TRY_AGAIN = 0.05

_WEBHOOK_REQUESTS = 1_000
"""Messages on their way to all endpoints together; each has its own limit, so that slow ones leave some for the others."""

_WEBHOOK_ANSWER = 16 * 1024
"""Bytes of an endpoint's answer that are read: nothing but its status counts."""


class Gateway:
    """All parts of one gateway, on an open store. `app` serves the API; nothing is sent before `start`."""

    def __init__(
        self, settings: Settings, store: SqliteStore, secrets: master_key.Keys, clock: Clock, newest: int
    ) -> None:
        self.settings = settings
        self._store = store
        self._port = 0
        self.health = Health()
        self._clock = clock
        self._clients = contextlib.AsyncExitStack()
        self._metrics = Metrics()
        self._event_log = EventLog(store.events, clock)
        self._parts = self._story_parts(store, secrets, newest)
        self._pipeline = Pipeline(self._parts)
        self._portal = Portal(settings, store, secrets, clock, pipeline=self._pipeline, metrics=self._metrics)
        self._clients.push_async_callback(self._portal.close)
        self.sip = SipEdge(
            settings,
            store,
            secrets,
            clock,
            pipeline=self._pipeline,
            journal=self._portal.connector,
            metrics=self._metrics,
        )
        self._parts.connected = self.sip.connected
        self._clients.push_async_callback(self.sip.stop)
        self._rest_ports = self._edge_ports(store, secrets)
        self._rest = rest.build(self._rest_ports)
        flexisip = FlexisipDoor(self._rest_ports)
        self._clients.push_async_callback(flexisip.close)
        mesibo = MesiboDoor(self._rest_ports)
        self._clients.push_async_callback(mesibo.close)
        self._app = self._portal.beside(self._rest, flexisip, mesibo)
        door = LocalDoor(self._rest)
        self._clients.push_async_callback(door.close)
        self._watch = Watch(
            lambda: self.settings, door, self._rest_ports.inspect, store.events, store.settings, self.health, clock
        )

    @property
    def app(self) -> ASGIApp:
        """Return what is served over HTTP as an ASGI application."""
        return self._app

    @property
    def hot(self) -> rest.HotRoute:
        """Return the route that a listener may serve without ASGI."""
        return self._rest.hot

    async def start(self) -> None:
        """Take over what the store holds, and begin to send. Raises as `SipEdge.start` does, and nothing is left running."""
        await asyncio.to_thread(warm.once, self.settings.providers)
        await self._event_log.begin()
        await self._pipeline.start()
        self._portal.connector.begin()
        try:
            await self.sip.start()
        except BaseException:
            await self.drain(0)
            raise

    def is_idle(self) -> bool:
        """Tell whether nobody waits for a push at this moment."""
        return self._pipeline.is_idle()

    async def drain(self, seconds: float) -> None:
        """Claim no more, wait for what is in flight, write it, give the rest back."""
        await self.sip.stop()
        await self._portal.connector.end()
        await self._pipeline.stop(drain=seconds)
        await self._event_log.end()

    def bound(self, port: int) -> None:
        """Know the port that is listened on: addresses that are given out name it where the settings leave it open."""
        self._port = port
        self.apply(self.settings)

    def apply(self, settings: Settings) -> None:
        """Put new settings in force: read at each use, but for the providers, which are built anew and swapped."""
        if self._port:
            host = settings.server.listen.rpartition(":")[0]
            server = msgspec.structs.replace(settings.server, listen=f"{host}:{self._port}")
            settings = msgspec.structs.replace(settings, server=server)
        providers = None if settings.providers == self.settings.providers else self._providers(settings)
        sender = None if settings.webhooks == self.settings.webhooks else self._webhook_sender(settings)
        self.sip.apply(settings)  # first, since it may refuse
        self._portal.apply(settings)
        if sender is not None:
            self._parts.webhook_sender = sender
        self.settings = settings
        self._rest_ports.settings = settings
        self._rest_ports.probe = _probe(settings.bitrix24)
        self._rest_ports.services = PushServiceProbe(settings.providers, system_resolver, self._clock)
        self._pipeline.apply(settings, providers)

    async def watch(self) -> None:
        """Keep what lies in the directory of credential files, until cancelled."""
        await self._watch.run()

    async def lend(self) -> list[tuple[App, Credential, CredentialSecret]]:
        """Return all credentials with their apps and secrets, for pushes of a command on its own. Raises SecretError."""
        known = self._parts.credentials
        apps = self._parts.apps.all()
        return [(app, one, await known.secret(one.id)) for app in apps for one in known.of_app(app.id)]

    async def close(self) -> None:
        """Write what is only in memory and close outbound connections; the store stays open."""
        await self._rest.close()
        await self._clients.aclose()

    def _story_parts(self, store: SqliteStore, secrets: master_key.Keys, newest: int) -> Parts:
        attention = Attention(store.events, store.endpoints, store.apps, self._clock)
        return Parts(
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
            webhook_sender=self._webhook_sender(self.settings),
            silence=store.silence,
            facts=store.settings,
            keeper=store.keeper,
            providers=self._providers(self.settings),
            clock=self._clock,
            ids=KeyMaker(self._clock.now, newest),
            entropy=random.SystemRandom().random,
            receipt_token=ReceiptSigner(secrets).token,
            settings=self.settings,
            meter=self._metrics,
            wanted=attention.wanted,
            told=attention.told,
        )

    def _edge_ports(self, store: SqliteStore, secrets: master_key.Keys) -> rest.RestPorts:
        return rest.RestPorts(
            clock=self._clock,
            apps=store.apps,
            devices=store.devices,
            credentials=store.credentials,
            routes=store.routes,
            facts=store.settings,
            keys=store.api_keys,
            portal_keys=store.portal_keys,
            secrets=secrets,
            idempotency=store.idempotency,
            ledger=store.ledger,
            queue=store.queue,
            events=store.events,
            keeper=store.keeper,
            portal=store.portal_access,
            connected=rest.ConnectedParts(
                installations=store.installations,
                rules=store.portal_rules,
                inbox=store.event_inbox,
                outbox=store.outbox,
                portals=self._portal.connector,
            ),
            sip=rest.SipParts(bindings=store.sip_bindings, messages=store.sip_messages, users=store.sip_users),
            endpoints=store.endpoints,
            judge_webhook=webhook_urls.judge,
            probe=_probe(self.settings.bitrix24),
            services=PushServiceProbe(self.settings.providers, system_resolver, self._clock),
            pipeline=self._pipeline,
            settings=self.settings,
            health=self.health,
            metrics=self._metrics,
            inspect=Judge().inspect,
            master_key=MasterKey(secrets, store.seals.renew, self._clock),
            calls=self._portal.connector,
        )

    def _webhook_sender(self, settings: Settings) -> WebhookPost:
        rules = settings.webhooks
        guard = Guard(resolve=ApartResolver(), allow_private=rules.allow_private, allow_http=rules.allow_http)
        make = partial(
            GuardedClient,
            guard,
            ca_file=rules.ca_file,
            max_connections=_WEBHOOK_REQUESTS,
            max_answer=_WEBHOOK_ANSWER,
            cut=True,
        )
        make()  # an unusable `ca_file` is told now
        http = ClientsApart(make, most=_WEBHOOK_REQUESTS)
        self._clients.push_async_callback(http.aclose)
        return WebhookPost(rules, self._clock, http, apps=self._store.apps, credentials=self._store.credentials)

    def _providers(self, settings: Settings) -> dict[ProviderKind, Provider]:
        providers, http = make_providers(settings, self._clock)
        self._clients.push_async_callback(http.aclose)
        return providers


def make_providers(settings: Settings, clock: Clock) -> tuple[dict[ProviderKind, Provider], GuardedClient]:
    """Build each provider, and the client that asks for access tokens: to be closed after them.

    Hosts written in the settings may be private, Google's token endpoint may not.
    """
    fcm = settings.providers.fcm
    # Plain http is judged by the provider: `check_token_uri` permits it for hosts of `token_hosts` alone.
    guard = Guard(resolve=system_resolver, configured=frozenset(fcm.token_hosts), allow_http=True)
    http = GuardedClient(guard, ca_file=fcm.ca_file, proxy=fcm.proxy)
    return {kind: build(settings.providers, clock, http) for kind, build in PROVIDERS.items()}, http


@contextlib.asynccontextmanager
async def opened(settings: Settings, *, alone: bool = False) -> AsyncIterator[Gateway]:
    """Open the store, making what is absent, and give a gateway that is not started. `alone`: see `SqliteStore`.

    Raises StoreBusy if a gateway owns the data directory, SchemaTooNew, MigrationChanged, StoreUnavailable,
    ConfigError for a missing or unreadable master key, a directory that cannot be made, or a bad `ca_file`.
    """
    path = Path(sqlite_path(settings.storage.url))
    _make_directory(Path(settings.server.data_dir))
    secrets = _keys(settings, path)
    clock = SystemClock()
    store = SqliteStore(path, clock=clock, secrets=secrets, settings=settings.storage, alone=alone)
    await _own(store, Path(settings.server.data_dir), secrets)
    try:
        gateway = Gateway(settings, store, secrets, clock, await store.ledger.newest())
        try:
            yield gateway
        finally:
            await gateway.close()
    finally:
        await store.close()


@contextlib.asynccontextmanager
async def offline(settings: Settings) -> AsyncIterator[ASGIApp]:
    """Give the API on a store that no gateway serves: it answers and keeps, and sends nothing."""
    async with opened(settings, alone=True) as gateway:
        yield gateway.app


async def lent(settings: Settings) -> list[tuple[App, Credential, CredentialSecret]]:
    """Return the credentials of a store that no gateway serves. Raises as `opened` does, SecretError."""
    async with opened(settings, alone=True) as gateway:
        return await gateway.lend()


async def _own(store: SqliteStore, directory: Path, secrets: master_key.Keys) -> None:
    """Open the store; an offline command has it for a moment only and is waited for, a gateway that answers is not.

    Without this, `wakeline serve &` and the first command after it would race for the lock, and one of them would fail.
    Whoever had the lock may have changed the master key: a key that does not fit is read once more.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            await store.open()
        except ConfigError:
            if not secrets.read_again():
                raise
        except StoreBusy:
            if await admin_socket.answers(directory) or time.monotonic() >= deadline:
                raise
        else:
            return secrets.sweep()
        await asyncio.sleep(_TRY_AGAIN)


def _probe(settings: Bitrix24) -> TlsProbe:
    """Return what looks whether portals answer: a private one only if the operator named its host."""
    guard = Guard(resolve=system_resolver, configured=frozenset(settings.connected_hosts))
    return TlsProbe(guard, ca_file=settings.connected_ca_file)


def _keys(settings: Settings, store: Path) -> master_key.Keys:
    """Read the master key; made only with its store, since a new key beside an old store would hide that the old is lost."""
    return master_key.Keys(settings.secrets, create=not store.exists())


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"server.data_dir: {directory} cannot be made: {error.strerror}",
            fix="Choose a directory that this user may write, or make it and give it to this user.",
        ) from None
