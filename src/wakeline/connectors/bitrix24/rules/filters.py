"""Filters and tests of rules. Every one of them takes and gives bounded values: texts of at most TEXT characters.

They are our own and few on purpose: Jinja's include some that make a huge value of a small one (`center`, `format`, `indent`).
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from jinja2 import Undefined

TEXT = 16_384
"""Characters of a text that an operation may make."""
_PLACES = 6
"""Digits after the point that a number can be rounded to."""


def word(value: object) -> str:
    """Return what a value is, for people."""
    match value:
        case None:
            return "none"
        case bool():
            return "a flag"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case Mapping():
            return "a map"
        case list() | tuple():
            return "a list"
        case _:
            return "something else"


def bounded(made: str) -> str:
    """Return a text. Raises OverflowError if it is longer than any push."""
    if len(made) > TEXT:
        raise OverflowError(f"it makes a text of more than {TEXT} characters")
    return made


def shown(value: object) -> str:
    """Return a value as it is written into a push: nothing for none. Raises TypeError for lists and maps."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "Y" if value else "N"
        case int() | float() | Undefined():
            # A value that is not there says so when it is made a text.
            return str(value)
        case _:
            raise TypeError(f"{word(value)} cannot be shown: say which part of it, or use |join")


def joined(values: object, separator: str = "", attribute: str | None = None) -> str:
    """Return values as one text; with `attribute` that of each."""
    parts = [shown(value) for value in (listed(values) if attribute is None else mapped(values, attribute=attribute))]
    if sum(map(len, parts)) + len(separator) * len(parts) > TEXT:
        raise OverflowError(f"it makes a text of more than {TEXT} characters")
    return separator.join(parts)


def flat(values: list[object]) -> list[object]:
    """Return a list that a template makes. Raises TypeError if there are lists or maps in it."""
    for value in values:
        if isinstance(value, list | tuple | Mapping):
            raise TypeError(f"a list cannot hold {word(value)}")
    return values


def listed(values: object) -> list[object]:
    """Return the items of a list; of a map, its values; one thing is a list of one, none is empty."""
    match values:
        case Undefined():
            return [str(values)]
        case None | "":
            return []
        case Mapping():
            return list(values.values())
        case list() | tuple():
            return list(values)
        case _:
            return [values]


def mapped(values: object, *, attribute: str) -> list[object]:
    """Return one member of each item of a list; of an item that lacks it, none."""
    return [item.get(attribute) if isinstance(item, Mapping) else None for item in listed(values)]


def _default(value: object, instead: object = "", boolean: object = False) -> object:
    return instead if value is None or isinstance(value, Undefined) or (boolean and not value) else value


def _length(value: object) -> int:
    if isinstance(value, str | list | tuple | Mapping):
        return len(value)
    return len(shown(value))


def _first(value: object) -> object:
    items = value if isinstance(value, str) else listed(value)
    return items[0] if items else None


def _last(value: object) -> object:
    items = value if isinstance(value, str) else listed(value)
    return items[-1] if items else None


# --- texts


def _text(change: Callable[[str], str]) -> Callable[[object], str]:
    def changed(value: object) -> str:
        return bounded(change(shown(value)))

    return changed


def _truncate(value: object, length: int = 255, end: str = "\u2026") -> str:
    text = shown(value)
    kept = max(int(length), 0)
    return text if len(text) <= kept else bounded(text[:kept].rstrip() + end)


def _replace(value: object, old: str, new: str) -> str:
    text = shown(value)
    if len(text) + (text.count(old) * len(new)) > TEXT:
        raise OverflowError(f"it makes a text of more than {TEXT} characters")
    return text.replace(old, new)


_TAG = re.compile(r"<[^<>]*>")
_BB_CODE = re.compile(r"\[/?[A-Za-z*]{1,10}(?:=[^\[\]]*)?\]")
_BLANKS = re.compile(r"[ \t\u00a0]+")


