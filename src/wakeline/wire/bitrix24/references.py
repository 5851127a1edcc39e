"""References between the commands of a batch: `$result[deals][0][ID]` in a later command.

Rules (Bitrix24 REST, method `batch`): a reference names what is asked for (result, next, total, time, error), a command and
a path. It is looked up as far as the path goes: at the first segment that is missing, the deepest value reached is the
answer, so a command may get a map where it expected a number. A text that is a reference and nothing else becomes that
value as it is; inside a longer text only texts and numbers are put in, anything else leaves the reference standing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from wakeline.wire.php_form import Value

KINDS = ("result", "next", "total", "time", "error")

_REFERENCE = re.compile(rf"\$({'|'.join(KINDS)})((?:\[[^\]]+\])+)")
_SEGMENT = re.compile(r"\[([^\]]+)\]")
_PLACE = re.compile(r"[0-9]{1,9}")

Known = Mapping[str, Mapping[str, Value]]
"""What earlier commands answered: kind -> command -> value, in the shape in which it goes out."""


def resolve(value: Value, known: Known) -> Value:
    """Return a value with the references in it, in keys too, looked up."""
    match value:
        case dict():
            return {_inside(str(key), known): resolve(one, known) for key, one in value.items()}
        case list():
            return [resolve(one, known) for one in value]
        case str() if "$" in value:
            whole = _REFERENCE.fullmatch(value)
            return _inside(value, known) if whole is None else _looked_up(whole, known)
        case _:
            return value


def _inside(text: str, known: Known) -> str:
    return _REFERENCE.sub(lambda found: _printed(_looked_up(found, known), found[0]), text)


def _looked_up(found: re.Match[str], known: Known) -> Value:
    reached: Value = known.get(found[1], {})
    for segment in _SEGMENT.findall(found[2]):
        if isinstance(reached, Mapping) and segment in reached:
            reached = reached[segment]
        elif isinstance(reached, list) and _PLACE.fullmatch(segment) and int(segment) < len(reached):
            reached = reached[int(segment)]
        else:
            break
    return dict(reached) if isinstance(reached, Mapping) else reached


def _printed(value: Value, reference: str) -> str:
    match value:
        case bool() | None:
            return reference
        case str() | int() | float():
            return str(value)
        case _:
            return reference
