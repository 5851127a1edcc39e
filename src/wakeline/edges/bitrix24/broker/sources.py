"""From where each licence key is used: a portal that moves says so by coming from another host or address.

Theory: a portal after a server migration is the usual reason why its pushes stop, or why somebody else's begin. So each new
source of a key is an event and a line in the log; the first one is no news, and what is known already is written seldom.
Whoever has a key may name any host: sixteen new ones within an hour are told of, and what comes after them is nobody's move.
"""

from __future__ import annotations

import asyncio
import re

import structlog

from wakeline.edges.bitrix24.broker.ports import BrokerPorts
from wakeline.model.app import App
from wakeline.model.bitrix24.broker import MOST_SOURCES, PortalKey, PortalSource, seen_from
from wakeline.model.errors import StorageError
from wakeline.model.event import Event, EventData, EventType

WRITE_EVERY = 600_000
"""Milliseconds between writes for a source that is known."""
_HOUR = 3_600_000

_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]{1,253}").fullmatch

_log = structlog.get_logger()


class Sources:
    """Remembers, one after the other for each key, so that two requests of a moved portal are one event."""

    def __init__(self, ports: BrokerPorts) -> None:
        self._ports = ports
        self._one: dict[int, asyncio.Lock] = {}

    async def note(self, app: App, digest: bytes, host: str, address: str) -> None:
        """Note where a key was used; what cannot be written is logged, since the pushes are taken already."""
        known = self._ports.keys.by_digest(digest)
        if known is None:
            return
        async with self._one.setdefault(known.id, asyncio.Lock()):
            key = self._ports.keys.by_digest(digest)
            if key is None:
                self._one.pop(known.id, None)
                return
            try:
                await self._note(app, key, self._host(key, host, address), address)
            except StorageError as error:
                _log.warning("bitrix24.portal_source_not_kept", portal_key=key.id, detail=error.detail)

    @staticmethod
    def _host(key: PortalKey, host: str, address: str) -> str:
        """Return the host as it is kept. JSON does not say one: then it is that of the address, if there is one."""
        if _HOST(host):
            return host.lower()
        return next((one.host for one in reversed(key.sources) if one.address == address), "")

    async def _note(self, app: App, key: PortalKey, host: str, address: str) -> None:
        now = self._ports.clock.now()
        known = next((one for one in key.sources if (one.host, one.address) == (host, address)), None)
        if known is not None and now - known.seen < WRITE_EVERY:
            return
        if known is None and _restless(key, now):
            return
        seen, before = seen_from(key, host, address, now)
        if before is not None:
            await self._tell(app, key, before, seen.sources[-1])
        await self._ports.keys.remember(seen)

    async def _tell(self, app: App, key: PortalKey, before: PortalSource, after: PortalSource) -> None:
        name = key.name or f"with the key ...{key.ending}"
        note = f"The portal {name} came from {_place(before)} and comes from {_place(after)} now."
        _log.warning("bitrix24.portal_moved", app=app.slug, portal_key=key.id, before=_place(before), now=_place(after))
        event = Event(type=EventType.PORTAL_MOVED, at=after.seen, app=app.slug, data=EventData(note=note))
        await self._ports.events.append([event])


def _restless(key: PortalKey, now: int) -> bool:
    """Tell whether all sources that are remembered are new ones."""
    return len(key.sources) >= MOST_SOURCES and all(now - one.first < _HOUR for one in key.sources)


def _place(source: PortalSource) -> str:
    return f"{source.host or 'a host it does not name'} ({source.address or 'no address'})"
