"""Reading answers that may be anything: JSON of an expected shape, other JSON, HTML, text or nothing."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec


def decode(body: bytes) -> Any:
    """Return the JSON value of a body, or None."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def mapping(value: Any) -> dict[str, Any]:
    """Return an object, or an empty one."""
    return value if isinstance(value, dict) else {}


def listed(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


LONGEST = 2000
"""Characters of a body that are kept."""


def excerpt(body: bytes) -> str:
    """Return the beginning of a body as text: what of it cannot be read has a mark in its place."""
    return body[: 4 * LONGEST].decode("utf-8", "replace")[:LONGEST]


def text(value: Any) -> str:
    """Return a string, or an empty one."""
    return value if isinstance(value, str) else ""


def seconds(retry_after: bytes, date: bytes = b"") -> float | None:
    """Return a Retry-After in seconds, or None (RFC 9110 section 10.2.3).

    Its date form is read against the answer's own `Date`, so that no clock has to agree with another; without one it says
    nothing.
    """
    if retry_after.isdigit():
        return float(retry_after) if len(retry_after) < 8 else None
    until, since = _moment(retry_after), _moment(date)
    return None if until is None or since is None else max(0.0, until - since)


def _moment(date: bytes) -> float | None:
    """Return an HTTP date (RFC 9110 section 5.6.7) in Unix seconds, or None."""
    try:
        found = parsedate_to_datetime(date.decode("ascii"))
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):  # no date, or one that no clock reaches
        return None
