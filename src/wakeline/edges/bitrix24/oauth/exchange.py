"""A code becomes a pair of tokens, once.

A code that comes again after it was taken has been stolen from one of the two who had it, so that what it gave is revoked
(RFC 6749 section 4.1.2). That is remembered in memory for ten minutes: a restart forgets it, and the code is refused all the same.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

import msgspec
import structlog

from wakeline.edges.bitrix24.call import BitrixPorts
from wakeline.edges.bitrix24.granting import Pair, new_pair
from wakeline.edges.bitrix24.oauth.failure import missing, no_grant, not_installed
from wakeline.edges.bitrix24.secrets import digest
from wakeline.model.bitrix24.access import AuthorizationCode, PortalApplication
from wakeline.model.errors import NotFound, StorageError

_REMEMBERED = 600_000
"""Milliseconds."""

log = structlog.get_logger()


class _Shown(msgspec.Struct):
    """A code that was shown to us: what it gave, and whether it came again."""

    at: int
    grant: int | None = None
    again: bool = False


class Exchange:
    """Takes codes."""

    def __init__(self, ports: BitrixPorts) -> None:
        """Begin without a memory."""
        self._ports = ports
        self._shown: dict[bytes, _Shown] = {}

    async def pair(self, application: PortalApplication, params: dict[str, str], now: int) -> Pair:
        """Return the tokens for a code. Raises MethodError."""
        presented = digest(params.get("code") or _raise_missing())
        shown = self._note(presented, now)
        try:
            code = await self._ports.access.take_code(presented)
        except StorageError:
            if not shown.again:
                self._shown.pop(presented, None)
            raise
        if code is None:
            await self._replayed(presented, shown, application)
            raise no_grant("The authorization code is unknown or was used")
        try:
            _check(code, application, params, now)
        except BaseException:
            self._shown.pop(presented, None)
            raise
        return await self._give(code, shown, now)

    def _note(self, presented: bytes, now: int) -> _Shown:
        """Remember that a code is shown, before it is looked up: of two that come at once, both are seen."""
        for old in [key for key, one in self._shown.items() if one.at <= now - _REMEMBERED]:
            del self._shown[old]
        known = self._shown.get(presented)
        if known is None:
            known = self._shown[presented] = _Shown(at=now)
        else:
            known.again = True
        return known

    async def _replayed(self, presented: bytes, shown: _Shown, application: PortalApplication) -> None:
        if not shown.again:
            self._shown.pop(presented, None)
            return
        log.warning("bitrix24.code_replayed", application=application.client_id)
        if shown.grant is not None:
            await self._ports.access.revoke(shown.grant)

    async def _give(self, code: AuthorizationCode, shown: _Shown, now: int) -> Pair:
        pair = new_pair(code.application, code.user, code.scopes, self._ports.settings, now)
        try:
            grant = await self._ports.access.issue(pair.grant)
        except NotFound:
            raise not_installed() from None
        shown.grant = grant.id
        if shown.again:
            await self._ports.access.revoke(grant.id)
            raise no_grant("The authorization code was used twice")
        return msgspec.structs.replace(pair, grant=grant)


def _check(code: AuthorizationCode, application: PortalApplication, params: dict[str, str], now: int) -> None:
    if code.application != application.id:
        raise no_grant("The authorization code was given to another application")
    if code.expires <= now:
        raise no_grant("The authorization code has expired")
    if params.get("redirect_uri", code.redirect_uri) != code.redirect_uri:
        raise no_grant("The redirect_uri is not that to which the authorization code was sent")
    if not _proves(code.challenge, params.get("code_verifier")):
        raise no_grant("The code_verifier does not match")


def _proves(challenge: str, verifier: str | None) -> bool:
    """Tell whether a verifier is that of the challenge (RFC 7636 section 4.6); one without the other proves nothing."""
    if not challenge or verifier is None:
        return not challenge and verifier is None
    found = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return hmac.compare_digest(found, challenge)


def _raise_missing() -> str:
    raise missing("code")
