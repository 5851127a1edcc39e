"""What filters and orders of the portal's records mean: the one definition that every adapter follows.

A field is one text or several (a list has one each, a map counts by its VALUE, as PHONE does); what is missing or null is
the empty text, true is "Y", false "N". A term holds if it holds for any of its texts and any of the term's values; its
negation (`!`) holds if it does not. `ID`, in any case, is the record's own id.

    compare   numbers as numbers if both are, times with an offset as instants if both are, else texts without case
    %         the value is somewhere in the text        =%   the whole text, where `%` in the value stands for anything

A sort needs one order for all values, also where a field holds texts and numbers: empty, numbers, instants, other texts;
the id decides last.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple, TypeVar, assert_never

from wakeline.model.bitrix24.records import Condition, Fields, Operator, Order

_T = TypeVar("_T")

ID = "ID"
"""The field that is a record's own id."""

Meets = Callable[[int, Fields], bool]
"""Tells whether a record, by id and fields, meets a filter."""

SortKey = Callable[[int, Fields], tuple[object, ...]]
"""Returns where a record, by id and fields, stands in an order."""

_NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?")
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{5,15}(Z|[+-][0-9]{2}:?[0-9]{2})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_POSITIVE = {
    Operator.NOT: Operator.EQUAL,
    Operator.NOT_IN: Operator.IN,
    Operator.NOT_LIKE: Operator.LIKE,
    Operator.NOT_PATTERN: Operator.PATTERN,
}


class Operand(NamedTuple):
    """A value to compare with: the text without case, and what else it may be read as."""

    text: str
    number: Decimal | None
    instant: float | None


def operand(text: str) -> Operand:
    """Read a text; `instant` is in seconds since 1970."""
    return Operand(text.casefold(), number_of(text), instant_of(text))


def number_of(text: str) -> Decimal | None:
    """Return the number that a text is."""
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def instant_of(text: str) -> float | None:
    """Return the seconds since 1970 of a time with an offset."""
    if not _INSTANT.fullmatch(text):
        return None
    try:
        return (datetime.fromisoformat(text) - _EPOCH).total_seconds()
    except ValueError:  # a thirteenth month
        return None


def is_id(field: str) -> bool:
    """Tell whether a field is the record's own id."""
    return field.upper() == ID


def texts(value: object) -> Sequence[str]:
    """Return the texts that a field's value is compared by; never none."""
    match value:
        case str():
            return (value,)
        case list() | tuple():
            return [text for item in value for text in texts(item)] or ("",)
        case dict():
            return texts(value.get("VALUE"))
        case None:
            return ("",)
        case bool():
            return ("Y" if value else "N",)
        case _:
            return (str(value),)


def phone_key(number: str) -> str:
    """Return what one telephone number has in all its spellings; empty: it is none."""
    digits = "".join(char for char in number if char.isascii() and char.isdigit())
    return digits.removeprefix("00")


def phone_keys(fields: Fields) -> set[str]:
    """Return the telephone numbers of a record."""
    return {key for number in texts(fields.get("PHONE")) if (key := phone_key(number))}


def matcher(filters: Sequence[Condition]) -> Meets:
    """Return what tells whether a record meets all terms."""
    terms = [_term(condition) for condition in filters]
    return lambda number, fields: all(term(number, fields) for term in terms)


def _term(condition: Condition) -> Meets:
    operator = _POSITIVE.get(condition.operator, condition.operator)
    wanted = operator is condition.operator
    read = _reader(condition.field)
    values = [operand(value) for value in condition.values]
    if operator in {Operator.EQUAL, Operator.IN}:
        is_one = _equals(values)
        return lambda number, fields: any(is_one(mine) for mine in read(number, fields)) is wanted
    if operator is Operator.PATTERN:
        patterns = [_pattern(value.text) for value in values]
        return lambda number, fields: any(fits(mine) for mine in read(number, fields) for fits in patterns) is wanted
    holds = _test(operator)
    return lambda number, fields: any(holds(mine, value) for mine in read(number, fields) for value in values) is wanted


