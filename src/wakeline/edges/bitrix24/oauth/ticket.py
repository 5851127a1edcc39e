"""What a login page carries until it comes back: which application asked for what. Signed, and bound to the browser.

Form: base64url(JSON) + `.` + base64url(HMAC-SHA256 over JSON and cookie). Whoever makes a page of another site post to ours has
neither a ticket that we signed nor the cookie beside it (cross-site request forgery); nothing is stored for who only looks.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable

import msgspec

PURPOSE = "bitrix24-login"
LIFE = 600
"""Seconds in which somebody signs in."""


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """A checked request for a code. `challenge` is that of PKCE, or empty; `expires` in Unix ms."""

    client_id: str
    state: str | None
    challenge: str
    expires: int


_decode = msgspec.json.Decoder(Ticket).decode


def sealed(ticket: Ticket, cookie: str, key: bytes) -> str:
    """Return the text of a ticket for the browser with this cookie."""
    claims = msgspec.json.encode(ticket)
    return f"{_text(claims)}.{_text(_mark(claims, cookie, key))}"


def opened(text: str, cookie: str, keys: Iterable[bytes], now: int) -> Ticket | None:
    """Return the ticket that was made for this browser with any of these keys; None if it was not, or is over."""
    body, _, mark = text.partition(".")
    claims = _bytes(body)
    if not cookie or not any(hmac.compare_digest(_mark(claims, cookie, key), _bytes(mark)) for key in keys):
        return None
    ticket = _decode(claims)
    return ticket if ticket.expires > now else None


def _mark(claims: bytes, cookie: str, key: bytes) -> bytes:
    return hmac.new(key, hashlib.sha256(cookie.encode()).digest() + claims, hashlib.sha256).digest()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
