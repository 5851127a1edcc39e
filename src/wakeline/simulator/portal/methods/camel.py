"""The newer methods' names of fields: `stageId` where the older ones say `STAGE_ID`."""

from __future__ import annotations

import re

from wakeline.simulator.portal.php import Tree, tree
from wakeline.simulator.portal.selection import Row


class Naming:
    """Two names for every field; `exceptions` are by the old name."""

    def __init__(self, **exceptions: str) -> None:
        self._new = exceptions
        self._old = {new: old for old, new in exceptions.items()}

    def new(self, old: str) -> str:
        """`STAGE_ID` is `stageId`."""
        first, *rest = old.lower().split("_")
        return self._new.get(old) or first + "".join(part.capitalize() for part in rest)

    def old(self, new: str) -> str:
        """`stageId` is `STAGE_ID`; an old name is itself."""
        return self._old.get(new) or (new if new.isupper() else re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", new).upper())

    def renewed(self, row: Row) -> Row:
        """A row under its new names."""
        return {self.new(name): value for name, value in row.items()}

    def aged(self, named: object, operators: str = "!=<>@%") -> Tree:
        """A map under its old names; operators before a name stay before it."""
        found: Tree = {}
        for name, value in tree(named).items():
            bare = name.lstrip(operators)
            found[name[: len(name) - len(bare)] + self.old(bare)] = value
        return found
