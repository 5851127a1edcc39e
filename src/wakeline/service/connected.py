"""Connected Bitrix24 portals inside a gateway: how they are reached, the connector, and the door by which they reach us."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping

from wakeline.config import Bitrix24, Settings
from wakeline.connectors.bitrix24.connector import Connector, ConnectorPorts
from wakeline.connectors.bitrix24.mirroring import Raise
from wakeline.connectors.bitrix24.standing import ClientPorts
from wakeline.edges.bitrix24.connected import ConnectedDoor, ConnectedPorts
from wakeline.edges.bitrix24.strangers import Strangers
from wakeline.pipeline import Pipeline
from wakeline.ports import Clock, HttpAnswer, Secrets
from wakeline.storage.sqlite import SqliteStore
from wakeline.transport.guard import Guard, system_resolver
from wakeline.transport.http import GuardedClient

LONGEST_ANSWER = 8 * 1024 * 1024
"""Bytes of an answer: a batch of pages is some megabytes."""

_MOST_CONNECTIONS = 256
"""The connector takes four at a portal, and one at a portal that hangs, so that hundreds of these keep nobody else waiting."""


class Connected:
    """The connected portals of one gateway. `connector` acts, `door` is theirs."""

    def __init__(
        self,
        settings: Settings,
        store: SqliteStore,
        secrets: Secrets,
        clock: Clock,
        *,
        pipeline: Pipeline,
        strangers: Strangers,
        raised: Raise,
    ) -> None:
        self._settings = settings
        self._http = PortalHttp(settings.bitrix24)
        client = ClientPorts(
            clock=clock,
            installations=store.installations,
            apps=store.apps,
            events=store.events,
            http=self._http,
            settings=lambda: self._settings,
        )
        self.connector = Connector(
            ConnectorPorts(
                client=client,
                rules=store.portal_rules,
                inbox=store.event_inbox,
                outbox=store.outbox,
                records=store.portal_records,
                access=store.portal_access,
                accept=pipeline.accept,
                raised=raised,
            )
        )
        self.door = ConnectedDoor(
            ConnectedPorts(
                clock=clock,
                apps=store.apps,
                events=store.events,
                secrets=secrets,
                installations=store.installations,
                inbox=store.event_inbox,
                portals=self.connector,
                strangers=strangers,
                hosts=lambda: self._settings.bitrix24.connected_hosts,
            )
        )

    def apply(self, settings: Settings) -> None:
        """Put new settings in force. Raises ConfigError for an unusable `connected_ca_file`, and nothing is changed."""
        self._http.apply(settings.bitrix24)
        self._settings = settings

    async def close(self) -> None:
        """Keep what portals have granted, and close connections."""
        await self.connector.close()
        await self._http.close()


class PortalHttp:
    """Implements `ports.HttpClient`: the client for portals that the settings in force want."""

    def __init__(self, settings: Bitrix24) -> None:
        """Begin with these. Raises ConfigError."""
        self._wants = _wants(settings)
        self._client = portal_client(settings)
        self._under_way: defaultdict[GuardedClient, set[asyncio.Future[None]]] = defaultdict(set)
        self._closing: set[asyncio.Task[None]] = set()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> HttpAnswer:
        """See `ports.HttpClient`."""
        client, ended = self._client, asyncio.get_running_loop().create_future()
        self._under_way[client].add(ended)
        try:
            return await client.post(url, body, headers, timeout=timeout)
        finally:
            self._under_way[client].discard(ended)
            ended.set_result(None)

    def apply(self, settings: Bitrix24) -> None:
        """Go on with another client, if these settings want one; the one before ends what it has begun: tokens may come of it."""
        if _wants(settings) == self._wants:
            return
        client, self._client, self._wants = self._client, portal_client(settings), _wants(settings)
        closing = asyncio.get_running_loop().create_task(self._retire(client))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def _retire(self, client: GuardedClient) -> None:
        while under_way := [*self._under_way[client]]:
            await asyncio.gather(*under_way)
        del self._under_way[client]
        await client.aclose()

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(*self._closing, self._client.aclose())


def _wants(settings: Bitrix24) -> tuple[tuple[str, ...], str]:
    return settings.connected_hosts, settings.connected_ca_file


def portal_client(settings: Bitrix24) -> GuardedClient:
    """Return a client for portals and their OAuth hosts. Raises ConfigError for an unusable `connected_ca_file`.

    Plain http is for `connected_hosts` alone: the connector refuses it for other hosts before it asks.
    """
    guard = Guard(
        resolve=system_resolver,
        configured=frozenset(settings.connected_hosts),
        allow_http=bool(settings.connected_hosts),
    )
    return GuardedClient(
        guard, ca_file=settings.connected_ca_file, max_connections=_MOST_CONNECTIONS, max_answer=LONGEST_ANSWER
    )
