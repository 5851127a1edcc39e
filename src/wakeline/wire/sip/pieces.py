"""What values of header fields consist of: lists, parameters, quoted strings, escapes (RFC 3261 section 25.1).

A comma, semicolon or anything else within quotes or angle brackets separates nothing. Most values have neither, so each function
first looks for the character that would make it careful, and only then walks.

Parameters are a mapping from the name in lower case to the value as it came, quotes included, or None for a name alone. Where a
name comes twice the first counts (RFC 3261 section 7.3.1 forbids it).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from wakeline.wire.sip.broken import Broken

T = TypeVar("T")

Params = Mapping[str, str | None]

_QUOTED = r'"(?:[^"\\]++|\\.)*+"'
_ITEM = re.compile(rf'(?:{_QUOTED}|<(?:{_QUOTED}|[^>"]++)*+>|[^,"<]++)*+', re.DOTALL)
_PARAM = re.compile(rf'(?:{_QUOTED}|[^;"]++)*+', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
_PERCENT = re.compile(r"((?:%[0-9A-Fa-f]{2})+)")


class lazy(Generic[T]):  # noqa: N801 - a decorator, beside functools.cached_property
    """A property that is worked out once. `functools.cached_property` takes a lock each time it does (until Python 3.12)."""

    def __init__(self, work: Callable[[Any], T]) -> None:
        self._work = work
        self.__doc__ = work.__doc__

    def __get__(self, instance: Any, _: type) -> T:
        """Work it out, and leave it where the instance finds it without asking here again."""
        found = instance.__dict__[self._work.__name__] = self._work(instance)
        return found


def decode(data: bytes) -> str:
    """Return bytes as text from which `encode` makes the same bytes."""
    return data.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """Return text as the bytes that it came from."""
    return text.encode("utf-8", "surrogateescape")


def is_utf8(text: str) -> bool:
    """Return whether text came from bytes that are UTF-8: what is not, can go on as it came, but not be kept or shown."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def readable(text: str) -> str:
    """Return text with a mark in the place of bytes that are no UTF-8, for what is only shown."""
    return text if text.isascii() else encode(text).decode("utf-8", "replace")


def is_token(text: str) -> bool:
    """Return whether a text is a token."""
    return _TOKEN.fullmatch(text) is not None


def split_values(text: str) -> list[str]:
    """Return the values of a list, without the space around them; empty ones are left out. Raises Broken."""
    if "," not in text:
        return [text] if text else []
    if '"' not in text and "<" not in text:
        return [value for part in text.split(",") if (value := part.strip())]
    return [value for part in _parts(text, _ITEM) if (value := part.strip())]


def first_value(text: str) -> str:
    """Return the first value of a list. Raises Broken."""
    return text if "," not in text else next(iter(split_values(text)), "")


def _parts(text: str, item: re.Pattern[str]) -> list[str]:
    """Walk over parts that one character separates, which is in none of them."""
    parts, at = [], 0
    while True:
        match = item.match(text, at)
        if match is None:
            raise Broken("A list cannot be read")
        parts.append(match[0])
        at = match.end() + 1
        if at > len(text):
            return parts
        if text[at - 1] in '"<':
            raise Broken("A quote or angle bracket is not closed")


def split_params(text: str) -> list[str]:
    """Return `a=b;c` in its parts, as they came; `text` begins behind the first semicolon. Raises Broken."""
    return text.split(";") if '"' not in text else _parts(text, _PARAM)


def parse_params(text: str) -> Params:
    """Return the parameters of `;a=b;c`, whose first semicolon may be missing. Raises Broken."""
    params: dict[str, str | None] = {}
    for part in text.split(";") if '"' not in text else _parts(text, _PARAM):
        name, equals, value = part.partition("=")
        name = name.strip().lower()
        if name:
            params.setdefault(name, value.strip() if equals else None)
        elif equals:
            raise Broken("A parameter has no name")
    return params


def without_params(text: str, drop: Callable[[str], bool]) -> str:
    """Return `head;a=b;c` without the parameters whose lower-case names `drop` names; all else as it came. Raises Broken."""
    head, semicolon, rest = text.partition(";")
    if not semicolon:
        return text
    kept = [part for part in split_params(rest) if not drop(part.partition("=")[0].strip().lower())]
    return ";".join([head, *kept])


def port_number(digits: str) -> int:
    """Read a port. Raises Broken."""
    port = int(digits) if len(digits) <= 5 and digits.isascii() and digits.isdigit() else 0
    if not 0 < port < 65_536:
        raise Broken("A port is none")
    return port


def quote(text: str) -> str:
    """Return text as a quoted string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquote(text: str) -> str:
    """Return what a quoted string says; other text as it is."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    inner = text[1:-1]
    return _ESCAPED.sub(r"\1", inner) if "\\" in inner else inner


def unescape(text: str) -> str:
    """Return text with its `%41` as characters."""
    return (
        text if "%" not in text else _PERCENT.sub(lambda match: decode(bytes.fromhex(match[1].replace("%", ""))), text)
    )
