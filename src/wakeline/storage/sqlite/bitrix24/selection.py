"""A page out of many rows, read in slices: a filter may look at every row, and nobody waits longer than for one slice.

What meets a filter and how rows are ordered is said in `storage.records`; here it is only done bit by bit. Between two slices
others write, so a page is not one moment's picture: what changes meanwhile may be missing from it or be there in its new form.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import cast

from wakeline.model.bitrix24.records import Condition, Fields, Order
from wakeline.storage.records import SortKey, matcher, sort_key

SLICE = 250
"""Rows looked at in one step of the loop: about a millisecond."""

_RUNS = 16
"""Sorted slices after which those of a first page are merged: what cannot be on it need not be remembered."""

Slices = Iterable[Sequence[tuple[int, Fields]]]
"""Ids and fields, at most SLICE at once; a slice is read when it is asked for."""


async def select(
    slices: Slices, *, filters: Sequence[Condition], order: Sequence[Order], start: int, limit: int, count: bool
) -> tuple[list[int], int]:
    """Return the ids of a page of what meets all terms, and how many do (if `count`); without an order as they come."""
    meets = matcher(filters)
    chosen = ([row for row in rows if meets(*row)] for rows in slices)
    if order:
        return await _sorted(chosen, sort_key(order), start, limit)
    return await _in_turn(chosen, start, limit, None if count else start + limit)


async def _in_turn(chosen: Slices, start: int, limit: int, enough: int | None) -> tuple[list[int], int]:
    ids: list[int] = []
    total = 0
    for rows in chosen:
        wanted = rows[max(start - total, 0) : max(start + limit - total, 0)]
        ids += [number for number, _ in wanted]
        total += len(rows)
        if enough is not None and total >= enough:
            break
        await asyncio.sleep(0)
    return ids, total


async def _sorted(chosen: Slices, key: SortKey, start: int, limit: int) -> tuple[list[int], int]:
    """Sort slice by slice and merge: sorting all at once would keep the loop, however many threads there were."""
    wanted, total = start + limit, 0
    runs: list[list[tuple[object, ...]]] = []
    for rows in chosen:
        runs.append(sorted(key(*row) for row in rows)[:wanted])
        total += len(rows)
        if wanted <= SLICE and len(runs) == _RUNS:
            runs = [list(islice(heapq.merge(*runs), wanted))]
        await asyncio.sleep(0)
    merged = heapq.merge(*runs)
    await _skip(merged, start)
    return [cast("int", place[-1]) for place in islice(merged, limit)], total


async def _skip(merged: Iterator[object], rows: int) -> None:
    while rows > 0:
        passed = sum(1 for _ in islice(merged, min(rows, SLICE)))
        if not passed:
            return
        rows -= passed
        await asyncio.sleep(0)
