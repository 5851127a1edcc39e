"""Times at the edge: RFC 3339 outside, Unix milliseconds inside."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from wakeline.model.moments import EPOCH, LAST, MILLISECOND, moment

__all__ = ["Moment", "milliseconds", "moment", "moment_or_none"]

Moment = Annotated[datetime, msgspec.Meta(tz=True, description="RFC 3339 time with an offset")]


def moment_or_none(milliseconds: int | None) -> datetime | None:
    """Return the time, or None where there is none (None or 0)."""
    return moment(milliseconds) if milliseconds else None


def milliseconds(at: datetime) -> int:
    """Return the Unix milliseconds of a time with an offset; what its offset puts beyond the year 9999 is that year's end."""
    return min((at - EPOCH) // MILLISECOND, LAST)
