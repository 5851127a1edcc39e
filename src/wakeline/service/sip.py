"""The SIP edge inside a gateway: its parts joined, its sockets opened and closed. Without `[sip] listen` there is none of it.

sockets -> transaction layer -> door: who is it? -> registrar -> bindings, phones in the registry
                                                 -> proxy     -> phones that are awake; pushes for those that sleep
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import secrets as entropy
import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec
import structlog

from wakeline.config import Settings, Sip
from wakeline.config.rules import sip_address
from wakeline.edges.sip.apps import PushApps
from wakeline.edges.sip.authentication import Authenticator
from wakeline.edges.sip.door import Door
from wakeline.edges.sip.endpoint import Bind, Endpoint
from wakeline.edges.sip.flows import Address, Transport
from wakeline.edges.sip.passwords import OurUsers, TheirProgram
from wakeline.edges.sip.pbx import BehindPbx, hop_of
from wakeline.edges.sip.peers import Peers
from wakeline.edges.sip.phones import Phones
from wakeline.edges.sip.proxy import Proxy, ProxyPorts
from wakeline.edges.sip.refreshing import Refreshing
from wakeline.edges.sip.registrar import Registrar
from wakeline.edges.sip.transaction_layer import TransactionLayer
from wakeline.edges.sip.waking import Wakes
from wakeline.observe.metrics import Metrics
from wakeline.observe.names import Metric
from wakeline.pipeline import Pipeline
from wakeline.ports import Clock, Secrets
from wakeline.ports.bitrix24_connector import CallJournal
from wakeline.ports.sip import SipCredentials
from wakeline.service.server_tls import renew, server_context
from wakeline.storage.sqlite import SqliteStore
from wakeline.transport.guard import Guard, system_resolver
from wakeline.transport.http import GuardedClient
from wakeline.transport.tls import client_context
from wakeline.wire.sip.digest import Nonces

_DIALOGS = "sip dialogs"
"""For what the proxy's secret is derived: routes that it gave count after a restart."""

_log = structlog.get_logger()


