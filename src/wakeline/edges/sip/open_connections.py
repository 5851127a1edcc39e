"""Connections that are open: found by their names, by whom they lead to, and counted by source."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

import structlog

from wakeline.edges.sip.connections import Connection
from wakeline.edges.sip.flows import Address, Transport

PER_SOURCE = 4096
"""Connections that one address may have open: phones behind one large NAT, but not all descriptors there are."""

_log = structlog.get_logger()


class OpenConnections:
    """Knows each from `add` to `remove`."""

    def __init__(self) -> None:
        self._named: dict[str, Connection] = {}
        self._by_peer: dict[tuple[Transport, Address], Connection] = {}
        self._sources: Counter[str] = Counter()
        self._fewer = asyncio.Event()

    def __len__(self) -> int:
        """Count them."""
        return len(self._named)

    def __iter__(self) -> Iterator[Connection]:
        """Give each; they may be closed meanwhile."""
        return iter(list(self._named.values()))

    def named(self, name: str) -> Connection | None:
        """Return the one of that name."""
        return self._named.get(name)

    def to(self, transport: Transport, address: Address) -> Connection | None:
        """Return the one that leads there, whoever opened it."""
        return self._by_peer.get((transport, address))

    def add(self, connection: Connection) -> None:
        """Know one that is open now; too many of one source end at once."""
        host = connection.remote.host
        if self._sources[host] >= PER_SOURCE:
            _log.warning("sip.too_many_connections", source=host)
            connection.abort()
        self._sources[host] += 1
        self._named[connection.name] = connection
        self.reached_as(connection, connection.remote)

    def reached_as(self, connection: Connection, address: Address) -> None:
        """Find it under that address as well: a name that was looked up."""
        if connection.open:
            self._by_peer[connection.transport, address] = connection
            connection.reached_as.add(address)

    def remove(self, connection: Connection) -> bool:
        """Forget one that is closed; return whether it was known."""
        if self._named.pop(connection.name, None) is None:
            return False
        host = connection.remote.host
        self._sources[host] -= 1
        if not self._sources[host]:
            del self._sources[host]
        for address in connection.reached_as:
            if self._by_peer.get((connection.transport, address)) is connection:
                del self._by_peer[connection.transport, address]
        self._fewer.set()
        return True

    async def all_closed(self) -> None:
        """Wait until there is none."""
        while self._named:
            self._fewer.clear()
            await self._fewer.wait()
