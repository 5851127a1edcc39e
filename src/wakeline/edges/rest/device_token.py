"""Device tokens: a short signed text with which a phone may register exactly one device.

Form: `wkd_` + base64url(claims as JSON) + `.` + base64url(HMAC-SHA256 over the claims). The key is derived from the
master key, so that nothing is stored, and a token cannot be changed into one for another device or user.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable

import msgspec

from wakeline.edges.rest.caller import DeviceGrant
from wakeline.model.errors import Unauthenticated

PREFIX = "wkd_"
PURPOSE = "device-token"
LONGEST_TTL = 366 * 86400
"""Seconds after which any token has ended."""

_decode = msgspec.json.Decoder(DeviceGrant).decode


def make(grant: DeviceGrant, key: bytes) -> str:
    """Return the token that grants this."""
    claims = msgspec.json.encode(grant)
    return f"{PREFIX}{_text(claims)}.{_text(_mark(claims, key))}"


def read(text: str, keys: Iterable[bytes], now: int) -> DeviceGrant:
    """Return what a token grants that was made with any of these keys.

    Raises Unauthenticated when it is not ours, changed or expired (`now` in Unix ms).
    """
    body, _, mark = text.removeprefix(PREFIX).partition(".")
    claims = _bytes(body)
    if not any(hmac.compare_digest(_mark(claims, key), _bytes(mark)) for key in keys):
        raise Unauthenticated("this device token was not made here", fix="Ask your backend for a new one.")
    grant = _decode(claims)
    if grant.expires <= now:
        raise Unauthenticated("this device token has expired", fix="Ask your backend for a new one.")
    return grant


def _mark(claims: bytes, key: bytes) -> bytes:
    return hmac.new(key, claims, hashlib.sha256).digest()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
