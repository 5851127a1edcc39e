"""Our application is installed on a portal, updated, or taken away.

Theory: whoever knows an address can post tokens to it. They are believed when an OAuth server that Bitrix24 itself uses says that
they are tokens of our application on that portal; the server that a post names is never asked if it is another. What is known
stays in force against what is only new:
- a portal's id never changes, and a portal that is not yet known by id has to answer where the operator said it would;
- the application token of an active installation never changes: where a removal was missed, the operator has it forgotten;
- tokens of an active installation that work are only replaced by those of the same user that may do more: an employee who opened
  the application in the portal has tokens too, and a post that comes once more has some that were spent meanwhile;
- tokens that are refused for good are replaced by whatever the portal posts with a refresh token: an installation, or the notice
  that its queue has something. So an answer of the OAuth host that was lost, and the new pair with it, is mended by the next event.
Source: Bitrix24 REST, "Application installation", "Security in handlers".
"""

from __future__ import annotations

import hmac
from http import HTTPStatus

import msgspec
import structlog

from wakeline.edges.bitrix24.connected.ports import ConnectedPorts
from wakeline.edges.bitrix24.connected.proof import has_token, is_same_portal
from wakeline.edges.bitrix24.connected.queues import Queues
from wakeline.edges.bitrix24.connected.refused import Refused, Unproven, says_no
from wakeline.model.bitrix24.installation import ApplicationAccess, Installation, InstallationState, Tokens
from wakeline.model.errors import WakelineError
from wakeline.model.event import Event, EventData, EventType
from wakeline.wire.bitrix24.endpoints import host_of, same_origin
from wakeline.wire.bitrix24.oauth_server import DEFAULT_SERVER_ENDPOINT, server_endpoint
from wakeline.wire.bitrix24.posted import Auth

_TRIES = 3
"""To put new tokens in place while the old ones are being refreshed."""
_REMOVED = "The portal has removed the application"
CONNECT_ANEW = "Have the operator connect it: wakeline bitrix24 portal connect."
LEARN_ANEW = (
    "If the portal has another application token now, have the operator put it here, or an empty one to learn it anew: "
    "wakeline bitrix24 portal change PORTAL --application-token TOKEN."
)

_log = structlog.get_logger()


