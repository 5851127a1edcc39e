"""JSON bodies and queries into values, and what is wrong with them into problems that name the place.

Theory: msgspec says where by a path (`$.to.users[0]`); callers know JSON Pointers (RFC 6901: `/to/users/0`).
Not JSON at all is 400 with line and column; JSON that means nothing to us is 422 with a pointer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from wakeline.model.errors import InvalidRequest, MalformedRequest, RequestError

_AT = re.compile(r"(?P<said>.*?)(?: - at `(?:key in )?\$(?P<path>.*)`)?\Z", re.DOTALL)
_STEP = re.compile(r"\.(?P<name>[^.\[\]]+)|\[(?P<index>\d+)\]|\[\.\.\.\]")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`\Z", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>.*)`\Z", re.DOTALL)
_BYTE = re.compile(r"\(byte (\d+)\)")


def json_value(decoder: msgspec.json.Decoder[Any], data: bytes) -> Any:
    """Return the value in `data`. Raises MalformedRequest (not JSON) and InvalidRequest (wrong field)."""
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        raise invalid(str(error)) from None
    except msgspec.DecodeError as error:
        raise _malformed(str(error), data) from None
    except UnicodeDecodeError as error:
        raise MalformedRequest(
            f"the body is not UTF-8: {error.reason} in {error.object[error.start : error.end]!r}"
        ) from None
    except RecursionError:
        raise MalformedRequest("the body is nested too deeply") from None


def query_value(kind: type[Any] | None, given: Mapping[str, str]) -> Any:
    """Return the query as its type; numbers and booleans are read from text. Raises InvalidRequest."""
    if kind is None:
        if given:
            name = next(iter(given))
            raise InvalidRequest(f"there is no query parameter {name[:64]!r} here", pointer=f"/query/{_escaped(name)}")
        return None
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        found = invalid(str(error))
        raise InvalidRequest(found.detail, pointer=f"/query{found.pointer}") from None


def invalid(said: str) -> RequestError:
    """Return the problem for one of msgspec's sentences."""
    match = _AT.match(said)
    text, path = (match["said"], match["path"] or "") if match else (said, "")
    pointer = pointer_of(path)
    if unknown := _UNKNOWN.match(text):
        return InvalidRequest(
            f"there is no field {unknown['name'][:64]!r} here", pointer=f"{pointer}/{_escaped(unknown['name'])}"
        )
    if missing := _MISSING.match(text):
        return InvalidRequest(
            f"the field {missing['name']!r} is missing", pointer=f"{pointer}/{_escaped(missing['name'])}"
        )
    return InvalidRequest(text[:1].lower() + text[1:], pointer=pointer)


def pointer_of(path: str) -> str:
    """Return the JSON Pointer of msgspec's path without its `$`; a dict's key is unknown to msgspec, so it ends there."""
    steps = []
    for step in _STEP.finditer(path):
        name = step["name"] or step["index"]
        if name is None:
            break
        steps.append(_escaped(name))
    return "".join(f"/{step}" for step in steps)


def _escaped(name: str) -> str:
    return name[:64].replace("~", "~0").replace("/", "~1")


def _malformed(said: str, data: bytes) -> MalformedRequest:
    if not data:
        return MalformedRequest("the body is empty, and this needs a JSON object")
    found = _BYTE.search(said)
    at = int(found[1]) if found else len(data)
    before = data[:at]
    line, column = before.count(b"\n") + 1, at - (before.rfind(b"\n") + 1) + 1
    what = said.removeprefix("JSON is malformed: ").partition(" (byte")[0]
    return MalformedRequest(f"the body is not JSON: {what} at line {line}, column {column}")
