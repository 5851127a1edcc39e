"""What an earlier write was answered, put in for `$result` among the parameters of a later one.

Rule: a text that is `$result` and nothing else becomes the whole answer, `$result[NAME][NAME]` what stands there in it. A text
that has more around it is somebody's words and stays. What is not there is an error: a write with a hole in it is not sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from wakeline.model.errors import RemoteProtocolError
from wakeline.wire.php_form import Value

_STANDING_IN = re.compile(r"\$result((?:\[[^\[\]]+\])*)")
_SEGMENT = re.compile(r"\[([^\[\]]+)\]")
_PLACE = re.compile(r"[0-9]{1,9}")


def stand_in(params: Value, result: Value) -> Value:
    """Return `params` with parts of `result` in place of what names them. Raises RemoteProtocolError: there is no such part."""
    match params:
        case dict():
            return {key: stand_in(value, result) for key, value in params.items()}
        case list():
            return [stand_in(value, result) for value in params]
        case str():
            found = _STANDING_IN.fullmatch(params)
            return params if found is None else _part(params, _SEGMENT.findall(found[1]), result)
        case _:
            return params


def _part(name: str, path: list[str], result: Value) -> Value:
    reached = result
    for segment in path:
        if isinstance(reached, Mapping) and segment in reached:
            reached = reached[segment]
        elif isinstance(reached, list) and _PLACE.fullmatch(segment) and int(segment) < len(reached):
            reached = reached[int(segment)]
        else:
            raise RemoteProtocolError(f"The portal's answer has nothing at {name}")
    return reached
