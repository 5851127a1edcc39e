"""A refresh token becomes the next pair; the one before is taken for a minute yet.

Theory: several processes of one client hold the same refresh token and do not tell each other. Whoever comes second with it gets
the very pair that the first one got, so that their tokens stay the same: it is kept in memory until the former token ends. After
a restart there is no such memory, and the second one gets a grant of its own.
The access token before is good as long, and expired from then on: a process that does not know of the refresh is told what makes it
refresh, and not that it has no token at all.
A former token that comes later is refused and nothing more: an application proves itself by its secret, so that whoever has
stolen a token alone has nothing (RFC 9700 section 4.14.2 asks for more only where there is no secret).
"""

from __future__ import annotations

import hmac

import msgspec

from wakeline.edges.bitrix24.call import BitrixPorts
from wakeline.edges.bitrix24.granting import Pair, may_use, new_pair, next_pair, what_is_left
from wakeline.edges.bitrix24.oauth.failure import missing, no_grant, not_installed
from wakeline.edges.bitrix24.secrets import digest
from wakeline.model.bitrix24.access import Grant, PortalApplication
from wakeline.model.errors import NotFound


class Refresh:
    """Renews pairs."""

    def __init__(self, ports: BitrixPorts) -> None:
        """Begin without a memory."""
        self._ports = ports
        self._recent: dict[bytes, Pair] = {}

    async def pair(self, application: PortalApplication, params: dict[str, str], now: int) -> Pair:
        """Return the next pair. Raises MethodError."""
        presented = digest(params.get("refresh_token") or _raise_missing())
        grant = await self._grant(application, presented, now)
        scopes = [scope for scope in grant.scopes if scope in application.scopes]
        if not hmac.compare_digest(grant.refresh, presented):
            return self._given(presented, now) or await self._beside(grant, scopes, now)
        pair = next_pair(grant, scopes, self._ports.settings, now)
        try:
            done = await self._ports.access.rotate(grant.refresh, pair.grant, leaving=what_is_left(grant, pair.grant))
        except NotFound:
            raise not_installed() from None
        if done:
            self._forget(now)
            self._recent[presented] = pair
            return pair
        # Somebody was faster with the same token: it is the former one by now.
        grant = await self._grant(application, presented, now)
        return self._given(presented, now) or await self._beside(grant, scopes, now)

    async def _grant(self, application: PortalApplication, presented: bytes, now: int) -> Grant:
        """Return the grant that a refresh token renews, if it does. Raises MethodError."""
        grant = await self._ports.access.grant_by_refresh(presented)
        if grant is None or grant.application != application.id:
            raise no_grant("The refresh token is unknown or was used")
        former = not hmac.compare_digest(grant.refresh, presented)
        if (grant.former_until if former else grant.refresh_expires) <= now:
            raise no_grant("The refresh token has expired")
        user = await self._ports.access.user(grant.user)
        if user is None or not may_use(application, user):
            raise no_grant("The user does not have access to the application")
        return grant

    def _given(self, presented: bytes, now: int) -> Pair | None:
        """Return the pair that this former token has given already."""
        self._forget(now)
        return self._recent.get(presented)

    def _forget(self, now: int) -> None:
        """Forget pairs whose former token has ended; they stand in the order in which they were made."""
        while self._recent:
            oldest = next(iter(self._recent))
            if self._recent[oldest].grant.former_until > now:
                return
            del self._recent[oldest]

    async def _beside(self, grant: Grant, scopes: list[str], now: int) -> Pair:
        pair = new_pair(grant.application, grant.user, scopes, self._ports.settings, now)
        try:
            kept = await self._ports.access.issue(pair.grant)
        except NotFound:
            raise not_installed() from None
        return msgspec.structs.replace(pair, grant=kept)


def _raise_missing() -> str:
    raise missing("refresh_token")
