"""Pages of a list: 50 rows, a place to begin at, `next` and `total`; start=-1 is a page that is not counted.

asked = paging.asked(call)
found = await ...find(..., start=asked.offset, limit=paging.SIZE, count=asked.counted)
return paging.listed(rows, asked, found.total)
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from wakeline.edges.bitrix24.call import Call, Result, Value

SIZE = 50
_FARTHEST = 2**53


class Asked(msgspec.Struct, frozen=True):
    """Which page: the place of its first row, and whether all rows are to be counted."""

    offset: int
    counted: bool


def asked(call: Call, *, rounded: bool = False) -> Asked:
    """Return the page that a call asks for; `rounded`: older methods know whole pages only (iNumPage)."""
    start = min(call.start or 0, _FARTHEST)
    if start < 0:
        return Asked(0, counted=False)
    return Asked(start - start % SIZE if rounded else start, counted=True)


def listed(rows: Sequence[Value], page: Asked, total: int, *, under: str = "") -> Result:
    """Return a page as an answer; `under`: the one key of the map that some methods wrap their list in."""
    value: Value = {under: list(rows)} if under else list(rows)
    if not page.counted:
        return Result(value, total=0)
    reached = page.offset + len(rows)
    return Result(value, next=reached if rows and reached < total else None, total=total)
