"""Cursors: where a list goes on, opaque to callers and signed, so that a made-up one is refused and not served.

A cursor belongs to one list (operation and what it was filtered by): taken elsewhere it is refused too.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from wakeline.model.errors import InvalidRequest

PURPOSE = "cursor"

_MARK = 10


def make(position: int | None, of: str, key: bytes) -> str | None:
    """Return the cursor for a position in the list named `of`; None stays None (the end)."""
    return None if position is None else _make(position.to_bytes(8, "big"), of, key)


def read(text: str, of: str, key: bytes) -> int:
    """Return the position a cursor stands for (empty: the start). Raises InvalidRequest."""
    return int.from_bytes(_read(text, of, key), "big") if text else 0


def make_name(name: str | None, of: str, key: bytes) -> str | None:
    """Return the cursor for what comes after a name, in a list that is ordered by names; None stays None (the end)."""
    return None if name is None else _make(name.encode(), of, key)


def read_name(text: str, of: str, key: bytes) -> str:
    """Return the name a cursor stands for (empty: the start). Raises InvalidRequest."""
    return _read(text, of, key).decode() if text else ""


def _make(where: bytes, of: str, key: bytes) -> str:
    return base64.urlsafe_b64encode(where + _mark(where, of, key)).decode()


def _read(text: str, of: str, key: bytes) -> bytes:
    """Return what a cursor says, if it was given by this list. Raises InvalidRequest."""
    try:
        data = base64.b64decode(text, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        data = b""
    where, mark = data[:-_MARK], data[-_MARK:]
    if not hmac.compare_digest(_mark(where, of, key), mark):
        raise InvalidRequest(
            "this cursor was not given by this list", pointer="/query/cursor", fix="Start again without a cursor."
        )
    return where


def _mark(where: bytes, of: str, key: bytes) -> bytes:
    return hmac.new(key, of.encode() + b"\0" + where, hashlib.sha256).digest()[:_MARK]
