"""Times as people read them. Inside, a time is Unix milliseconds; outside it is UTC, and a sentence says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
LAST = 253_402_300_799_999
"""The last millisecond of the year 9999: what lies beyond it has no calendar date."""


def moment(milliseconds: int) -> datetime:
    """Return the time of Unix milliseconds; what lies beyond the year 9999 is its end."""
    return EPOCH + timedelta(milliseconds=min(max(milliseconds, 0), LAST))


def worded(milliseconds: int) -> str:
    """Return a time (Unix ms) as sentences name it: "2026-11-22 13:15:00 UTC"."""
    return f"{moment(milliseconds):%Y-%m-%d %H:%M:%S} UTC"
