"""Tokens of connected portals: exchanged at the OAuth host, kept before they are used, asked for once at a time.

Rules (Bitrix24: "Automatic renewal of tokens"; facts of the protocol):
- a refresh token is good once, so the new pair is on disk before anybody uses it; a refresh that has begun is ended even if all
  who waited for it are gone, and a pair that could not be written is kept in memory until it can;
- refreshed is what has expired, and what was idle for a month; nothing else, for portals block those who refresh all the time;
- secrets go to the installation's stored OAuth host, and only if that is Bitrix24's or one that the operator named;
- whoever lost a race takes the pair that is there now; a grant that is refused for good ends the installation;
- an answer that is lost on its way may have had the next pair in it: then the used refresh token may be good for nothing, and that
  is said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import urlencode

import structlog

from wakeline.connectors.bitrix24.standing import CONNECT_AGAIN, ClientPorts, close, known_installation, move
from wakeline.model.bitrix24.installation import ApplicationAccess, Installation, InstallationState, Tokens
from wakeline.model.errors import (
    AddressRefused,
    ConnectFailed,
    NotFound,
    PortalClosed,
    PortalRefused,
    PortalUnreachable,
    TransportError,
    WakelineError,
)
from wakeline.wire.bitrix24.answer import Moved, Refusal, Reply, read
from wakeline.wire.bitrix24.endpoints import host_of, oauth_endpoint, rest_endpoint, token_address
from wakeline.wire.bitrix24.oauth_answers import Grant, TokenFacts, read_grant, token_facts

_log = structlog.get_logger()

TIMEOUT = 30.0
IDLE = 30 * 86_400_000
"""Milliseconds after which an unused pair is renewed; a refresh token lives for 180 days (30 in older documents)."""

_RETRY = 10.0
_LOST = "; the answer before was lost on its way, and the new tokens with it"
_FORM = {
    "content-type": "application/x-www-form-urlencoded",
    "accept": "application/json",
    "user-agent": "Wakeline",
}
_FOR_GOOD = frozenset({"invalid_grant", "invalid_client", "wrong_client", "NOT_INSTALLED", "PAYMENT_REQUIRED"})


def tokens_of(grant: Grant, now: int) -> Tokens:
    """Return a granted pair as it is kept; `now` in Unix ms."""
    return Tokens(
        access=grant.access,
        refresh=grant.refresh,
        access_expires=now + 1000 * grant.lifetime,
        user=grant.user,
        scopes=grant.scopes,
    )


async def exchange(ports: ClientPorts, installation: Installation, said: Mapping[str, str]) -> Grant | Refusal:
    """Ask the OAuth host for a pair of tokens. Raises AddressRefused (not an OAuth host), and PortalUnreachable.

    It is `doubtful` if the pair may have been granted nevertheless.
    """
    access = application(installation)
    endpoint = oauth_endpoint(installation.server_endpoint, named=ports.named_hosts())
    secrets = {"client_id": access.client_id, "client_secret": access.client_secret}
    body = urlencode({**said, **secrets}).encode()
    try:
        answer = await ports.http.post(token_address(endpoint), body, _FORM, timeout=TIMEOUT)
    except AddressRefused:
        raise
    except TransportError as error:
        raise _unreachable(error, doubtful=not isinstance(error, ConnectFailed)) from None
    found = read_grant(answer.status, answer.body)
    if isinstance(found, Refusal) and (found.busy or found.failed):
        raise PortalUnreachable(f"The OAuth host answered {found}", retry_after=_RETRY, doubtful=found.failed)
    return found


async def describe(ports: ClientPorts, installation: Installation, token: str) -> TokenFacts | Refusal:
    """Ask the OAuth host whose an access token is. Raises AddressRefused, PortalUnreachable."""
    endpoint = oauth_endpoint(installation.server_endpoint, named=ports.named_hosts())
    # The token stands where Bitrix24's documentation has it; nobody has said that this host reads JSON.
    url = f"{endpoint}app.info?{urlencode({'auth': token})}"
    try:
        answer = await ports.http.post(url, b"", _FORM, timeout=TIMEOUT)
    except AddressRefused:
        raise
    except TransportError as error:
        raise _unreachable(error) from None
    match read(answer.status, answer.headers, answer.body):
        case Reply() as reply if (facts := token_facts(reply)) is not None:
            return facts
        case Refusal() as refusal if not (refusal.busy or refusal.failed):
            return refusal
        case Refusal() as refusal:
            raise PortalUnreachable(f"The OAuth host answered {refusal}", retry_after=_RETRY)
        case Reply() | Moved():
            raise PortalUnreachable("The OAuth host does not say whose the token is", retry_after=_RETRY)


def application(installation: Installation) -> ApplicationAccess:
    """Return the access of an application. Raises PortalClosed for a webhook, which has no tokens."""
    if not isinstance(installation.access, ApplicationAccess):
        raise PortalClosed("The portal is connected by a webhook, which has no tokens")
    return installation.access


def refused(refusal: Refusal) -> PortalRefused:
    """Return the error for an OAuth host's no."""
    return PortalRefused(
        f"The OAuth host answered {refusal}", answered=refusal.status, reason=refusal.code, fix=CONNECT_AGAIN
    )