def _equals(values: Sequence[Operand]) -> Callable[[str], bool]:
    """Return what tells whether a text equals any of these values: a look-up, however many there are."""
    same = {value.text for value in values}
    numbers = {value.number for value in values if value.number is not None}
    instants = {value.instant for value in values if value.instant is not None}

    def is_one(mine: str) -> bool:
        if mine.casefold() in same:
            return True
        if numbers and (number := number_of(mine)) is not None:
            return number in numbers
        return bool(instants) and (instant := instant_of(mine)) is not None and instant in instants

    return is_one


def _reader(field: str) -> Callable[[int, Fields], Sequence[str]]:
    if is_id(field):
        return lambda number, _: (str(number),)
    return lambda _, fields: texts(fields.get(field))


def _test(operator: Operator) -> Callable[[str, Operand], bool]:
    match operator:
        case Operator.MORE:
            return lambda mine, value: _compare(mine, value) > 0
        case Operator.LEAST:
            return lambda mine, value: _compare(mine, value) >= 0
        case Operator.LESS:
            return lambda mine, value: _compare(mine, value) < 0
        case Operator.MOST:
            return lambda mine, value: _compare(mine, value) <= 0
        case Operator.LIKE:
            return lambda mine, value: value.text in mine.casefold()
        case (
            Operator.EQUAL
            | Operator.IN
            | Operator.PATTERN
            | Operator.NOT
            | Operator.NOT_IN
            | Operator.NOT_LIKE
            | Operator.NOT_PATTERN
        ):
            raise ValueError(f"{operator} is read once for all records, or tested by its opposite")
        case _:
            assert_never(operator)


def _compare(mine: str, value: Operand) -> int:
    """Return a number below, equal to or above 0; what the value is not, ours is not read as."""
    if value.number is not None and (number := number_of(mine)) is not None:
        return (number > value.number) - (number < value.number)
    if value.instant is not None and (instant := instant_of(mine)) is not None:
        return (instant > value.instant) - (instant < value.instant)
    text = mine.casefold()
    return (text > value.text) - (text < value.text)


def _pattern(pattern: str) -> Callable[[str], bool]:
    """Return what matches without going back: the time is that of looking through the text once, whatever the pattern."""
    first, *rest = pattern.split("%")
    if not rest:
        return lambda mine: mine.casefold() == pattern
    *between, last = rest
    middle = [part for part in between if part]
    least = len(first) + len(last) + sum(map(len, middle))

    def fits(mine: str) -> bool:
        text = mine.casefold()
        if len(text) < least or not text.startswith(first) or not text.endswith(last):
            return False
        place, end = len(first), len(text) - len(last)
        for part in middle:
            found = text.find(part, place, end)
            if found < 0:
                return False
            place = found + len(part)
        return True

    return fits


def sort_key(order: Sequence[Order]) -> SortKey:
    """Return what gives a record's place, a flat tuple; its last part is the id, so that no two are equal."""
    keys = [_key(each) for each in order]
    return lambda number, fields: (*(part for key in keys for part in key(number, fields)), number)


def _key(order: Order) -> Callable[[int, Fields], tuple[int, object]]:
    read = _reader(order.field)
    rank = _falling if order.descending else _rising
    return lambda number, fields: rank(operand(read(number, fields)[0]))


def _rising(value: Operand) -> tuple[int, object]:
    if value.number is not None:
        return 1, value.number
    if value.instant is not None:
        return 2, value.instant
    return (3, value.text) if value.text else (0, "")


def _falling(value: Operand) -> tuple[int, object]:
    if value.number is not None:
        return -1, value.number.copy_negate()
    if value.instant is not None:
        return -2, -value.instant
    # the 1 at the end is above every other item: a longer text comes before its own beginning
    return (-3, (*(-ord(char) for char in value.text), 1)) if value.text else (0, "")


def page(
    items: Iterable[_T],
    read: Callable[[_T], tuple[int, Fields]],
    *,
    filters: Sequence[Condition],
    order: Sequence[Order],
    start: int,
    limit: int,
) -> tuple[list[_T], int]:
    """Return a page of those that meet all terms, and how many do, by this definition and in the simplest way.

    `read` gives an item's id and fields; without an order the items stay as they come.
    """
    meets = matcher(filters)
    found = [item for item in items if meets(*read(item))]
    if order:
        key = sort_key(order)
        found.sort(key=lambda item: key(*read(item)))
    return found[start : start + limit], len(found)
