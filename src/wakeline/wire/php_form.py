"""PHP's idea of a form: `a[b][]=1` is a tree, and a map whose keys are 0, 1, 2... is a list.

Rule: PHP has one type for maps and lists. What it reads has texts as leaves; what it writes as JSON is a list whenever the
keys happen to be 0..n-1 in order, so that an empty map is `[]` (PHP manual: parse_str, http_build_query, json_encode).
Nothing here recurses deeper than the caps of `parse`, or than what a JSON decoder let in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import parse_qsl, quote_plus

from wakeline.model.errors import RemoteProtocolError

Value = object
"""None, bool, int, float, str, list and dict of these."""

DEEPEST = 10
"""Levels of a tree, the outermost name included."""
MOST_PAIRS = 5000

_PLACE = re.compile(r"0|[1-9][0-9]{0,17}")
_SEGMENT = re.compile(r"\[([^\]]*)\]")


class _Node(dict[str, Value]):
    """A map under construction, which knows the place that `[]` means next."""

    next = 0

    def open(self, key: str) -> str:
        """Return the key that is meant; an empty one is the next place."""
        found = key or str(self.next)
        if _PLACE.fullmatch(found):
            self.next = max(self.next, int(found) + 1)
        return found


def parse(query: str) -> dict[str, Value]:
    """Return a query string or urlencoded form as a tree of maps, lists and texts. Raises RemoteProtocolError beyond the caps."""
    if query.count("&") >= 2 * MOST_PAIRS:
        raise _too_many()
    return tree(parse_qsl(query, keep_blank_values=True))


def tree(pairs: Iterable[tuple[str, str]]) -> dict[str, Value]:
    """Return pairs of a flat name and a text as a tree; of equal names the last wins. Raises RemoteProtocolError."""
    root = _Node()
    for count, (name, said) in enumerate(pairs, 1):
        if count > MOST_PAIRS:
            raise _too_many()
        if path := _path(name):
            _put(root, path, said)
    return {key: _closed(value) for key, value in root.items()}


def _path(name: str) -> list[str]:
    """Return the segments of a flat name as PHP sees them: dots and spaces of the outermost one become underscores."""
    head, bracket, rest = name.lstrip(" ").partition("[")
    outermost = head.replace(".", "_").replace(" ", "_")
    if not bracket:
        return [outermost] if outermost else []
    if not head:
        return []
    segments: list[str] = []
    place, rest = 0, f"[{rest}"
    while (found := _SEGMENT.match(rest, place)) is not None:
        segments.append(found[1])
        place = found.end()
        if len(segments) >= DEEPEST:
            raise RemoteProtocolError(f"The parameters are nested deeper than {DEEPEST} levels")
    # A bracket that is never closed is a character like any other, and becomes an underscore too.
    return [outermost, *segments] if segments else [f"{outermost}_{rest[1:]}"]


def _put(root: _Node, path: list[str], said: str) -> None:
    node = root
    for key in path[:-1]:
        name = node.open(key)
        inner = node.get(name)
        if not isinstance(inner, _Node):
            inner = node[name] = _Node()
        node = inner
    node[node.open(path[-1])] = said


def _closed(value: Value) -> Value:
    if not isinstance(value, _Node):
        return value
    return _list_or_map({key: _closed(one) for key, one in value.items()})


def _too_many() -> RemoteProtocolError:
    return RemoteProtocolError(f"There are more than {MOST_PAIRS} parameters")


def shape(value: Value) -> Value:
    """Return a value as PHP's json_encode would print it."""
    match value:
        case dict():
            return _list_or_map({str(key): shape(one) for key, one in value.items()})
        case list() | tuple():
            return [shape(one) for one in value]
        case _:
            return value


def _list_or_map(found: dict[str, Value]) -> Value:
    if all(key == str(place) for place, key in enumerate(found)):
        return list(found.values())
    return found


def build_query(value: dict[str, Value]) -> str:
    """Return a tree as http_build_query does: in its order, brackets encoded; null and empty maps vanish."""
    return "&".join(f"{_quoted(name)}={_quoted(said)}" for name, said in _flat(value.items(), ""))


def _flat(items: Iterable[tuple[str, Value]], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in items:
        name = f"{prefix}[{key}]" if prefix else key
        match value:
            case None:
                continue
            case dict():
                yield from _flat(value.items(), name)
            case list() | tuple():
                yield from _flat(((str(place), one) for place, one in enumerate(value)), name)
            case bool():
                yield name, "1" if value else "0"
            case float() if value.is_integer():
                yield name, str(int(value))
            case _:
                yield name, str(value)


def _quoted(said: str) -> str:
    """Return a text as PHP's urlencode writes it: like a form, but the tilde is encoded as well."""
    return quote_plus(said, errors="replace").replace("~", "%7E")
