"""An administrator comes back from the portal's authorization page: the code beside our state becomes tokens.

Rule: nothing is asked for a state that we did not issue for this installation a short time ago. What else the portal appends
(domain, member_id, scope) proves nothing and is not read: the OAuth server says it again with the tokens. Which server that is
may be told here, for portals of some countries have one of their own; the rule of `wire.bitrix24.oauth_server` holds.
Source: RFC 6749 section 4.1.2; Bitrix24 REST, "Complete OAuth 2.0 protocol".
"""

from __future__ import annotations

import re
from http import HTTPStatus
from urllib.parse import parse_qs

from wakeline.edges.bitrix24.connected import state
from wakeline.edges.bitrix24.connected.installing import Installing
from wakeline.edges.bitrix24.connected.ports import ConnectedPorts
from wakeline.edges.bitrix24.connected.refused import Refused, Unproven
from wakeline.model.bitrix24.installation import Installation
from wakeline.wire.bitrix24.oauth_server import server_endpoint

_CODE = re.compile(r"[A-Za-z0-9._~+/=-]{1,512}")
_MOST_FIELDS = 32
_BEGIN_AGAIN = "Begin again: wakeline bitrix24 portal connect prints a new address to open."


class Arriving:
    """Takes codes."""

    def __init__(self, ports: ConnectedPorts, installing: Installing) -> None:
        """Nobody has come yet."""
        self._ports = ports
        self._installing = installing

    async def take(self, installation: Installation, query: bytes) -> None:
        """Take the code in a query. Raises Refused, and WakelineError if the portal cannot be asked or refuses."""
        said = _fields(query)
        keys, now = self._ports.secrets.accepted(state.PURPOSE), self._ports.clock.now()
        if not state.is_ours(said.get("state", ""), installation, keys, now):
            raise Unproven("This visit was not begun here, or it was too long ago.", _BEGIN_AGAIN)
        if _CODE.fullmatch(said.get("code", "")) is None:
            raise Refused(
                HTTPStatus.BAD_REQUEST, "INVALID_REQUEST", "The portal did not let the application in.", _BEGIN_AGAIN
            )
        server = server_endpoint(f"https://{said.get('server_domain', '')}/rest/", self._ports.hosts())
        await self._installing.redeemed(installation.id, said["code"], server)


def is_return(query: bytes) -> bool:
    """Tell whether a query is that of somebody who was at an authorization page."""
    return "state" in _fields(query)


def _fields(query: bytes) -> dict[str, str]:
    try:
        found = parse_qs(query.decode("ascii"), max_num_fields=_MOST_FIELDS)
    except ValueError:
        return {}
    return {name: values[-1] for name, values in found.items()}
