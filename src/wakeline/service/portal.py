"""Our own Bitrix24 portal inside a gateway, and those that we are connected to: their parts joined, and their doors.

What callers give us as URLs (handlers of events) goes out through one guarded client, under the rules of `[webhooks]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.types import ASGIApp

from wakeline.config import Settings, Webhooks
from wakeline.connectors.bitrix24.connector import Connector
from wakeline.edges.bitrix24.addresses import is_oauth_host
from wakeline.edges.bitrix24.broker import Broker, BrokerPorts
from wakeline.edges.bitrix24.call import BitrixPorts
from wakeline.edges.bitrix24.delivering import EventDeliveries
from wakeline.edges.bitrix24.door import Door as PortalDoor
from wakeline.edges.bitrix24.oauth import OAuthDoor
from wakeline.edges.bitrix24.raising import raise_event
from wakeline.edges.bitrix24.strangers import Strangers
from wakeline.observe.metrics import Metrics
from wakeline.pipeline import Pipeline
from wakeline.ports import Clock, Secrets
from wakeline.service.connected import Connected
from wakeline.service.mount import Door, Mount
from wakeline.storage.sqlite import SqliteStore
from wakeline.transport.apart_resolver import ApartResolver
from wakeline.transport.guard import Guard, system_resolver
from wakeline.transport.http import GuardedClient


class Portal:
    """The portal of one gateway. `close` ends what is under way."""

    def __init__(
        self,
        settings: Settings,
        store: SqliteStore,
        secrets: Secrets,
        clock: Clock,
        *,
        pipeline: Pipeline,
        metrics: Metrics,
    ) -> None:
        self._clients = [_client(settings.webhooks)]
        self._hook = _hook_client(settings.bitrix24.call_hook)
        self.ports = BitrixPorts(
            clock=clock,
            apps=store.apps,
            devices=store.devices,
            secrets=secrets,
            access=store.portal_access,
            events=store.portal_events,
            records=store.portal_records,
            calls=store.portal_calls,
            pipeline=pipeline,
            settings=settings,
            http=self._clients[0],
            hook=self._hook,
            deliveries=EventDeliveries(self._clients[0], clock, metrics),
        )
        strangers = Strangers(clock, lambda: self.ports.settings.bitrix24.failed_authentications)
        self._door = PortalDoor(self.ports, strangers=strangers)
        self._connected = Connected(
            settings, store, secrets, clock, pipeline=pipeline, strangers=strangers, raised=self._raised
        )
        self._broker = Broker(
            BrokerPorts(
                clock=clock,
                apps=store.apps,
                devices=store.devices,
                credentials=store.credentials,
                events=store.events,
                keys=store.portal_keys,
                pipeline=pipeline,
                strangers=strangers,
            )
        )

    @property
    def connector(self) -> Connector:
        """Return who acts on connected portals."""
        return self._connected.connector

    def apply(self, settings: Settings) -> None:
        """Put new settings in force. Raises ConfigError."""
        self._connected.apply(settings)
        if settings.webhooks != self.ports.settings.webhooks:
            self._clients.append(_client(settings.webhooks))
            self.ports.http = self._clients[-1]
            self.ports.deliveries.post_by(self.ports.http)
        self.ports.settings = settings

    def beside(self, rest: ASGIApp, flexisip: ASGIApp, mesibo: ASGIApp) -> Mount:
        """Return one application that serves the portal's doors, the REST API, and the doors of Flexisips and mesibo's users."""
        doors: dict[Door, ASGIApp] = {
            Door.REST: rest,
            Door.PORTAL: self._door,
            Door.OAUTH: OAuthDoor(self.ports),
            Door.BROKER: self._broker,
            Door.CONNECTED: self._connected.door,
            Door.FLEXISIP: flexisip,
            Door.MESIBO: mesibo,
        }
        return Mount(doors, lambda host: is_oauth_host(host, self.ports.settings.bitrix24))

    async def close(self) -> None:
        """Keep when webhooks were used, end deliveries of events, and close connections."""
        await self._connected.close()
        await self._door.close()
        await self.ports.deliveries.close()
        for client in self._clients:
            await client.aclose()
        await self._hook.aclose()

    async def _raised(self, event: str, data: Mapping[str, object], user: int) -> None:
        """Have our own portal tell what happened on the one that it mirrors."""
        await raise_event(self.ports, event, data, user=user)


def _client(settings: Webhooks) -> GuardedClient:
    guard = Guard(resolve=ApartResolver(), allow_private=settings.allow_private, allow_http=settings.allow_http)
    return GuardedClient(guard)


def _hook_client(url: str) -> GuardedClient:
    """Return a client for the call hook: its URL is the operator's own, so it may be private and plain."""
    host = urlsplit(url).hostname
    configured = frozenset({host} if host else ())
    return GuardedClient(Guard(resolve=system_resolver, configured=configured, allow_http=True))
