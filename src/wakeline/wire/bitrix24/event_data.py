"""The block `data` of an event in one form, whichever way it came: posted as a form, or read as JSON from the offline queue.

Rule: a form knows texts only, leaves out null and empty maps, and says a list as a map with the keys 0, 1, 2...; the offline
queue tells the same event with numbers, null and false. Both become the same bytes here, so that they are known for the same.
Source: Bitrix24 REST, "Event handling", "Offline events"; PHP manual, http_build_query.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from wakeline.wire import php_form

Value = object

_encode = msgspec.json.Encoder(order="sorted").encode
_BLOCKS = ("FIELDS", "FIELDS_AFTER", "FIELDS_BEFORE")
_MOST_DIGITS = 18


def canonical(data: Value) -> bytes:
    """Return the data of an event as JSON: a map, its keys sorted at each level, with texts as leaves; no data is an empty map."""
    found = _plain(data, php_form.DEEPEST)
    top = found if isinstance(found, dict) else {}
    return _encode({key: php_form.shape(value) for key, value in top.items()})


def record_of(event: str, data: Value) -> int:
    """Return the number of the record that an event is about, 0: of none. A comment is about its task."""
    name = "TASK_ID" if event.startswith("ONTASKCOMMENT") else "ID"
    blocks = [data.get(block) for block in _BLOCKS] if isinstance(data, Mapping) else []
    said = (_number(block.get(name)) for block in blocks if isinstance(block, Mapping))
    return next((number for number in said if number), 0)


def _plain(value: Value, left: int) -> Value:
    """Return a value as a form would carry it; None: not at all. What is nested deeper than a form may be is left out."""
    match value:
        case Mapping() | list() | tuple():
            items = value.items() if isinstance(value, Mapping) else enumerate(value)
            found = ((str(key), _plain(one, left - 1)) for key, one in items if left)
            return {key: one for key, one in found if one is not None} or None
        case bool():
            return "1" if value else "0"
        case float() if value.is_integer():
            return str(int(value))
        case None:
            return None
        case _:
            return str(value)


def _number(said: Value) -> int:
    text = str(said) if isinstance(said, int | str) and not isinstance(said, bool) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else 0
