"""Forms and JSON as PHP reads and writes them.

Theory: PHP has one type for lists and maps. `a[b][]=1` is a tree of them, and what is written as JSON is a list exactly
when its keys are 0..n-1 in order; so an empty map is `[]` (PHP manual: parse_str, json_encode, http_build_query).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, quote_plus

Tree = dict[str, object]

_NAME = re.compile(r"([^\[]+)((?:\[[^\]]*\])*)")
_DEEPEST = 12


def parse_form(text: str) -> Tree:
    """The tree that a query string or a form says; a name that comes twice has its last value."""
    root: Tree = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        found = _NAME.fullmatch(name)
        path = [name] if found is None else [found[1], *re.findall(r"\[([^\]]*)\]", found[2])]
        _put(root, path[:_DEEPEST], value)
    return root


def _put(node: Tree, path: list[str], value: str) -> None:
    for place, segment in enumerate(path):
        key = segment or _next_place(node)
        if place == len(path) - 1:
            node[key] = value
            return
        inner = node.get(key)
        if not isinstance(inner, dict):
            inner = node[key] = {}
        node = inner


def _next_place(node: Tree) -> str:
    return str(max((int(key) for key in node if key.isdigit()), default=-1) + 1)


def shaped(value: object) -> object:
    """`value` as `json_encode` would write it: a map with the keys 0..n-1 is a list."""
    if isinstance(value, dict):
        if all(str(key) == str(place) for place, key in enumerate(value)):
            return [shaped(one) for one in value.values()]
        return {str(key): shaped(one) for key, one in value.items()}
    return [shaped(one) for one in value] if isinstance(value, list | tuple) else value


def form(tree: Tree) -> str:
    """`tree` as `http_build_query` writes it: brackets encoded, null and empty maps left out, true is 1."""
    return "&".join(f"{quote_plus(name)}={quote_plus(text)}" for name, text in _flat(tree, ""))


def _flat(tree: Tree, prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        name = f"{prefix}[{key}]" if prefix else key
        if isinstance(value, dict):
            yield from _flat(value, name)
        elif isinstance(value, list | tuple):
            yield from _flat({str(place): one for place, one in enumerate(value)}, name)
        elif value is not None:
            yield name, str(int(value)) if isinstance(value, bool) else str(value)


def text(value: object) -> str:
    """A scalar as text; a tree and nothing are empty."""
    if isinstance(value, bool):
        return "Y" if value else "N"
    return str(value) if isinstance(value, str | int | float) else ""


def number(value: object, default: int = 0) -> int:
    """A whole number, however it was written."""
    try:
        return int(float(text(value)))
    except (ValueError, OverflowError):
        return default


def amount(value: object) -> float:
    """A number with its fraction; 0 if it is none."""
    try:
        return float(text(value))
    except ValueError:
        return 0.0


def flag(value: object, *, default: bool = False) -> bool:
    """A truth value: clients write Y, 1 and true, and N, 0 and false."""
    said = text(value).lower()
    return default if not said else said in ("y", "1", "true", "yes")


def tree(value: object) -> Tree:
    """A map; a list is one with the keys 0..n-1, and anything else is empty."""
    if isinstance(value, dict):
        return {str(key): one for key, one in value.items()}
    return {str(place): one for place, one in enumerate(value)} if isinstance(value, list) else {}


def texts(value: object) -> list[str]:
    """A list of scalars, or the only one."""
    if isinstance(value, dict | list):
        return [text(one) for one in tree(value).values()]
    return [text(value)] if text(value) else []
