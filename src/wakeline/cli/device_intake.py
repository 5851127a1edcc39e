"""An import of devices under way: rows of a list of any length become lines of `POST /v1/apps/{app}/devices`, ROWS at a time.

After each answer the place in the file is remembered, so an import that was interrupted goes on (`device_list.progress` says why
nothing is lost or doubled). While the gateway writes one request's rows the next are read, and no more: memory holds two requests,
and rows arrive in the order of the file.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import sys
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import cast

import msgspec
from rich.console import RenderableType

from wakeline.cli.choosing import chosen
from wakeline.cli.client import Client
from wakeline.cli.context import Context
from wakeline.cli.credential_views import REFUSED
from wakeline.cli.device_list.columns import Entry, Wrong, merged
from wakeline.cli.device_list.kind import Meaning, Placed, Reading, Rows
from wakeline.cli.device_list.progress import Notes, Place, Rejected, Task, task_of
from wakeline.cli.device_list.reading import Row
from wakeline.cli.printing import facts
from wakeline.edges.rest.device_import import ImportedView
from wakeline.edges.rest.problems import Problem
from wakeline.model.errors import NotFound

ROWS = 5000
"""Rows of one request: a second's work, and what an interruption repeats at most."""

_BREATH = 100
"""Rows after which a request on its way gets its turn: reading them takes about a millisecond."""

_OBJECTS_BETWEEN_COLLECTIONS = 100_000

_encode = msgspec.json.Encoder().encode


class ImportedDevices(msgspec.Struct, frozen=True, kw_only=True):
    """What `import devices` prints: rows kept, devices they made, rows kept aside and where; `resumed_at`: the first line read."""

    file: str
    app: str
    rows: int
    devices: int
    rejected: int
    rejected_file: str
    resumed_at: int


async def bring_in(
    file: Path,
    *,
    app: str | None,
    rejected: Path | None,
    columns: Meaning,
    reading: tuple[str, ...],
    rows_of: Reading,
    context: Context,
) -> int:
    """Register the devices of a list and print what became of it; returns the exit code.

    `reading` tells readings of the same file apart: what was read otherwise is not gone on with.
    """
    piped = str(file) == "-"
    name = "stdin" if piped else file.name
    aside = rejected or (Path("stdin.rejected") if piped else file.with_name(f"{name}.rejected"))
    notes = Notes(aside, None if piped else aside.with_name(f"{name}.progress"))
    async with context.gateway() as gateway:
        slug = await chosen(gateway, app)
        task = Task(size=0, modified=0, head="", app=slug, reading=()) if piped else task_of(file, slug, reading)
        with _opened(file) as stream, _few_collections():
            work = _Import(gateway, notes, task, columns, ahead=not piped)
            start = await work.run(*rows_of(stream), context)
    done = work.place
    shown = ImportedDevices(
        file=str(file),
        app=slug,
        rows=done.rows,
        devices=done.devices,
        rejected=done.rejected,
        rejected_file=str(aside) if done.rejected else "",
        resumed_at=start,
    )
    context.printer.result(shown, lambda: _drawn(shown))
    return REFUSED if done.rejected else 0


