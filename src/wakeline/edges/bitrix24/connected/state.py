"""The `state` of a visit to a portal's authorization page: it says that we sent the administrator there, and for which portal.

Form: base64url(JSON) + `.` + base64url(HMAC-SHA256). Without it, anybody could make an administrator's browser bring us a code
of another portal (RFC 6749 section 10.12). The visit begins on a terminal as well as in a browser, so that it is bound to no
cookie: it lives for minutes, is good for one installation, and the code beside it is good once.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from urllib.parse import urlencode, urlsplit

import msgspec

from wakeline.model.bitrix24.installation import ApplicationAccess, Installation

PURPOSE = "bitrix24-connect"
LIFE = 1800
"""Seconds in which an administrator signs in and agrees."""
_LONGEST = 400


class _Claims(msgspec.Struct, frozen=True):
    installation: int
    name: str
    expires: int


_decode = msgspec.json.Decoder(_Claims).decode


def authorization_url(installation: Installation, key: bytes, now: int) -> str:
    """Return where an administrator lets our application in; empty for a webhook, which needs no visit. `now` in Unix ms."""
    access = installation.access
    if not isinstance(access, ApplicationAccess):
        return ""
    portal = urlsplit(installation.client_endpoint)
    query = urlencode({"client_id": access.client_id, "response_type": "code", "state": issued(installation, key, now)})
    return f"{portal.scheme}://{portal.netloc}/oauth/authorize/?{query}"


def issued(installation: Installation, key: bytes, now: int) -> str:
    """Return a state for this installation."""
    claims = msgspec.json.encode(_Claims(installation.id, installation.name, now + LIFE * 1000))
    return f"{_text(claims)}.{_text(_mark(claims, key))}"


def is_ours(state: str, installation: Installation, keys: Iterable[bytes], now: int) -> bool:
    """Tell whether we issued a state for this installation, with any of these keys, a short time ago."""
    body, _, mark = state[:_LONGEST].partition(".")
    claims, given = _bytes(body), _bytes(mark)
    if not any(hmac.compare_digest(_mark(claims, key), given) for key in keys):
        return False
    found = _decode(claims)
    return (found.installation, found.name) == (installation.id, installation.name) and found.expires > now


def _mark(claims: bytes, key: bytes) -> bytes:
    return hmac.new(key, claims, hashlib.sha256).digest()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
