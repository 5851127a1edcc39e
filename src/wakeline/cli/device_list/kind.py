"""What any kind of list of devices is to whoever brings it in: rows, places in it, and a meaning of its columns."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from wakeline.cli.device_list.columns import Entry
from wakeline.cli.device_list.reading import Row


class Meaning(Protocol):
    """What the columns of a list mean."""

    def check(self, columns: Sequence[str]) -> None:
        """Look at the header of a table. Raises ConfigError."""

    def entry(self, cells: Mapping[str, Any]) -> Entry:
        """Return what a row says. Raises Wrong."""


class Placed(Protocol):
    """Where in a list the next row is, and a way back to such a place."""

    offset: int
    number: int

    def go_on(self, offset: int, number: int, /) -> None:
        """Continue at a place that was reached before."""


class Rows(Protocol):
    """The rows of a list; `columns` are those of its header, if it has one."""

    @property
    def columns(self) -> tuple[str, ...] | None:
        """Return the names in the header."""

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows that are left."""


Reading = Callable[[io.BufferedReader], tuple[Placed, Rows]]
