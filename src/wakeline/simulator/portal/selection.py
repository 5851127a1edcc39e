"""What a list method gives of all rows: filter, order, select, and the page of 50.

Bitrix24: "Features of list methods" - pages are of 50 rows, `next` stands where the next one begins and is missing on the
last, and `start=-1` counts nothing. A filter's operator is written before the field's name.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial

import msgspec

from wakeline.simulator.portal.php import Tree, number, text, texts, tree

PAGE = 50

Row = dict[str, object]
_OPERATOR = re.compile(r"(!=%|!%=|!%|%=|=%|!=|!@|>=|<=|><|[=!><@%]|)(.*)", re.DOTALL)


class Page(msgspec.Struct, frozen=True):
    """One page of a list."""

    rows: list[Row]
    total: int
    next: int | None = None


def page(rows: Iterable[Row], params: Tree) -> Page:
    """The page of `rows` that `params` (filter, order, start) ask for."""
    found = ordered(matching(rows, tree(params.get("filter"))), tree(params.get("order")))
    start = number(params.get("start"))
    if start < 0:
        return Page(found[:PAGE], 0)
    end = start + PAGE
    return Page(found[start:end], len(found), end if end < len(found) else None)


def matching(rows: Iterable[Row], conditions: Tree) -> list[Row]:
    """The rows that fulfil every condition."""
    tests = [_test(name, wanted) for name, wanted in conditions.items()]
    return [row for row in rows if all(test(row) for test in tests)]


def ordered(rows: Sequence[Row], wanted: Tree) -> list[Row]:
    """The rows by the fields of `wanted`, the first of them first; by ID when nothing is wanted."""
    sorted_rows = list(rows)
    for name, direction in reversed(wanted.items() if wanted else [("ID", "ASC")]):
        sorted_rows.sort(key=partial(_rank_of, name=name.upper()), reverse=text(direction).upper() == "DESC")
    return sorted_rows


def selected(row: Row, select: object) -> Row:
    """The wanted fields of a row, and its ID; all of them for `*` or when nothing is wanted."""
    names = {name.upper() for name in texts(select)}
    if not names or "*" in names:
        return row
    return {name: value for name, value in row.items() if name == "ID" or name in names}


def _rank_of(row: Row, name: str) -> tuple[int, float, str]:
    return _rank(row.get(name))


def _test(name: str, wanted: object) -> Callable[[Row], bool]:
    found = _OPERATOR.fullmatch(name)
    operator, field = (found[1], found[2].upper()) if found else ("", name.upper())
    return lambda row: _holds(operator, row.get(field), wanted)


def _holds(operator: str, value: object, wanted: object) -> bool:
    if operator.startswith("!"):
        return not _holds(operator[1:], value, wanted)
    if operator in (">", "<", ">=", "<="):
        return _compares(operator, value, wanted)
    if operator == "><":
        ends = texts(wanted)
        return len(ends) == 2 and _compares(">=", value, ends[0]) and _compares("<=", value, ends[1])
    if "%" in operator:
        return any(_like(operator, text(value), one) for one in texts(wanted))
    if isinstance(wanted, dict | list):
        return any(_rank(value) == _rank(one) for one in texts(wanted))
    return _rank(value) == _rank(wanted)


def _compares(operator: str, value: object, wanted: object) -> bool:
    if isinstance(wanted, dict | list):
        # What a batch's reference left of a row that was not there: it compares with nothing.
        return False
    ours, theirs = _rank(value), _rank(wanted)
    if operator.endswith("=") and ours == theirs:
        return True
    return ours > theirs if operator[0] == ">" else ours < theirs


def _like(operator: str, value: str, pattern: str) -> bool:
    """`%` alone is "contains"; beside an `=` the wanted text says itself where anything may stand."""
    value, pattern = value.casefold(), pattern.casefold()
    if operator == "%":
        return pattern in value
    return re.fullmatch(".*".join(re.escape(piece) for piece in pattern.split("%")), value, re.DOTALL) is not None


def _rank(value: object) -> tuple[int, float, str]:
    """What values are compared by: numbers before moments before texts."""
    said = text(value)
    with contextlib.suppress(ValueError):
        return (0, float(said), "")
    with contextlib.suppress(ValueError):
        return (1, datetime.fromisoformat(said).timestamp(), "")
    return (2, 0.0, said.casefold())
