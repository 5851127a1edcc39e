"""Reading answers that may be anything: JSON of an expected shape, other JSON, HTML, text or nothing."""

from __future__ import annotations

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


def text(value: Any) -> str:
    """Return a string, or an empty one."""
    return value if isinstance(value, str) else ""


def seconds(retry_after: bytes) -> float | None:
    """Return a Retry-After in seconds, or None; its date form is not used by the push services (RFC 9110 section 10.2.3)."""
    return float(retry_after) if retry_after.isdigit() and len(retry_after) < 8 else None
