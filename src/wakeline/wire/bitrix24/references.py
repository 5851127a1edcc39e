"""References between the commands of a batch: `$result[deals][0][ID]` in a later command.

Rules (Bitrix24 REST, method `batch`): a reference names what is asked for (result, next, total, time, error), a command and
a path. It is looked up as far as the path goes: at the first segment that is missing, the deepest value reached is the
answer, so a command may get a map where it expected a number. A text that is a reference and nothing else becomes that
value as it is; inside a longer text only texts and numbers are put in, anything else leaves the reference standing.
What references bring into one command is bounded: a page that is named a thousand times, or a text that each command doubles,
would fill any memory.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from wakeline.model.errors import RemoteProtocolError
from wakeline.wire.php_form import Value

MOST = 1024 * 1024
"""Characters and values that references may bring into one command: fifty rows have a twentieth of that."""

KINDS = ("result", "next", "total", "time", "error")

_REFERENCE = re.compile(rf"\$({'|'.join(KINDS)})((?:\[[^\]]+\])+)")
_SEGMENT = re.compile(r"\[([^\]]+)\]")
_PLACE = re.compile(r"[0-9]{1,9}")

Known = Mapping[str, Mapping[str, Value]]
"""What earlier commands answered: kind -> command -> value, in the shape in which it goes out."""


def resolve(value: Value, known: Known) -> Value:
    """Return a value with the references in it, in keys too, looked up. Raises RemoteProtocolError if they bring too much."""
    return _Resolver(known).resolve(value)


class _Resolver:
    """Looks up the references of one command, as long as they bring no more than is allowed."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._left = MOST

    def resolve(self, value: Value) -> Value:
        match value:
            case dict():
                return {self._inside(str(key)): self.resolve(one) for key, one in value.items()}
            case list():
                return [self.resolve(one) for one in value]
            case str() if "$" in value:
                whole = _REFERENCE.fullmatch(value)
                return self._inside(value) if whole is None else self._weighed(_looked_up(whole, self._known))
            case _:
                return value

    def _inside(self, text: str) -> str:
        return _REFERENCE.sub(self._printed, text)

    def _printed(self, found: re.Match[str]) -> str:
        value = _looked_up(found, self._known)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return found[0]
        return str(self._weighed(value))

    def _weighed(self, value: Value) -> Value:
        """Return a value after counting what it weighs; counting ends where it is too much."""
        waiting = [value]
        while waiting:
            one = waiting.pop()
            self._left -= 1 + len(one) if isinstance(one, str | list | Mapping) else 1
            if self._left < 0:
                raise RemoteProtocolError(f"The references bring more than {MOST} characters and values")
            if isinstance(one, Mapping):
                self._left -= sum(map(len, one))
                waiting += one.values()
            elif isinstance(one, list):
                waiting += one
        return value


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
