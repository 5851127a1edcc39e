"""From a path to an operation.

Theory: paths are cut at their slashes before they are decoded, so that a user or device id may contain one (`%2F`).
A literal segment wins over a parameter. Short paths that led somewhere are remembered: a backend posts to one for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import msgspec

from wakeline.edges.rest.operations import Operation
from wakeline.model.errors import MethodNotAllowed, NotFound

_REMEMBERED = 1024
_REMEMBERED_LENGTH = 256


class _Node:
    __slots__ = ("child", "literal", "methods")

    def __init__(self) -> None:
        self.literal: dict[str, _Node] = {}
        self.child: _Node | None = None
        self.methods: dict[str, Operation] = {}


class Match(msgspec.Struct, frozen=True):
    """An operation and the decoded parameters of its path."""

    operation: Operation
    path: Mapping[str, str]


class Router:
    """The table of operations as a tree of path segments."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        """Raise ValueError if two operations have the same path and method."""
        self._root = _Node()
        self._remembered = lru_cache(maxsize=_REMEMBERED)(self._look_up)
        for operation in operations:
            node = self._root
            for segment in operation.path.split("/")[1:]:
                node = _step(node, segment)
            if operation.method in node.methods:
                raise ValueError(f"{operation.method} {operation.path} stands twice in the table")
            node.methods[operation.method] = operation

    def match(self, method: str, scope: Mapping[str, Any]) -> Match:
        """Return what is asked for. Raises NotFound, MethodNotAllowed."""
        raw = scope.get("raw_path") or quote(scope["path"]).encode()
        return self._remembered(method, raw) if len(raw) <= _REMEMBERED_LENGTH else self._look_up(method, raw)

    def _look_up(self, method: str, raw: bytes) -> Match:
        segments = _segments(raw)
        node = _walk(self._root, segments)
        if node is None:
            raise NotFound("there is nothing at this path", fix="`/docs` lists what there is.")
        operation = node.methods.get("GET" if method == "HEAD" else method)
        if operation is None:
            raise _refused(method, node)
        names = operation.path.split("/")[1:]
        pairs = zip(names, segments, strict=True)
        return Match(operation, {name[1:-1]: segment for name, segment in pairs if name.startswith("{")})


def _refused(method: str, node: _Node) -> MethodNotAllowed:
    refusal = MethodNotAllowed(f"{method[:32]} is not for this path", fix=f"Use {' or '.join(sorted(node.methods))}.")
    refusal.allowed = tuple(sorted({*node.methods, *(("HEAD",) if "GET" in node.methods else ())}))
    return refusal


def _step(node: _Node, segment: str) -> _Node:
    if segment.startswith("{"):
        node.child = node.child or _Node()
        return node.child
    return node.literal.setdefault(segment, _Node())


def _walk(node: _Node, segments: list[str]) -> _Node | None:
    for at, segment in enumerate(segments):
        literal = node.literal.get(segment)
        if literal is not None and (found := _walk(literal, segments[at + 1 :])):
            return found
        if node.child is None or not segment:
            return None
        node = node.child
    return node if node.methods else None


def _segments(raw: bytes) -> list[str]:
    try:
        return [unquote_to_bytes(part).decode() for part in raw.split(b"/")[1:]]
    except UnicodeDecodeError:
        raise NotFound("the path is not UTF-8") from None