class SipEdge:
    """The SIP edge of one gateway."""

    def __init__(
        self,
        settings: Settings,
        store: SqliteStore,
        secrets: Secrets,
        clock: Clock,
        *,
        pipeline: Pipeline,
        journal: CallJournal,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._store = store
        self._secrets = secrets
        self._clock = clock
        self._pipeline = pipeline
        self._journal = journal
        self._metrics = metrics
        self._running = contextlib.AsyncExitStack()
        self._tls: ssl.SSLContext | None = None
        self._connected: Callable[[int, str], bool] = _nobody
        self.bound: list[Bind] = []
        """Where it listens."""

    async def start(self) -> None:
        """Listen, if the settings say where. Raises ConnectFailed for a taken address, ConfigError for a bad certificate."""
        if not self._sip().listen:
            return
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Hear nothing more, and end what is under way."""
        running, self._running = self._running, contextlib.AsyncExitStack()
        self.bound, self._connected = [], _nobody
        await running.aclose()

    def connected(self, app: int, device: str) -> bool:
        """Tell whether a device of an app (row id) is connected by SIP."""
        return self._connected(app, device)

    def apply(self, settings: Settings) -> None:
        """Put new settings in force, as far as they are without a restart (`config.changes`), and a renewed certificate.

        Raises ConfigError for a certificate that cannot be used, and nothing is changed.
        """
        if self._tls is not None:
            renew(self._tls, "sip", self._sip().tls_certificate, self._sip().tls_key)
        sip = msgspec.structs.replace(self._settings.sip, senders=settings.sip.senders)
        self._settings = msgspec.structs.replace(settings, sip=sip)

    async def _start(self) -> None:
        sip, store, clock = self._sip(), self._store, self._clock
        peers = Peers((*sip.peers, hop_of(sip.pbx).address.host) if sip.pbx else sip.peers)
        proxy = Proxy(
            ProxyPorts(
                bindings=store.sip_bindings,
                messages=store.sip_messages,
                wakes=Wakes(self._pipeline, store.apps, store.sip_bindings, clock, self._sip),
                journal=self._journal,
                clock=clock,
                settings=self._sip,
                peers=lambda: peers,
                secret=self._secrets.derive(_DIALOGS),
            )
        )
        registrar = self._registrar(proxy)
        behind = BehindPbx(registrar, self._sip, clock)
        door = Door(self._authenticator(peers), behind if sip.pbx else registrar, proxy)
        layer = TransactionLayer(door, clock=clock.monotonic)
        endpoint = await self._endpoint(layer)
        layer.attach(endpoint)
        proxy.attach(layer)
        behind.attach(layer)
        # What is opened last is closed first: nothing is heard any more while the rest ends.
        self._running.push_async_callback(proxy.close)
        self._running.push_async_callback(door.close)
        self._running.callback(layer.stop)
        self._running.push_async_callback(endpoint.stop)
        self._running.callback(proxy.end)
        await endpoint.start()
        self.bound, self._connected = endpoint.bound, proxy.connected
        self._watch(layer, endpoint)
        refreshing = Refreshing(store.sip_bindings, self._pipeline.accept, store.apps, clock)
        self._running.push_async_callback(_ended, asyncio.create_task(refreshing.run()))
        _warn_of_clear_text(self.bound)

    def _watch(self, layer: TransactionLayer, endpoint: Endpoint) -> None:
        self._metrics.watch(Metric.SIP_TRANSACTIONS, lambda: len(layer))
        self._metrics.watch(Metric.SIP_CONNECTIONS, lambda: endpoint.connections)
        self._metrics.watch(Metric.SIP_DROPPED, lambda: endpoint.dropped)

    def _sip(self) -> Sip:
        return self._settings.sip

    def _authenticator(self, peers: Peers) -> Authenticator:
        nonces = Nonces(entropy.token_bytes(32))
        return Authenticator(self._sip, lambda: peers, self._credentials(), nonces, self._clock)

    def _credentials(self) -> SipCredentials:
        """Return who knows passwords; the URL of the operator's program may be private and plain."""
        url = self._sip().auth_url
        if not url:
            return OurUsers(self._store.sip_users)
        configured = frozenset({urlsplit(url).hostname or ""})
        http = GuardedClient(Guard(resolve=system_resolver, configured=configured, allow_http=True))
        self._running.push_async_callback(http.aclose)
        return TheirProgram(http, url, self._clock)

    def _registrar(self, proxy: Proxy) -> Registrar:
        store, clock = self._store, self._clock
        apps = PushApps(
            store.apps,
            store.credentials,
            clock,
            lambda: self._sip().sender_apps,
            lambda: self._settings.providers.webpush.allow_http,
        )
        phones = Phones(store.devices, store.sip_bindings, store.events, clock)
        return Registrar(self._sip, store.sip_bindings, apps, phones, clock, proxy.registered)

    async def _endpoint(self, layer: TransactionLayer) -> Endpoint:
        sip = self._sip()
        if sip.tls_certificate:
            self._tls = server_context("sip", sip.tls_certificate, sip.tls_key)
        return Endpoint(
            [_bind(text) for text in sip.listen],
            layer,
            clock=self._clock.monotonic,
            public_host=sip.public_host,
            server_tls=self._tls,
            client_tls=await asyncio.to_thread(client_context, alpn=()),
        )


def _nobody(_app: int, _device: str) -> bool:
    return False


def _bind(text: str) -> Bind:
    transport, host, port = sip_address(text)
    return Bind(Transport(transport), Address(host, port))


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _warn_of_clear_text(bound: list[Bind]) -> None:
    """Say that tokens travel in the clear where phones have no other way (RFC 8599 section 13)."""
    reachable = [each for each in bound if not ipaddress.ip_address(each.address.host).is_loopback]
    if reachable and not any(each.transport.secure for each in reachable):
        _log.warning(
            "sip.without_tls", fix="Phones send their push tokens when they register: give them a tls: address."
        )
