"""`/oauth/authorize/`: a user signs in and lets an application work in his name; it gets a code that is good once, for 30 s.

The application is sent to the address that was registered for it and to no other; `redirect_uri`, if given, must be that very
address. PKCE (RFC 7636) is optional, and its method is S256.
"""

from __future__ import annotations

import re
import secrets
from http import HTTPStatus

import structlog
from starlette.responses import Response

from wakeline.edges.bitrix24.call import BitrixPorts
from wakeline.edges.bitrix24.granting import may_use
from wakeline.edges.bitrix24.oauth import pages, ticket
from wakeline.edges.bitrix24.oauth.asked import Asked
from wakeline.edges.bitrix24.oauth.throttle import ADDRESS, USER, Throttle, neighbourhood
from wakeline.edges.bitrix24.redirects import with_answer
from wakeline.edges.bitrix24.secrets import digest, is_password, new_code
from wakeline.model.bitrix24.access import AuthorizationCode, PortalApplication, PortalUser
from wakeline.model.errors import NotFound

CODE_LIFE = 30
"""Seconds (Bitrix24: OAuth 2.0, "Obtaining the first access token")."""

_LONGEST_STATE = 2000
_LONGEST_LOGIN = 255
_LONGEST_PASSWORD = 1024
_JUDGED_AT_ONCE = 20
"""Passwords that wait for their turn: beyond that nobody would wait for the answer."""
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}\Z")
_COOKIE = re.compile(r"[A-Za-z0-9_-]{43}\Z")

log = structlog.get_logger()


class Refusal(Exception):
    """Nothing can be done; the page says why."""

    def __init__(self, cause: str, fix: str = "", status: int = HTTPStatus.BAD_REQUEST) -> None:
        """Say it in sentences for whoever looks at the page."""
        super().__init__(cause)
        self.cause = cause
        self.fix = fix
        self.status = status


