"""Every key of the settings tree as a flat list: its dotted name, type, default, words and environment variable.

The words are the docstrings under the fields in `tree.py`, so that code, example file and reference page cannot differ.
"""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec.structs import FieldInfo

from wakeline.config import tree

PREFIX = "WAKELINE_"


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One setting. `section` is dotted (`providers.apns`); `type` is what the value is converted to."""

    section: str
    name: str
    type: Any
    default: Any
    words: str

    @property
    def path(self) -> str:
        """Return the dotted name, as errors and the reference page spell it."""
        return f"{self.section}.{self.name}"

    @property
    def variable(self) -> str:
        """Return the environment variable that sets it."""
        return PREFIX + self.path.replace(".", "__").upper()

    @property
    def is_list(self) -> bool:
        """Tell whether it takes several values."""
        return isinstance(self.default, tuple)


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A table of the file: its dotted name, words and keys in the order of the tree."""

    path: str
    words: str
    keys: tuple[Key, ...]


def _default_of(field: FieldInfo) -> Any:
    return field.default_factory() if field.default is msgspec.NODEFAULT else field.default


def _doc(struct: type) -> str:
    return inspect.cleandoc(struct.__doc__ or "")


def _words() -> Mapping[str, Mapping[str, str]]:
    """Read the docstrings under the fields of each class of `tree.py`: class name -> field -> words."""
    words: dict[str, dict[str, str]] = {}
    for node in ast.parse(inspect.getsource(tree)).body:
        if isinstance(node, ast.ClassDef):
            words[node.name] = dict(_documented(node))
    return words


def _documented(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, text in zip(node.body, node.body[1:], strict=False):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                yield name, inspect.cleandoc(words)


def _walk(struct: type[msgspec.Struct], path: str, words: Mapping[str, Mapping[str, str]]) -> Iterator[Section]:
    keys: list[Key] = []
    nested: list[Section] = []
    for field in msgspec.structs.fields(struct):
        default = _default_of(field)
        inner = f"{path}.{field.name}" if path else field.name
        if isinstance(default, msgspec.Struct):
            nested.extend(_walk(type(default), inner, words))
        else:
            text = words[struct.__name__][field.name]
            keys.append(Key(section=path, name=field.name, type=field.type, default=default, words=text))
    if keys:
        yield Section(path=path, words=_doc(struct), keys=tuple(keys))
    yield from nested


@functools.cache
def sections() -> tuple[Section, ...]:
    """Return all tables of the file, in the order of the tree."""
    return tuple(_walk(tree.Settings, "", _words()))


@functools.cache
def keys() -> Mapping[str, Key]:
    """Return every key by its dotted name."""
    return {key.path: key for section in sections() for key in section.keys}
