"""Getting into a portal: whose word is believed when an application is installed, and what is learnt from it.

Rules (Bitrix24: "Safe event handlers", "Complete OAuth 2.0 protocol"):
- what a browser or an event brings (tokens, member id, addresses) is a claim. The OAuth host, which is Bitrix24's or one that the
  operator named, says to which application and portal an access token belongs; both have to be those that we know;
- the address that the OAuth host names is where REST is. The portal there has to answer before the installation counts as active;
- a code from the authorization page is exchanged at once: it is good for half a minute, and once.
"""

from __future__ import annotations

import msgspec

from wakeline.connectors.bitrix24.connections import Connections
from wakeline.connectors.bitrix24.line import Ask
from wakeline.connectors.bitrix24.oauth import application, describe, exchange, refused, tokens_of
from wakeline.connectors.bitrix24.standing import known_installation
from wakeline.model.bitrix24.installation import (
    ApplicationAccess,
    Installation,
    InstallationState,
    Tokens,
    WebhookAccess,
)
from wakeline.model.errors import AddressRefused, PortalClosed, PortalError, PortalRefused, PortalUnreachable
from wakeline.wire.bitrix24.answer import Moved, Refusal, Reply
from wakeline.wire.bitrix24.endpoints import host_of, oauth_endpoint, rest_endpoint, webhook_address
from wakeline.wire.bitrix24.oauth_answers import Grant, TokenFacts

_EXPIRED = "expired_token"
_OTHER_PORTAL = "Connect that portal as one more installation, or delete this one first."


async def verify(connections: Connections, installation: Installation) -> Installation:
    """Ask the portal who it is; returns what was learnt, active, which is not kept yet (renewed tokens of a kept one are).

    Raises AddressRefused (an address we do not speak to), PortalClosed (not installed), PortalRefused, PortalUnreachable.
    """
    if isinstance(installation.access, WebhookAccess):
        return await _verify_webhook(connections, installation, installation.access)
    return await _verify_application(connections, installation)


async def redeem(connections: Connections, installation: Installation, code: str) -> Installation:
    """Exchange an authorization code for tokens and verify them; not kept yet. Raises as `verify`."""
    ports = connections.ports
    now = ports.clock.now()
    found = await exchange(ports, installation, {"grant_type": "authorization_code", "code": code})
    if isinstance(found, Refusal):
        raise PortalRefused(
            f"The OAuth host answered {found} to the authorization code",
            answered=found.status,
            reason=found.code,
            fix="Begin the authorization again; compare client_id and client_secret with those on the portal.",
        )
    return await verify(connections, _with_grant(installation, found, now, ports.named_hosts()))


async def _verify_webhook(connections: Connections, installation: Installation, access: WebhookAccess) -> Installation:
    url, rest = webhook_address(access.url, named=connections.ports.named_hosts())
    await _let_in(connections, rest, url, "")
    return msgspec.structs.replace(
        installation,
        access=WebhookAccess(url=url),
        client_endpoint=rest,
        state=InstallationState.ACTIVE,
        cause="",
    )


async def _verify_application(connections: Connections, installation: Installation) -> Installation:
    named = connections.ports.named_hosts()
    facts = await describe(connections.ports, installation, _tokens(installation).access)
    if isinstance(facts, Refusal) and facts.code == _EXPIRED:
        installation = await _renewed(connections, installation)
        facts = await describe(connections.ports, installation, _tokens(installation).access)
    if isinstance(facts, Refusal):
        raise refused(facts)
    access, tokens = application(installation), _tokens(installation)
    _compare(installation, access, facts)
    rest = rest_endpoint(facts.client_endpoint, named=named)
    await _let_in(connections, rest, rest, tokens.access)
    tokens = msgspec.structs.replace(tokens, user=facts.user or tokens.user, scopes=facts.scopes)
    return msgspec.structs.replace(
        installation,
        access=msgspec.structs.replace(access, tokens=tokens),
        client_endpoint=rest,
        server_endpoint=oauth_endpoint(installation.server_endpoint, named=named),
        member_id=facts.member_id,
        state=InstallationState.ACTIVE,
        cause="",
    )


def _tokens(installation: Installation) -> Tokens:
    tokens = application(installation).tokens
    if tokens is None:
        raise PortalClosed(
            "The portal has given us no tokens yet",
            fix="Install the application on the portal, or have an administrator authorize it.",
        )
    return tokens


def _compare(installation: Installation, access: ApplicationAccess, facts: TokenFacts) -> None:
    if facts.client_id != access.client_id:
        raise PortalRefused("The tokens are another application's", answered=200, reason="wrong_client")
    if installation.member_id not in ("", facts.member_id):
        raise PortalRefused("The tokens are another portal's", answered=200, reason="wrong_portal", fix=_OTHER_PORTAL)


async def _renewed(connections: Connections, installation: Installation) -> Installation:
    """Return the installation with tokens that are younger; those of a kept one are kept before they are used."""
    ports = connections.ports
    used = _tokens(installation)
    kept = ports.installations.by_id(installation.id)
    if kept is not None and kept.access == installation.access:
        await connections.keeper.renew(installation.id, instead_of=used.access)
        access = known_installation(ports, installation.id).access
        return msgspec.structs.replace(installation, access=access)
    if not used.refresh:
        raise PortalRefused("The access token has expired", answered=401, reason=_EXPIRED)
    now = ports.clock.now()
    found = await exchange(ports, installation, {"grant_type": "refresh_token", "refresh_token": used.refresh})
    if isinstance(found, Refusal):
        raise refused(found)
    return _with_grant(installation, found, now, ports.named_hosts())


def _with_grant(installation: Installation, grant: Grant, now: int, named: tuple[str, ...]) -> Installation:
    """Return the installation with a pair of tokens that its OAuth host granted; the portal's ids are compared later."""
    access = msgspec.structs.replace(application(installation), tokens=tokens_of(grant, now))
    try:
        server = oauth_endpoint(grant.server_endpoint or installation.server_endpoint, named=named)
    except AddressRefused:
        # An OAuth host names another that we do not know: the one that granted stays.
        server = oauth_endpoint(installation.server_endpoint, named=named)
    return msgspec.structs.replace(installation, access=access, server_endpoint=server)


async def _let_in(connections: Connections, rest: str, address: str, token: str) -> None:
    """Have the portal answer us. Raises PortalRefused, PortalUnreachable."""
    line = connections.line(rest)
    body = msgspec.json.encode({"auth": token} if token else {})
    answered = await line.ask(Ask(url=f"{address}app.info", body=body, work=("app.info", rest)))
    if not isinstance(answered, Reply):
        raise _not_in(answered, host_of(rest), line.retry_after())


def _not_in(answered: Refusal | Moved, host: str, retry_after: float) -> PortalError:
    match answered:
        case Moved():
            return PortalUnreachable(
                f"The portal is not at {host} any more", retry_after=retry_after, fix="Give its present address."
            )
        case Refusal() if answered.busy or answered.failed:
            return PortalUnreachable(f"{host} answered {answered}", retry_after=retry_after)
        case Refusal():
            return PortalRefused(
                f"{host} answered {answered}",
                answered=answered.status,
                reason=answered.code,
                fix="Compare the address with the portal's page of the webhook or application, and its tariff.",
            )
