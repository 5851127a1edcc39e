"""Filter, order and selection of the list methods, as Bitrix24's clients send them.

A key of a filter is a field with an operator before it; the value is a text, or several for "is one of". Rule: what a filter
cannot compare with, such as the row that a reference in a batch yields when its path ends early, is met by nothing: clients
chain fifty pages of which the last ones are empty, and expect empty lists of them, not an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sized
from fnmatch import fnmatchcase

from wakeline.edges.bitrix24 import reading
from wakeline.edges.bitrix24.call import Call, Value
from wakeline.edges.bitrix24.refusals import Refusal
from wakeline.model.bitrix24.records import Condition, Fields, Operator, Order

_PREFIXES: dict[str, Operator] = {
    "": Operator.EQUAL,
    "=": Operator.EQUAL,
    "!": Operator.NOT,
    "!=": Operator.NOT,
    ">": Operator.MORE,
    ">=": Operator.LEAST,
    "<": Operator.LESS,
    "<=": Operator.MOST,
    "@": Operator.IN,
    "!@": Operator.NOT_IN,
    "%": Operator.LIKE,
    "!%": Operator.NOT_LIKE,
    "=%": Operator.PATTERN,
    "%=": Operator.PATTERN,
    "!=%": Operator.NOT_PATTERN,
    "!%=": Operator.NOT_PATTERN,
}
MOST_TERMS, MOST_ORDERS, MOST_SELECTED = 100, 20, 500
"""Terms of a filter, fields of an order, names of a selection: each is work for every row."""
_SEVERAL = {
    Operator.EQUAL: Operator.IN,
    Operator.IN: Operator.IN,
    Operator.NOT: Operator.NOT_IN,
    Operator.NOT_IN: Operator.NOT_IN,
}
_KEY = re.compile(r"([=!<>@%]*)(.*)", re.DOTALL)
_SMALL = re.compile(r"[a-z]")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def stored_name(name: str) -> str:
    """Return a field's name as it is kept: `responsibleId`, `responsible_id` and `RESPONSIBLE_ID` are one field."""
    return _HUMP.sub("_", name).upper() if _SMALL.search(name) else name


def conditions(call: Call) -> list[Condition] | None:
    """Return the terms of the parameter FILTER; None if nothing can meet them. Raises MethodError if it is no map."""
    given = call.params.get("FILTER")
    if isinstance(given, str) and given.strip():
        raise Refusal.ARGUMENT.error("Parameter 'filter' must be array.", argument="filter")
    named = reading.mapped(given)
    _bound("filter", named, MOST_TERMS)
    terms: list[Condition] = []
    for key, value in named.items():
        term = _condition(key, value)
        if term is None or (not term.values and term.operator is Operator.IN):
            return None
        # Everything is outside an empty list.
        if term.values:
            terms.append(term)
    return terms


def _condition(key: str, value: Value) -> Condition | None:
    found = _KEY.fullmatch(key)
    prefix, name = found.groups() if found else ("", key)
    operator = _PREFIXES.get(prefix)
    values = _values(value)
    if operator is None or not name or values is None:
        return None
    if isinstance(value, list | dict) or operator in {Operator.IN, Operator.NOT_IN}:
        several = _SEVERAL.get(operator)
        return None if several is None else Condition(stored_name(name), several, values)
    return Condition(stored_name(name), operator, values)


def _values(value: Value) -> tuple[str, ...] | None:
    """Return what a field is compared with; None if it is not comparable."""
    items = reading.mapped(value).values() if isinstance(value, list | dict) else (value,)
    if isinstance(value, dict) and list(value) != [str(place) for place in range(len(value))]:
        return None
    texts = [_text(item) for item in items]
    known = tuple(text for text in texts if text is not None)
    return known if len(known) == len(texts) else None


def _text(value: Value) -> str | None:
    if isinstance(value, bool):
        return "Y" if value else "N"
    return "" if value is None else reading.text_of(value)


def orders(call: Call) -> list[Order]:
    """Return the parameter ORDER: `{"ID": "DESC"}`; what is no direction rises."""
    given = reading.tree(call.params, "ORDER")
    _bound("order", given, MOST_ORDERS)
    return [
        Order(stored_name(name), descending=(reading.text_of(way) or "").strip().lower().startswith("desc"))
        for name, way in given.items()
    ]


def selection(call: Call) -> list[str]:
    """Return the parameter SELECT: names of fields, `*`, `UF_*`; empty: it was not given."""
    wanted = dict.fromkeys(stored_name(name) for name in reading.texts(call.params, "SELECT"))
    _bound("select", wanted, MOST_SELECTED)
    return list(wanted)


def _bound(parameter: str, given: Sized, most: int) -> None:
    """Raise MethodError if a parameter names more than any client does."""
    if len(given) > most:
        raise Refusal.ARGUMENT.error(f"Parameter '{parameter}' has more than {most} items.", argument=parameter)


def shown(number: int, fields: Fields, wanted: Iterable[str], *, apart: frozenset[str]) -> dict[str, Value]:
    """Return the wanted fields of a record, its ID first; a named one that it lacks is null.

    `*`, or nothing wanted, is all but custom fields (`UF_...`) and those of `apart`, which have to be named.
    """
    row: dict[str, Value] = {"ID": str(number)}
    for name in wanted or ("*",):
        if name == "*":
            row |= {key: told(value) for key, value in fields.items() if key not in apart and not key.startswith("UF_")}
        elif "*" in name:
            row |= {key: told(value) for key, value in fields.items() if fnmatchcase(key, name)}
        else:
            row[name] = told(fields.get(name))
    return row | {"ID": str(number)}


def everything(number: int, fields: Fields) -> dict[str, Value]:
    """Return all fields of a record."""
    return {"ID": str(number)} | told_map(fields) | {"ID": str(number)}


def told_map(fields: Mapping[str, Value]) -> dict[str, Value]:
    """Return a map as Bitrix24 tells it."""
    return {key: told(value) for key, value in fields.items()}


def told(value: Value) -> Value:
    """Return a value as Bitrix24 tells it: numbers as texts, flags as Y and N."""
    match value:
        case bool():
            return "Y" if value else "N"
        case int() | float():
            return reading.text_of(value)
        case dict():
            return told_map(value)
        case list() | tuple():
            return [told(item) for item in value]
        case _:
            return value
