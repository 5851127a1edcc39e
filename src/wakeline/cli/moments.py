"""Times on the command line: UTC unless they say otherwise."""

from __future__ import annotations

from datetime import UTC, datetime


def utc(moment: datetime | None) -> datetime | None:
    """Return a time with its offset, which is UTC if it was not said."""
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
