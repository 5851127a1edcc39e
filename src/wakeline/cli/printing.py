"""Printing: rich on a terminal, plain text in a pipe, one JSON document on one line with `--json`.

Nothing of a result is ever cut in a pipe: tables are as wide as they need there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from wakeline.cli.failures import Failure

_PIPE_WIDTH = 400
_STYLES = {
    "ok": "green",
    "accepted": "green",
    "active": "green",
    "working": "green",
    "warning": "yellow",
    "held": "yellow",
    "quarantined": "yellow",
    "failed": "red",
    "refused": "red",
    "expired": "red",
    "retired": "red",
}


class Printer:
    """Where results and remarks go."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._out = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False)
        self._err = Console(stderr=True, width=None if sys.stderr.isatty() else _PIPE_WIDTH, highlight=False)

    def result(self, value: Any, view: Callable[[], RenderableType]) -> None:
        """Print a result: `value` as JSON, or what `view` draws."""
        if self.as_json:
            sys.stdout.write(f"{msgspec.json.encode(value).decode()}\n")
            sys.stdout.flush()
        else:
            self._out.print(view())

    def line(self, value: Any, view: Callable[[], RenderableType]) -> None:
        """Print one of a stream of results, flushed."""
        self.result(value, view)
        sys.stdout.flush()

    def remark(self, text: str) -> None:
        """Print something that is no result."""
        self._err.print(Text(text))

    def note(self, drawn: RenderableType) -> None:
        """Print something drawn that is no result."""
        self._err.print(drawn)

    def progress(self) -> Progress:
        """Give a bar for long work, on stderr; nothing is drawn in a pipe."""
        return Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=self._err,
            transient=True,
            disable=not self._err.is_terminal,
        )

    def failure(self, failure: Failure) -> None:
        """Print cause and fix; with `--json` also as the one document."""
        self._err.print(Text(failure.cause, style="red"))
        for field in failure.errors:
            self._err.print(Text(f"  {field}", style="red"))
        if failure.fix:
            self._err.print(Text(f"To fix it: {failure.fix}"))
        if self.as_json:
            sys.stdout.write(f"{msgspec.json.encode({'error': failure}).decode()}\n")
            sys.stdout.flush()


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str = "") -> RenderableType:
    """Draw rows under column names; says so if there are none."""
    drawn = Table(*columns, title=title or None, title_justify="left", header_style="bold")
    for row in rows:
        drawn.add_row(*(cell(value) for value in row))
    return drawn if drawn.row_count else Text("none", style="dim")


def facts(pairs: Iterable[tuple[str, Any]]) -> RenderableType:
    """Draw names and values below each other, leaving out what is empty."""
    drawn = Table.grid(padding=(0, 2))
    for name, value in pairs:
        if value not in (None, "", (), []):
            drawn.add_row(Text(name, style="bold"), cell(value))
    return drawn


def cell(value: Any) -> Text:
    """Return one value as people read it."""
    match value:
        case None | "":
            return Text("-", style="dim")
        case bool():
            return Text("yes" if value else "no")
        case datetime():
            return Text(value.astimezone().isoformat(sep=" ", timespec="seconds"))
        case tuple() | list() | set() | frozenset():
            return Text(", ".join(cell(item).plain for item in value) or "-")
        case _:
            text = str(value)
            return Text(text, style=_STYLES.get(text, ""))