class Keeper:
    """Renews the tokens of installations, each at most once at a time."""

    def __init__(self, ports: ClientPorts) -> None:
        self._ports = ports
        self._running: dict[int, asyncio.Task[None]] = {}
        self._unwritten: dict[int, tuple[str, Grant, int]] = {}
        self._lost: dict[int, str] = {}
        """Refresh tokens that were used, and no answer came."""

    async def renew(self, number: int, *, instead_of: str) -> None:
        """Have another access token in the store than `instead_of`, whatever state the installation is in.

        Raises PortalClosed, PortalRefused, PortalUnreachable, StoreUnavailable.
        """
        tokens = application(known_installation(self._ports, number)).tokens
        if tokens is not None and tokens.access != instead_of:
            return
        task = self._running.get(number)
        if task is None:
            task = self._running[number] = asyncio.create_task(self._renew(number))
            task.add_done_callback(lambda done: self._ended(number, done))
        await asyncio.shield(task)

    async def renew_idle(self) -> None:
        """Renew pairs that nobody used for a month; what fails is tried again at the next call."""
        now = self._ports.clock.now()
        for installation in self._ports.installations.all():
            access = installation.access
            if installation.state is not InstallationState.ACTIVE or not isinstance(access, ApplicationAccess):
                continue
            if access.tokens is not None and access.tokens.access_expires < now - IDLE:
                try:
                    await self.renew(installation.id, instead_of=access.tokens.access)
                except WakelineError as error:
                    _log.warning("bitrix24.not_renewed", installation=installation.id, cause=error.detail)

    async def close(self) -> None:
        """Wait for what is under way: a pair that was granted has to be kept."""
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    def _ended(self, number: int, task: asyncio.Task[None]) -> None:
        del self._running[number]
        if not task.cancelled():
            task.exception()

    async def _renew(self, number: int) -> None:
        installation = known_installation(self._ports, number)
        used = application(installation).tokens
        if used is None:
            raise await close(self._ports, number, "The portal took its tokens back")
        grant, at = await self._granted(installation, used)
        if grant is None:
            return
        if grant.member_id and installation.member_id and grant.member_id != installation.member_id:
            raise await close(self._ports, number, "The OAuth host answered for another portal")
        self._unwritten[number] = (used.refresh, grant, at)
        try:
            await self._ports.installations.keep_tokens(number, tokens_of(grant, at), instead_of=used.refresh)
        except NotFound:
            raise PortalClosed("The portal is not connected any more") from None
        del self._unwritten[number]
        await self._adopt(number, grant)

    async def _adopt(self, number: int, grant: Grant) -> None:
        """Take over where the OAuth host says that the portal is: its former address may not even answer any more."""
        installation = known_installation(self._ports, number)
        try:
            rest = rest_endpoint(grant.client_endpoint or installation.client_endpoint, named=self._ports.named_hosts())
        except AddressRefused as error:
            host = host_of(installation.client_endpoint)
            _log.warning("bitrix24.move_refused", installation=number, host=host, cause=error.detail, fix=error.fix)
            return
        if rest != installation.client_endpoint:
            await move(self._ports, installation, rest)

    async def _granted(self, installation: Installation, used: Tokens) -> tuple[Grant | None, int]:
        """Return a new pair and when it was granted; none if somebody else has kept one meanwhile."""
        refresh, grant, at = self._unwritten.get(installation.id, ("", None, 0))
        if grant is not None and refresh == used.refresh:
            return grant, at
        now = self._ports.clock.now()
        found = await self._asked(installation, used.refresh)
        if isinstance(found, Grant):
            return found, now
        there = application(known_installation(self._ports, installation.id)).tokens
        if there is not None and there.refresh != used.refresh:
            return None, now
        if found.code in _FOR_GOOD:
            lost = self._lost.pop(installation.id, "") == used.refresh
            raise await close(self._ports, installation.id, f"The OAuth host answered {found}{_LOST if lost else ''}")
        raise refused(found)

    async def _asked(self, installation: Installation, refresh: str) -> Grant | Refusal:
        """Ask for a new pair. Raises AddressRefused, and PortalUnreachable: what it was wanted for was not done, at any rate."""
        try:
            return await exchange(self._ports, installation, {"grant_type": "refresh_token", "refresh_token": refresh})
        except PortalUnreachable as error:
            if error.doubtful:
                self._lost[installation.id] = refresh
            raise PortalUnreachable(error.detail, retry_after=error.retry_after or _RETRY, fix=error.fix) from None


def _unreachable(error: TransportError, *, doubtful: bool = False) -> PortalUnreachable:
    """Return the error for a network that failed."""
    detail = f"The OAuth host: {error.detail}"
    return PortalUnreachable(detail, retry_after=_RETRY, doubtful=doubtful, fix=error.fix)
