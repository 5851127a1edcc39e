"""What filters found, remembered until something of that kind changes: clients page through one list many times.

One search runs at a time. Whoever asks the same meanwhile, as clients do that fetch all pages at once, gets the answer of the
first.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from wakeline.model.bitrix24.records import Condition, RecordKind
from wakeline.storage.sqlite.bitrix24.spans import Span

LISTS = 8
"""Lists that are remembered, the last used ones: 8 bytes a row each."""


class Question(NamedTuple):
    """What was asked: which records, by rising or falling id."""

    kind: RecordKind
    span: Span
    filters: tuple[Condition, ...]
    falling: bool


class Remembered:
    """Ids by question."""

    def __init__(self) -> None:
        self._lists: dict[Question, Sequence[int]] = {}
        self._changes = dict.fromkeys(RecordKind, 0)
        self._searching = asyncio.Lock()

    def changed(self, kind: RecordKind) -> None:
        """Forget what was found among records of this kind."""
        self._changes[kind] += 1
        self._lists = {question: ids for question, ids in self._lists.items() if question.kind is not kind}

    async def ids(self, question: Question, search: Callable[[], Awaitable[list[int]]]) -> Sequence[int]:
        """Return what was found before, or what `search` finds."""
        async with self._searching:
            known = self._lists.pop(question, None)
            if known is None:
                before = self._changes[question.kind]
                known = array("q", await search())
                if self._changes[question.kind] != before:
                    return known
            self._lists[question] = known
            if len(self._lists) > LISTS:
                del self._lists[next(iter(self._lists))]
            return known
