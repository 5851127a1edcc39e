"""Times at the edge: RFC 3339 outside, Unix milliseconds inside."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec

Moment = Annotated[datetime, msgspec.Meta(tz=True, description="RFC 3339 time with an offset")]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LAST = 253_402_300_799_999


def moment(milliseconds: int) -> datetime:
    """Return the time of Unix milliseconds; what lies beyond the year 9999 is its end."""
    return _EPOCH + timedelta(milliseconds=min(max(milliseconds, 0), _LAST))


def moment_or_none(milliseconds: int | None) -> datetime | None:
    """Return the time, or None where there is none (None or 0)."""
    return moment(milliseconds) if milliseconds else None


def milliseconds(at: datetime) -> int:
    """Return the Unix milliseconds of a time with an offset; what its offset puts beyond the year 9999 is that year's end."""
    return min((at - _EPOCH) // _MILLISECOND, _LAST)
