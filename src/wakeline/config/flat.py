"""The settings tree as a flat mapping, dotted key to value, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from wakeline.config.keys import sections
from wakeline.config.tree import Settings


def values(settings: Settings) -> dict[str, Any]:
    """Return every setting by its dotted key, in the order of the tree."""
    found: dict[str, Any] = {}
    for section in sections():
        table: Any = settings
        for name in section.path.split("."):
            table = getattr(table, name)
        found.update({key.path: getattr(table, key.name) for key in section.keys})
    return found


def of_values(given: Mapping[str, Any]) -> Settings:
    """Return the tree of these values; keys that are absent have their defaults."""
    tree: dict[str, Any] = {}
    for path, value in given.items():
        *parents, name = path.split(".")
        table = tree
        for parent in parents:
            table = table.setdefault(parent, {})
        table[name] = value
    return msgspec.convert(tree, Settings)
