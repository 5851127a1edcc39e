"""Clients of all connected portals: one for each installation, one line for all that ask the same portal.

Rule (Bitrix24: "Limits"): the limit counts by portal and by our address, so installations on one portal share its line.
"""

from __future__ import annotations

from wakeline.connectors.bitrix24.client import PortalClient
from wakeline.connectors.bitrix24.line import Line
from wakeline.connectors.bitrix24.moving import Mover
from wakeline.connectors.bitrix24.oauth import Keeper
from wakeline.connectors.bitrix24.standing import ClientPorts
from wakeline.wire.bitrix24.endpoints import host_of


class Connections:
    """All portals. `renew_idle` is to be called now and then; `close` before the store is."""

    def __init__(self, ports: ClientPorts) -> None:
        self.ports = ports
        self.keeper = Keeper(ports)
        self._mover = Mover(ports, self.keeper)
        self._lines: dict[str, Line] = {}

    def of(self, number: int) -> PortalClient:
        """Return the client of an installation. Whether it may be asked shows when it is."""
        return PortalClient(number, self.ports, line=self.line, keeper=self.keeper, mover=self._mover)

    def line(self, endpoint: str) -> Line:
        """Return the line to the portal whose REST is there."""
        host = host_of(endpoint)
        if host not in self._lines:
            used = {host_of(one.client_endpoint) for one in self.ports.installations.all()}
            self._lines = {name: line for name, line in self._lines.items() if name in used}
            self._lines[host] = Line(self.ports.http, self.ports.clock)
        return self._lines[host]

    async def renew_idle(self) -> None:
        """Renew tokens that nobody used for a month."""
        await self.keeper.renew_idle()

    async def close(self) -> None:
        """Wait until tokens that are being renewed are kept."""
        await self.keeper.close()
