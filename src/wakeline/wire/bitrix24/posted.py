"""What a portal posts to an application: an event, or a launch of the application in a frame of the portal. Pure reading.

    event   a form: event, event_handler_id, data[...], ts, auth[...]
    launch  a form: AUTH_ID, AUTH_EXPIRES, REFRESH_ID, SERVER_ENDPOINT, APPLICATION_TOKEN, member_id, ...

Nothing of it is proven. Rule: a name or a token that no portal would send counts as not sent, so that whoever compares it
finds nothing; a form that breaks the caps of `wire.php_form`, or is neither of the two, cannot be read.
Source: Bitrix24 REST, "Event handling", "Getting OAuth 2.0 tokens in a simple way".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from wakeline.model.bitrix24.installation import Tokens
from wakeline.model.errors import RemoteProtocolError
from wakeline.wire import php_form

Value = object

_EVENT = re.compile(r"[A-Za-z0-9_.:]{1,100}")
_MEMBER_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TOKEN = re.compile(r"[\x21-\x7e]{1,512}")
_ENDPOINT = re.compile(r"[\x21-\x7e]{1,300}")
_MOST_DIGITS = 12
_LONGEST_LIFE = 86_400
"""Seconds: an access token lives an hour. What claims to live longer is asked about anew after a day."""
_USUAL_LIFE = 3600


class Auth(msgspec.Struct, frozen=True, kw_only=True):
    """Who says that they post. `expires_in` in seconds; `user` 0: nobody is named."""

    application_token: str = ""
    member_id: str = ""
    access: str = ""
    refresh: str = ""
    expires_in: int = _USUAL_LIFE
    scopes: tuple[str, ...] = ()
    user: int = 0
    server_endpoint: str = ""

    def __repr__(self) -> str:
        """Leave the tokens out: a repr ends in logs and tracebacks."""
        return f"Auth(member_id={self.member_id!r}, user={self.user})"

    def tokens(self, now: int) -> Tokens | None:
        """Return the pair that came along at this time (Unix ms); None: no pair did."""
        if not (self.access and self.refresh):
            return None
        expires = now + min(self.expires_in, _LONGEST_LIFE) * 1000
        return Tokens(
            access=self.access, refresh=self.refresh, access_expires=expires, user=self.user, scopes=self.scopes
        )


class PostedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event. `event` in upper case; `raised` in Unix seconds, 0: it was not said."""

    event: str
    data: Value
    raised: int
    auth: Auth

    def __repr__(self) -> str:
        """Leave out the data, which is the portal's business."""
        return f"PostedEvent(event={self.event!r})"


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody opened the application in the portal."""

    auth: Auth


def read(body: bytes) -> PostedEvent | Launch:
    """Return what a form says. Raises RemoteProtocolError."""
    form = php_form.parse(body.decode("utf-8", "replace"))
    auth = form.get("auth")
    if _matching(_EVENT, form.get("event")):
        return PostedEvent(
            event=_matching(_EVENT, form["event"]).upper(),
            data=form.get("data"),
            raised=_number(form.get("ts")),
            auth=_event_auth(auth if isinstance(auth, Mapping) else {}),
        )
    if _matching(_TOKEN, form.get("AUTH_ID")):
        return Launch(auth=_launch_auth(form))
    raise RemoteProtocolError("The form is neither an event of a portal nor a launch of its application")


def _event_auth(auth: Mapping[Value, Value]) -> Auth:
    return Auth(
        application_token=_matching(_TOKEN, auth.get("application_token")),
        member_id=_matching(_MEMBER_ID, auth.get("member_id")),
        access=_matching(_TOKEN, auth.get("access_token")),
        refresh=_matching(_TOKEN, auth.get("refresh_token")),
        expires_in=_number(auth.get("expires_in")) or _USUAL_LIFE,
        scopes=_scopes(auth.get("scope")),
        user=_number(auth.get("user_id")),
        server_endpoint=_matching(_ENDPOINT, auth.get("server_endpoint")),
    )


def _launch_auth(form: Mapping[str, Value]) -> Auth:
    return Auth(
        application_token=_matching(_TOKEN, form.get("APPLICATION_TOKEN")),
        member_id=_matching(_MEMBER_ID, form.get("member_id")),
        access=_matching(_TOKEN, form.get("AUTH_ID")),
        refresh=_matching(_TOKEN, form.get("REFRESH_ID")),
        expires_in=_number(form.get("AUTH_EXPIRES")) or _USUAL_LIFE,
        scopes=_scopes(form.get("APPLICATION_SCOPE")),
        server_endpoint=_matching(_ENDPOINT, form.get("SERVER_ENDPOINT")),
    )


def _matching(pattern: re.Pattern[str], said: Value) -> str:
    return said if isinstance(said, str) and pattern.fullmatch(said) else ""


def _number(said: Value) -> int:
    text = said if isinstance(said, str) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else 0


def _scopes(said: Value) -> tuple[str, ...]:
    """Return scopes; the documentation shows them with spaces in one place and with commas in another."""
    return tuple(said.replace(",", " ").split()) if isinstance(said, str) else ()
