"""Parameters as clients really send them, read without a quarrel.

Rule: a form has texts only and a JSON body has anything, clients in Python write True and None, those in PHP 1 and nothing,
and some put a list into a text. What cannot be read counts as not given: refusing it is the method's affair.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import msgspec

Value = object

_YES = frozenset({"y", "yes", "1", "true", "on"})
_NO = frozenset({"n", "no", "0", "false", "off"})
_NOTHING = frozenset({"", "none", "null", "undefined"})
_LARGEST = 2**63
"""Ids and counts are 64 bits wide in the store."""
_MOST_DIGITS = 19
DEEPEST_JSON = 32
"""Levels of maps and lists: whoever goes through a value does so by recursion."""


def text(params: Mapping[str, Value], name: str, default: str = "") -> str:
    """Return a parameter as text; maps and lists are none."""
    return default if (said := text_of(params.get(name))) is None else said


def number(params: Mapping[str, Value], name: str, default: int | None = None) -> int | None:
    """Return a parameter as a whole number; a fraction is cut off."""
    return default if (said := number_of(params.get(name))) is None else said


def flag(params: Mapping[str, Value], name: str, *, default: bool = False) -> bool:
    """Return a parameter as yes or no: Y/N, 1/0, true/false in any case; None, empty and anything else: the default."""
    said = (text_of(params.get(name)) or "").strip().lower()
    if said in _YES:
        return True
    # A JSON false is an empty text by now, as in PHP.
    return False if said in _NO or params.get(name) is False else default


def numbers(params: Mapping[str, Value], name: str) -> list[int]:
    """Return a parameter as whole numbers, each once: `5`, `[1,2]`, `"5"`, `"[1,2]"`, `"1,2"`; others in it are left out."""
    said = (number_of(one) for one in _items(params.get(name)))
    return list(dict.fromkeys(one for one in said if one is not None))


def texts(params: Mapping[str, Value], name: str) -> list[str]:
    """Return a parameter as texts: a list, the values of a map, or one text."""
    given = params.get(name)
    items = given.values() if isinstance(given, dict) else given if isinstance(given, list) else (given,)
    said = (text_of(one) for one in items)
    return [one for one in said if one]


def tree(params: Mapping[str, Value], name: str) -> dict[str, Value]:
    """Return a parameter as a map; a list is one by its places, JSON in a text counts, anything else is empty."""
    given = params.get(name)
    return mapped(_literal(given) if isinstance(given, str) else given)


def mapped(value: Value) -> dict[str, Value]:
    """Return a map or list as a map: to PHP they are one type."""
    if isinstance(value, dict):
        return {str(key): one for key, one in value.items()}
    return {str(place): one for place, one in enumerate(value)} if isinstance(value, list) else {}


def text_of(value: Value) -> str | None:
    """Return one value as PHP would print it; None for null, maps and lists."""
    match value:
        case str():
            return value
        case bool():
            return "1" if value else ""
        case float() if value.is_integer():
            return str(int(value))
        case int() | float():
            return str(value)
        case _:
            return None


def number_of(value: Value) -> int | None:
    """Return one value as a whole number of 64 bits, or None."""
    said = (text_of(value) or "").strip()
    try:
        found = int(said) if _is_whole(said) else float(said)
    except ValueError:
        return None
    if not math.isfinite(found) or not -_LARGEST <= found < _LARGEST:
        return None
    return int(found)


def _is_whole(said: str) -> bool:
    digits = said[1:] if said[:1] in {"+", "-"} else said
    return len(digits) <= _MOST_DIGITS and digits.isascii() and digits.isdigit()


def _items(value: Value) -> Iterable[Value]:
    match value:
        case dict():
            return value.values()
        case list():
            return value
        case str() if value.lstrip()[:1] in {"[", "{"}:
            return mapped(_literal(value)).values()
        case str():
            return value.split(",")
        case _:
            return (value,)


def _literal(said: str) -> Value:
    """Return what a text says as JSON, null if it does not; clients quote lists with apostrophes as well."""
    if said.strip().lower() in _NOTHING:
        return None
    for candidate in (said, said.replace("'", '"')):
        try:
            found: Value = msgspec.json.decode(candidate)
        except (msgspec.DecodeError, RecursionError):
            continue
        return None if is_deeper(found, DEEPEST_JSON) else found
    return None


def is_deeper(value: Value, levels: int) -> bool:
    """Tell whether maps and lists stand in each other more than so many levels deep."""
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return not levels or any(is_deeper(one, levels - 1) for one in inner)
