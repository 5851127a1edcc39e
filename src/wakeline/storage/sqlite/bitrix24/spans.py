"""What a filter says of ids, so that the primary key does that part of it.

`filter[>ID]=N&order[ID]=ASC` is how clients walk a large list: it must cost the page, whatever the size of the list.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from wakeline.model.bitrix24.records import Condition, Operator
from wakeline.storage.records import is_id, number_of

LARGEST = (1 << 63) - 1
"""The largest number that SQLite has."""

_LOWEST = -LARGEST - 1


class Span(NamedTuple):
    """Ids above `after` up to `until`; if `only` is given, at most these."""

    after: int = _LOWEST
    until: int = LARGEST
    only: frozenset[int] | None = None

    def chosen(self) -> list[int]:
        """Return those of `only` that lie in the span, in order."""
        return sorted(number for number in self.only or () if self.after < number <= self.until)


def split(filters: Sequence[Condition]) -> tuple[Span, list[Condition]]:
    """Return the span that a filter leaves, and the terms that it does not say."""
    span, rest = Span(), []
    for condition in filters:
        narrowed = _narrowed(span, condition) if is_id(condition.field) else None
        if narrowed is None:
            rest.append(condition)
        else:
            span = narrowed
    return span, rest


def _narrowed(span: Span, condition: Condition) -> Span | None:
    """Return what a term leaves of a span, or None: it is not one of numbers, or of none that a span can say."""
    numbers = [number for value in condition.values if (number := number_of(value)) is not None]
    if len(numbers) != len(condition.values):
        return None
    if condition.operator is Operator.IN:
        only = frozenset(int(number) for number in numbers if number == int(number))
        return span._replace(only=only if span.only is None else span.only & only)
    bounds = _bounds(condition.operator, numbers[0]) if len(numbers) == 1 else None
    if bounds is None:
        return None
    after, until = bounds
    return span._replace(
        after=min(max(span.after, after), LARGEST),
        until=max(min(span.until, until), _LOWEST),
    )


def _bounds(operator: Operator, number: Decimal) -> tuple[int, int] | None:
    below, up_to = math.ceil(number) - 1, math.floor(number)
    return {
        Operator.EQUAL: (below, up_to),
        Operator.MORE: (up_to, LARGEST),
        Operator.LEAST: (below, LARGEST),
        Operator.LESS: (_LOWEST, below),
        Operator.MOST: (_LOWEST, up_to),
    }.get(operator)


def is_row_id(number: int) -> bool:
    """Tell whether a row can have this id: callers may ask for any number."""
    return _LOWEST <= number <= LARGEST