class Installing:
    """Takes tokens that came from outside."""

    def __init__(self, ports: ConnectedPorts, queues: Queues) -> None:
        """Nothing is asked yet."""
        self._ports = ports
        self._queues = queues

    async def posted(self, number: int, auth: Auth) -> None:
        """Take the tokens that a portal posted. Raises Refused, and WakelineError if it cannot be asked about them."""
        async with self._queues.of(number):
            known, access = self._application(number)
            if known.state is InstallationState.ACTIVE and _has_them(access, auth):
                return
            candidate = self._candidate(known, access, auth)
            found = await self._ports.portals.verify(candidate)
            _check(known, found, auth.member_id)
            if await self._may_replace(known, found):
                await self._keep(known, found, auth.application_token)
            elif not known.application_token:
                latest = msgspec.structs.replace(self._known(number), application_token=auth.application_token)
                await self._ports.installations.change(latest)
        await self._bind(number)

    async def noticed(self, number: int, auth: Auth) -> None:
        """Take the tokens of a notice about the portal's queue if those that we had, of the same user, are good for nothing.

        Raises as `posted`.
        """
        known, _ = self._application(number)
        old = _tokens(known)
        if known.state is InstallationState.DEAD and auth.refresh and old is not None and old.user in (0, auth.user):
            await self.posted(number, auth)

    async def redeemed(self, number: int, code: str, server: str) -> None:
        """Take the tokens that a code is good for, which an administrator brought. Raises as `posted`.

        `server`: the OAuth server's address if none is known yet; empty: Bitrix24's usual one.
        """
        async with self._queues.of(number):
            known, _ = self._application(number)
            asked = msgspec.structs.replace(known, server_endpoint=known.server_endpoint or server)
            found = await self._ports.portals.redeem(asked, code)
            _check(known, found, known.member_id or found.member_id)
            await self._keep(known, found, "")
        await self._bind(number)

    async def removed(self, number: int) -> None:
        """Know that the portal has taken our application away: its tokens are void, and it is asked nothing any more."""
        async with self._queues.of(number):
            known, access = self._application(number)
            if access.tokens is not None:
                await self._ports.installations.keep_tokens(number, None, instead_of=access.tokens.refresh)
            await self._ports.installations.change(
                msgspec.structs.replace(
                    self._known(number),
                    state=InstallationState.DEAD,
                    cause=_REMOVED,
                    # One that is installed again may have another.
                    application_token="",
                )
            )
            await self._tell(known)

    async def _tell(self, removed: Installation) -> None:
        _log.warning("bitrix24.connected.removed", installation=removed.id, portal=host_of(removed.client_endpoint))
        app = self._ports.apps.by_id(removed.app)
        slug = "" if app is None else app.slug
        note = f"{_REMOVED} at {host_of(removed.client_endpoint)}. Nothing is asked of it until it is installed again."
        event = Event(type=EventType.PORTAL_CLOSED, at=self._ports.clock.now(), app=slug, data=EventData(note=note))
        await self._ports.events.append([event])

    def _known(self, number: int) -> Installation:
        found = self._ports.installations.by_id(number)
        if found is None:
            raise Refused(HTTPStatus.NOT_FOUND, "NOT_FOUND", "No portal is connected here")
        return found

    def _application(self, number: int) -> tuple[Installation, ApplicationAccess]:
        found = self._known(number)
        if not isinstance(found.access, ApplicationAccess):
            raise Unproven("This portal is connected by webhooks, and there is nothing to install", CONNECT_ANEW)
        return found, found.access

    def _candidate(self, known: Installation, access: ApplicationAccess, auth: Auth) -> Installation:
        """Return the installation as it would be with the posted tokens. Raises Unproven for what needs no question."""
        tokens = auth.tokens(self._ports.clock.now())
        # Portals of former years name none when the application is opened.
        said = auth.server_endpoint or known.server_endpoint or DEFAULT_SERVER_ENDPOINT
        endpoint = server_endpoint(said, self._ports.hosts())
        if tokens is None or not (auth.member_id and auth.application_token):
            raise Unproven("The installation brings no tokens, or does not say of which portal")
        if not endpoint:
            raise Unproven(
                "The installation names an OAuth server that is not one of Bitrix24's",
                "If it is yours, name its host in the settings: [bitrix24] connected_hosts.",
            )
        if not is_same_portal(known, auth):
            raise Unproven("Another portal is connected here", CONNECT_ANEW)
        is_active = known.state is InstallationState.ACTIVE
        if is_active and known.application_token and not has_token(known, auth):
            raise Unproven("The application token is not the one that this portal has had", LEARN_ANEW)
        return msgspec.structs.replace(
            known,
            # Who they belong to is for the OAuth server to say.
            access=msgspec.structs.replace(access, tokens=msgspec.structs.replace(tokens, user=0)),
            server_endpoint=endpoint,
            member_id=auth.member_id,
        )

    async def _may_replace(self, known: Installation, found: Installation) -> bool:
        """Tell whether the new tokens are to take the place of those in force."""
        old, new = _tokens(known), _tokens(found)
        if known.state is not InstallationState.ACTIVE or old is None:
            return True
        if new is not None and new.user == old.user and not set(new.scopes) <= set(old.scopes):
            return True
        try:
            await self._ports.portals.verify(known)
        except WakelineError as error:
            if says_no(error):
                return True
            raise
        return False

    async def _keep(self, known: Installation, found: Installation, application_token: str) -> None:
        """Put in force what was learnt: tokens first, for an installation is active only when it has them."""
        for _ in range(_TRIES):
            old = _tokens(self._known(known.id))
            if await self._ports.installations.keep_tokens(
                known.id, _tokens(found), instead_of=old.refresh if old else ""
            ):
                break
        else:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "INTERNAL_SERVER_ERROR", "Its tokens are being refreshed")
        latest = self._known(known.id)
        await self._ports.installations.change(
            msgspec.structs.replace(
                latest,
                client_endpoint=found.client_endpoint,
                server_endpoint=found.server_endpoint,
                member_id=found.member_id,
                application_token=application_token or latest.application_token,
                state=InstallationState.ACTIVE,
                cause="",
            )
        )
        _log.info("bitrix24.connected.installed", installation=known.id, portal=host_of(found.client_endpoint))

    async def _bind(self, number: int) -> None:
        """Have events posted to us, now or as soon as the portal answers. The installation stands without that."""
        self._ports.portals.connected(number)
        try:
            events = await self._ports.portals.bind(self._known(number))
        except WakelineError as error:
            _log.warning(
                "bitrix24.connected.events_not_bound",
                installation=number,
                code=error.code,
                detail=error.detail,
                fix=error.fix,
            )
            if not says_no(error):
                self._ports.portals.rules_changed()
        else:
            _log.info("bitrix24.connected.events_bound", installation=number, events=list(events))


def _has_them(access: ApplicationAccess, auth: Auth) -> bool:
    """Tell whether these tokens are in force already: an installation is told by an event and by a launch."""
    old = access.tokens
    return old is not None and all(
        hmac.compare_digest(one.encode(), other.encode())
        for one, other in ((old.access, auth.access), (old.refresh, auth.refresh))
    )


def _check(known: Installation, found: Installation, member_id: str) -> None:
    """Raise Unproven unless tokens are those of the portal that is meant."""
    if not found.member_id or found.member_id != member_id:
        raise Unproven("The tokens are those of another portal", CONNECT_ANEW)
    if not known.member_id and not same_origin(known.client_endpoint, found.client_endpoint):
        raise Unproven(
            f"The portal is at {host_of(found.client_endpoint)}, and not where it was said to be", CONNECT_ANEW
        )


def _tokens(installation: Installation) -> Tokens | None:
    return installation.access.tokens if isinstance(installation.access, ApplicationAccess) else None
