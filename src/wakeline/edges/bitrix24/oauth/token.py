"""`/oauth/token/`: an application proves itself and gets tokens, by GET (as Bitrix24's documentation has it) or by a POSTed form.

Field for field the reply of Bitrix24's own server: strict clients refuse one that lacks `expires`, `user_id` or `status`.
"""

from __future__ import annotations

import hmac

import msgspec

from wakeline.edges.bitrix24.call import BitrixPorts
from wakeline.edges.bitrix24.granting import Pair
from wakeline.edges.bitrix24.oauth.asked import Asked
from wakeline.edges.bitrix24.oauth.exchange import Exchange
from wakeline.edges.bitrix24.oauth.failure import missing, no_client, no_such_grant_type, not_paid
from wakeline.edges.bitrix24.oauth.refresh import Refresh
from wakeline.edges.bitrix24.refusals import Refusal
from wakeline.edges.bitrix24.secrets import digest
from wakeline.model.bitrix24.access import PortalApplication

_SECOND = 1000


class TokenReply(msgspec.Struct, frozen=True, kw_only=True):
    """What an application gets. `expires` in Unix seconds; `domain` is the OAuth server's host; `scope` a comma list."""

    access_token: str
    expires: int
    expires_in: int
    scope: str
    domain: str
    server_endpoint: str
    status: str
    client_endpoint: str
    member_id: str
    user_id: int
    refresh_token: str


class Tokens:
    """The token endpoint."""

    def __init__(self, ports: BitrixPorts) -> None:
        """Join the two ways to tokens."""
        self._ports = ports
        self._exchange, self._refresh = Exchange(ports), Refresh(ports)

    async def answer(self, asked: Asked) -> TokenReply:
        """Return tokens. Raises MethodError."""
        way = asked.params.get("grant_type")
        if not way:
            raise missing("grant_type")
        portal = self._ports.access.portal()
        if portal.closed:
            raise Refusal.PORTAL_DELETED.error()
        application = self._application(asked.params)
        if not portal.commercial:
            raise not_paid()
        match way:
            case "authorization_code":
                pair = await self._exchange.pair(application, asked.params, asked.now)
            case "refresh_token":
                pair = await self._refresh.pair(application, asked.params, asked.now)
            case _:
                raise no_such_grant_type()
        return self._reply(asked, application, pair)

    def _application(self, params: dict[str, str]) -> PortalApplication:
        """Return the application that asks; it takes the same time whether there is one or its secret is wrong."""
        client_id, secret = params.get("client_id"), params.get("client_secret")
        if not client_id:
            raise missing("client_id")
        if not secret:
            raise missing("client_secret")
        found = self._ports.access.application_of(client_id)
        same = hmac.compare_digest(digest(secret), bytes(32) if found is None else found.secret)
        if found is None or not same:
            raise no_client()
        return found

    def _reply(self, asked: Asked, application: PortalApplication, pair: Pair) -> TokenReply:
        grant = pair.grant
        return TokenReply(
            access_token=pair.access,
            expires=grant.access_expires // _SECOND,
            expires_in=max(0, grant.access_expires - asked.now) // _SECOND,
            scope=",".join(grant.scopes),
            domain=asked.addresses.oauth_host,
            server_endpoint=asked.addresses.server_endpoint,
            status=application.status,
            client_endpoint=asked.addresses.client_endpoint,
            member_id=self._ports.access.portal().member_id,
            user_id=grant.user,
            refresh_token=pair.refresh,
        )