def _striptags(value: object) -> str:
    """Return plain text of HTML or of Bitrix24's BB code, as descriptions and comments have them."""
    text = _BB_CODE.sub("", _TAG.sub(" ", shown(value)))
    return _BLANKS.sub(" ", html.unescape(text)).strip()


# --- numbers


def _float(value: object, default: float = 0.0) -> float:
    try:
        found = float(shown(value))
    except ValueError:
        return default
    return found if math.isfinite(found) else default


def _int(value: object, default: int = 0) -> int:
    text = shown(value).strip()
    try:
        return int(text) if len(text) < 19 else default
    except ValueError:
        found = _float(text, math.nan)
        return default if math.isnan(found) else int(found)


def _round(value: object, places: int = 0) -> float:
    """Return a rounded number; without places a whole one."""
    return round(_float(value), min(int(places), _PLACES)) if places > 0 else round(_float(value))


def _money(value: object, currency: object = "", group: str = "\u00a0", point: str = ".") -> str:
    """Return an amount in groups of three digits; cents only if there are some. What is no amount stays as it is.

    A custom field of a portal says amount and currency in one: `1250.50|EUR`.
    """
    said, _, own = shown(value).partition("|")
    try:
        amount = Decimal(said.strip() or "0")
    except InvalidOperation:
        return said
    if not amount.is_finite() or abs(amount) > 10**15:
        return said[:40]
    whole = amount == amount.to_integral_value()
    digits = f"{amount:,.0f}" if whole else f"{amount:,.2f}"
    told = digits.replace(",", "\0").replace(".", str(point)[:3]).replace("\0", str(group)[:3])
    unit = own or shown(currency)
    return f"{told}\u00a0{unit[:10]}" if unit else told


# --- dates

_DATE = "%d.%m.%Y %H:%M"
_DIRECTIVES = frozenset("YymdHIMSpjbBaA%")
_FORMAT = re.compile(r"%(.)", re.DOTALL)
_FORMS = ("%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y", "%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y")


def _date(value: object, form: str = _DATE) -> str:
    """Return a moment as the portal told it, in another form; nothing for an empty one. Raises ValueError."""
    text = shown(value).strip()[:40]
    if not text:
        return ""
    known = all(letter in _DIRECTIVES for letter in _FORMAT.findall(form)) and "%" not in _FORMAT.sub("", form)
    if len(form) > 60 or not known:
        raise ValueError(f"a date's form has %d %m %Y %y %H %M %S %I %p %b %B %a %A %j, not {form[:60]!r}")
    moment = _moment(text)
    # Letter by letter: the C library behind strftime knows widths, and a width makes a huge text of a small one.
    return _FORMAT.sub(lambda found: moment.strftime(found[0]), form)


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    for form in _FORMS:
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007 - it is shown again as it came, without a zone
        except ValueError:
            continue
    raise ValueError(f"{text!r} is no date")


FILTERS: dict[str, Callable[..., Any]] = {
    "default": _default,
    "d": _default,
    "upper": _text(str.upper),
    "lower": _text(str.lower),
    "capitalize": _text(str.capitalize),
    "trim": _text(str.strip),
    "string": _text(str),
    "truncate": _truncate,
    "replace": _replace,
    "striptags": _striptags,
    "length": _length,
    "count": _length,
    "first": _first,
    "last": _last,
    "join": joined,
    "map": mapped,
    "int": _int,
    "float": _float,
    "round": _round,
    "abs": lambda value: abs(_float(value)),
    "money": _money,
    "date": _date,
}

TESTS: dict[str, Callable[..., bool]] = {
    "defined": lambda value: not isinstance(value, Undefined),
    "undefined": lambda value: isinstance(value, Undefined),
    "none": lambda value: value is None,
    "empty": lambda value: value is None or isinstance(value, Undefined) or not _length(value),
    "string": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "iterable": lambda value: isinstance(value, Iterable) and not isinstance(value, Undefined),
}