class Authorize:
    """The login page and what follows it."""

    def __init__(self, ports: BitrixPorts) -> None:
        """Begin with nobody throttled."""
        self._ports = ports
        self._by_user, self._by_address = Throttle(USER), Throttle(ADDRESS)
        self._judged = 0

    async def answer(self, asked: Asked) -> Response:
        """Show the page, or judge what was typed into it."""
        try:
            return await self._sign_in(asked) if asked.method == "POST" else self._show(asked)
        except Refusal as refusal:
            return pages.refused(refusal.cause, refusal.fix, refusal.status)

    def _show(self, asked: Asked) -> Response:
        application = self._application(asked.params.get("client_id", ""))
        wanted = ticket.Ticket(
            client_id=application.client_id,
            state=_state(asked.params),
            challenge=_challenge(asked.params),
            expires=asked.now + ticket.LIFE * 1000,
        )
        _check(asked.params, application)
        return self._page(asked, application, wanted)

    async def _sign_in(self, asked: Asked) -> Response:
        cookie, keys = asked.cookies.get(pages.COOKIE, ""), self._ports.secrets.accepted(ticket.PURPOSE)
        wanted = ticket.opened(asked.params.get("ticket", ""), cookie, keys, asked.now)
        if wanted is None:
            raise Refusal(
                "This page is too old, or was not opened in this browser.",
                "Go back to the application and begin again; cookies of this site must be allowed.",
                HTTPStatus.FORBIDDEN,
            )
        application = self._application(wanted.client_id)
        wait = self._wait(asked)
        if wait:
            return self._too_often(asked, application, wanted, wait)
        user = await self._user(asked)
        if user is None:
            log.warning("bitrix24.login_refused", address=asked.address, application=application.client_id)
            said = "Login or password is wrong."
            return self._page(asked, application, wanted, said=said, status=HTTPStatus.FORBIDDEN)
        if not may_use(application, user):
            log.warning("bitrix24.application_restricted", user=user.id, application=application.client_id)
            raise Refusal(
                "This application is open to some users only, and you are not one of them.",
                "Ask the administrator of the portal.",
                HTTPStatus.FORBIDDEN,
            )
        return await self._grant(asked, application, user, wanted)

    def _application(self, client_id: str) -> PortalApplication:
        if self._ports.access.portal().closed:
            raise Refusal("The portal is closed.", "Ask its administrator.", HTTPStatus.SERVICE_UNAVAILABLE)
        found = self._ports.access.application_of(client_id) if client_id else None
        if found is None:
            raise Refusal("There is no application with this client_id.", "Check what the application was given.")
        if not found.redirect_uri:
            raise Refusal(
                "No address is registered to which this application's users come back.",
                "The administrator of the portal sets it: wakeline bitrix24 application set --redirect-uri.",
            )
        return found

    def _page(
        self,
        asked: Asked,
        application: PortalApplication,
        wanted: ticket.Ticket,
        *,
        said: str = "",
        status: int = HTTPStatus.OK,
    ) -> Response:
        """Show the login page; a browser keeps its cookie, so that two pages side by side both work."""
        known = asked.cookies.get(pages.COOKIE, "")
        cookie = known if _COOKIE.match(known) else secrets.token_urlsafe(32)
        key = self._ports.secrets.derive(ticket.PURPOSE)
        return pages.login(
            application,
            asked.addresses.portal_host,
            ticket.sealed(wanted, cookie, key),
            cookie,
            secure=asked.secure,
            said=said,
            name=asked.params.get("login", "")[:_LONGEST_LOGIN] if asked.method == "POST" else "",
            status=status,
        )

    def _wait(self, asked: Asked) -> float:
        """Count the attempt; return the seconds to wait if it is one too many."""
        if self._judged >= _JUDGED_AT_ONCE:
            return 1.0
        at = self._ports.clock.monotonic()
        return self._by_address.take(neighbourhood(asked.address), at) or self._by_user.take(_name(asked), at)

    def _too_often(
        self, asked: Asked, application: PortalApplication, wanted: ticket.Ticket, seconds: float
    ) -> Response:
        log.warning("bitrix24.login_throttled", address=asked.address, application=application.client_id)
        said = "Too many attempts. Wait a minute and try again."
        page = self._page(asked, application, wanted, said=said, status=HTTPStatus.TOO_MANY_REQUESTS)
        page.headers["retry-after"] = str(int(seconds) + 1)
        return page

    async def _user(self, asked: Asked) -> PortalUser | None:
        """Return who signed in. It takes the same time whether there is such a user or not."""
        found = await self._ports.access.user_by_login(_name(asked))
        kept = found.password if found is not None and found.active else ""
        self._judged += 1
        try:
            right = await is_password(asked.params.get("password", "")[:_LONGEST_PASSWORD], kept)
        finally:
            self._judged -= 1
        if not right:
            return None
        at = self._ports.clock.monotonic()
        self._by_user.give_back(_name(asked), at)
        self._by_address.give_back(neighbourhood(asked.address), at)
        return found

    async def _grant(
        self, asked: Asked, application: PortalApplication, user: PortalUser, wanted: ticket.Ticket
    ) -> Response:
        code = new_code()
        kept = AuthorizationCode(
            digest=digest(code),
            application=application.id,
            user=user.id,
            redirect_uri=application.redirect_uri,
            scopes=application.scopes,
            challenge=wanted.challenge,
            expires=self._ports.clock.now() + CODE_LIFE * 1000,
        )
        try:
            await self._ports.access.keep_code(kept)
        except NotFound:
            raise Refusal("The application was deleted meanwhile.") from None
        log.info("bitrix24.signed_in", user=user.id, application=application.client_id)
        answer = [
            ("code", code),
            *([] if wanted.state is None else [("state", wanted.state)]),
            ("domain", asked.addresses.portal_host),
            ("member_id", self._ports.access.portal().member_id),
            ("scope", ",".join(application.scopes)),
            ("server_domain", asked.addresses.oauth_host),
        ]
        headers = {
            "location": with_answer(application.redirect_uri, answer),
            "cache-control": "no-store",
            "referrer-policy": "no-referrer",
        }
        return Response(status_code=HTTPStatus.FOUND, headers=headers)


def _name(asked: Asked) -> str:
    """Return the typed login as it is looked up and counted."""
    return asked.params.get("login", "").strip()[:_LONGEST_LOGIN].casefold()


def _check(params: dict[str, str], application: PortalApplication) -> None:
    """Look at what an application may say for itself. Raises Refusal."""
    kind, address = params.get("response_type", "code"), params.get("redirect_uri")
    if kind != "code":
        raise Refusal("This response_type is not served.", "It is `code`, or left out.")
    if address is not None and address != application.redirect_uri:
        raise Refusal(
            "This redirect_uri is not the one that is registered for the application.",
            "They are compared letter by letter. Leave it out, or have the administrator register it.",
        )


def _state(params: dict[str, str]) -> str | None:
    state = params.get("state")
    if state is not None and len(state) > _LONGEST_STATE:
        raise Refusal(f"The state is longer than {_LONGEST_STATE} characters.")
    return state


def _challenge(params: dict[str, str]) -> str:
    """Return the challenge of PKCE, or nothing (RFC 7636 sections 4.2 and 4.3; `plain` protects from nobody)."""
    challenge = params.get("code_challenge")
    if challenge is None:
        return ""
    if params.get("code_challenge_method") != "S256" or not _CHALLENGE.match(challenge):
        raise Refusal(
            "The code_challenge cannot be used.",
            "Its code_challenge_method must be S256: 43 letters of base64url (RFC 7636 section 4.2).",
        )
    return challenge