@contextlib.contextmanager
def _few_collections() -> Iterator[None]:
    """Have the collector look for cycles seldom: rows make none, and looking took a quarter of the time of reading them."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[io.BufferedReader]:
    if str(file) == "-":
        yield cast("io.BufferedReader", sys.stdin.buffer)
        return
    try:
        stream = file.open("rb")
    except OSError as error:
        raise NotFound(f"The file {file} cannot be read: {error.strerror}.") from None
    with stream:
        yield stream


class _Device(msgspec.Struct):
    """A device of the list, and the rows that told of it."""

    entry: Entry
    rows: list[Row]


class _Batch:
    """What is sent next: devices, and what could not be read on the way to them."""

    def __init__(self) -> None:
        self.devices: list[_Device] = []
        self.rejected: list[Rejected] = []
        self.last: Row | None = None
        self.rows = 0

    def add(self, row: Row, columns: Meaning) -> None:
        """Take in a row."""
        self.last = row
        self.rows += 1
        if row.problem:
            self.rejected.append(_rejected(row, row.problem))
            return
        try:
            entry = columns.entry(row.cells)
        except Wrong as wrong:
            self.rejected.append(_rejected(row, str(wrong)))
            return
        before = self.devices[-1] if self.devices else None
        together = merged(before.entry, entry) if before is not None else None
        if before is not None and together is not None:
            before.entry = together
            before.rows.append(row)
        else:
            self.devices.append(_Device(entry, [row]))

    def holds(self, row: Row, columns: Meaning) -> bool:
        """Tell whether a row belongs to the last device, so that a request must not end before it."""
        if row.problem or not self.devices or len(self.devices[-1].rows) >= _MOST_ROWS:
            return False
        try:
            return columns.entry(row.cells).device == self.devices[-1].entry.device
        except Wrong:
            return False


_MOST_ROWS = 32
"""Rows of one device that are looked for beyond ROWS: as many as a device may have targets."""


class _Import:
    """One run over a list. `ahead`: rows may be read while others are sent; of a pipe that would wait for who fills it."""

    def __init__(self, gateway: Client, notes: Notes, task: Task, columns: Meaning, *, ahead: bool) -> None:
        self._ahead = ahead
        self._gateway = gateway
        self._notes = notes
        self._task = task
        self._columns = columns
        self.place = Place(task=task, offset=0, line=1)

    async def run(self, lines: Placed, rows: Rows, context: Context) -> int:
        """Import what is left of a list; returns the line it began at."""
        if rows.columns is not None:
            self._columns.check(rows.columns)
        place = self._notes.recall(self._task)
        if place is not None:
            self.place = place
            lines.go_on(place.offset, place.line)
            context.printer.remark(f"Going on at line {place.line}; {place.rows} rows are in already.")
        start = place.line if place is not None else lines.number
        with context.printer.progress() as bar:
            shown = bar.add_task("devices", total=self._task.size or None, completed=lines.offset)
            try:
                async for _ in self._sent(rows):
                    bar.update(shown, completed=self.place.offset, description=f"{self.place.devices} devices")
            except asyncio.CancelledError:
                context.printer.remark(f"Stopped before line {self.place.line}: the same command goes on there.")
                raise
        self._notes.forget()
        return start

    async def _sent(self, rows: Rows) -> AsyncGenerator[None, None]:
        """Send batch after batch; yields after each answer."""
        sending: asyncio.Task[None] | None = None
        try:
            async for batch in self._batches(rows):
                if sending is not None:
                    await sending
                    yield
                sending = asyncio.create_task(self._send(batch))
                if not self._ahead:
                    await sending
            if sending is not None:
                await sending
                yield
        finally:
            if sending is not None:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)

    async def _batches(self, rows: Rows) -> AsyncGenerator[_Batch, None]:
        batch = _Batch()
        for row in rows:
            if batch.rows % _BREATH == 0:
                await asyncio.sleep(0)
            if batch.rows >= ROWS and not batch.holds(row, self._columns):
                yield batch
                batch = _Batch()
            batch.add(row, self._columns)
        if batch.rows:
            yield batch

    async def _send(self, batch: _Batch) -> None:
        """Send a batch, and remember the place after it."""
        refused: dict[int, Problem] = {}
        if batch.devices:
            lines = b"\n".join([_encode(device.entry) for device in batch.devices])
            answer: ImportedView = await self._gateway.call("device.import", lines=lines, app=self._task.app)
            refused = {one.line: one.problem for one in answer.rejected}
        for number, problem in refused.items():
            batch.rejected += _all_of(batch.devices[number - 1], problem)
        rejected = sorted(batch.rejected, key=lambda one: one.line)
        before, last = self.place, batch.last
        self.place = Place(
            task=self._task,
            offset=last.end if last else before.offset,
            line=last.next_line if last else before.line,
            rows=before.rows + batch.rows - len(rejected),
            devices=before.devices + len(batch.devices) - len(refused),
            rejected=before.rejected + len(rejected),
            aside=self._notes.keep_aside(rejected),
        )
        self._notes.remember(self.place)


def _all_of(device: _Device, problem: Problem) -> Iterator[Rejected]:
    """Yield the rows of a device that was refused: half of what was known about it would be no truth."""
    pointer = problem.errors[0].pointer if problem.errors else ""
    cause = f"{pointer}: {problem.detail}" if pointer else problem.detail
    lines = ", ".join(str(row.line) for row in device.rows)
    for row in device.rows:
        yield _rejected(row, cause if len(device.rows) == 1 else f"lines {lines} are one device; {cause}")


def _rejected(row: Row, cause: str) -> Rejected:
    return Rejected(line=row.line, cause=cause, row=row.raw.decode(errors="backslashreplace").rstrip("\r\n"))


def _drawn(shown: ImportedDevices) -> RenderableType:
    return facts(
        [
            ("file", shown.file),
            ("app", shown.app),
            ("devices", shown.devices),
            ("rows", shown.rows),
            ("kept aside", f"{shown.rejected} rows in {shown.rejected_file}" if shown.rejected else ""),
        ]
    )
