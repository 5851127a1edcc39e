"""The OAuth host: codes for tokens, tokens for newer ones.

Bitrix24: "Complete OAuth 2.0 protocol". A code is good once and for 30 seconds, an access token for an hour, and a refresh token
once: an answer brings both anew. `/oauth/authorize/` asks nobody; the administrator agrees at once.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from wakeline.simulator.portal.memory import ADMIN, Application, Memory, Session
from wakeline.simulator.portal.php import Tree
from wakeline.simulator.portal.records import moment
from wakeline.simulator.portal.refusal import Refusal

_KEPT = 10_000


def authorized(memory: Memory, said: Mapping[str, str], now: float) -> str:
    """The address that `/oauth/authorize/` leads to. Raises Refusal."""
    application = memory.applications.get(said.get("client_id", ""))
    if application is None:
        raise Refusal(400, "invalid_client", "Application not found")
    wanted = said.get("redirect_uri", "")
    target = application.redirect_uri or wanted
    if not target or wanted not in ("", target):
        raise Refusal(400, "invalid_request", "redirect_uri is not the application's")
    code = secrets.token_hex(16)
    _remember(memory.codes, code, Session(application.client_id, ADMIN, now + memory.switches.code_lifetime_s))
    more = {
        "code": code,
        "state": said.get("state", ""),
        "domain": urlsplit(memory.client_endpoint).netloc,
        "member_id": memory.member_id,
        "scope": ",".join(application.scope),
        "server_domain": urlsplit(memory.server_endpoint).netloc,
    }
    return f"{target}{'&' if '?' in target else '?'}{urlencode(more)}"


def exchanged(memory: Memory, said: Mapping[str, str], now: float, lifetime_s: int) -> Tree:
    """What `/oauth/token/` answers. Raises Refusal."""
    application = memory.applications.get(said.get("client_id", ""))
    if application is None or application.client_secret != said.get("client_secret"):
        raise Refusal(400, "invalid_client", "Client authentication failed")
    match said.get("grant_type", ""):
        case "authorization_code":
            known, name = memory.codes, "code"
        case "refresh_token":
            known, name = memory.refresh, "refresh_token"
        case _:
            raise Refusal(400, "invalid_request", "Unknown grant_type")
    if not said.get(name):
        raise Refusal(400, "invalid_request", f'No "{name}" parameter found')
    session = known.get(said[name])
    if session is None or session.client_id != application.client_id or session.expires_at <= now:
        raise Refusal(400, "invalid_grant")
    if not application.installed:
        raise Refusal(401, "NOT_INSTALLED")
    if not memory.switches.paid:
        raise Refusal(401, "PAYMENT_REQUIRED")
    del known[said[name]]
    return granted(memory, application, session.user, now, lifetime_s)


def granted(memory: Memory, application: Application, user: int, now: float, lifetime_s: int) -> Tree:
    """A new pair of tokens of the user, and all that stands beside it."""
    refresh = secrets.token_hex(35)
    _remember(memory.refresh, refresh, Session(application.client_id, user, now + memory.switches.refresh_lifetime_s))
    token = access_token(memory, application, user, now, lifetime_s)
    return {
        "access_token": token,
        **surroundings(memory, application, user, now, lifetime_s),
        "domain": urlsplit(memory.server_endpoint).netloc,
        "refresh_token": refresh,
    }


def access_token(memory: Memory, application: Application, user: int, now: float, lifetime_s: int) -> str:
    """A new access token of the user."""
    token = secrets.token_hex(35)
    _remember(memory.access, token, Session(application.client_id, user, now + lifetime_s))
    return token


def surroundings(memory: Memory, application: Application, user: int, now: float, lifetime_s: int) -> Tree:
    """What stands beside an access token, in answers and in events."""
    return {
        "expires": int(now) + lifetime_s,
        "expires_in": lifetime_s,
        "scope": ",".join(application.scope),
        "domain": urlsplit(memory.client_endpoint).netloc,
        "server_endpoint": memory.server_endpoint,
        "status": "L",
        "client_endpoint": memory.client_endpoint,
        "member_id": memory.member_id,
        "user_id": user,
    }


def described(memory: Memory, token: str, now: float) -> Tree:
    """What `/rest/app.info` of the OAuth host says of an access token. Raises Refusal."""
    session = live_session(memory, token, now)
    application = memory.applications[session.client_id]
    return {
        "client_id": application.client_id,
        "scope": ",".join(application.scope),
        "expires": moment(session.expires_at),
        "install": {
            "installed": application.installed,
            "version": "1",
            "status": "L",
            "scope": ",".join(application.scope),
            # Only the name, without a port, as Bitrix24's clients compare it.
            "domain": urlsplit(memory.client_endpoint).hostname or "",
            "uri": "",
            "client_endpoint": memory.client_endpoint,
            "member_id": memory.member_id,
            "member_type": "simple",
        },
        "user_id": session.user,
    }


def live_session(memory: Memory, token: str, now: float) -> Session:
    """Whose access token it is. Raises Refusal."""
    session = memory.access.get(token)
    if session is None or session.client_id not in memory.applications:
        raise Refusal(401, "invalid_token")
    if session.expires_at <= now:
        raise Refusal(401, "expired_token")
    return session


def expire_all(memory: Memory) -> int:
    """Every access token expires now; how many there were."""
    for token, session in memory.access.items():
        memory.access[token] = Session(session.client_id, session.user, 0.0)
    return len(memory.access)


def _remember(known: dict[str, Session], secret: str, session: Session) -> None:
    if len(known) >= _KEPT:
        known.pop(next(iter(known)))
    known[secret] = session
