"""A portal's queue of pushes in a dump of its database: how many rows, how old. Rows are counted and not kept.

Dumps are those that `wakeline import bitrix24` reads (SQL of mysqldump and pg_dump, CSV with a header).
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from wakeline.cli.device_list.columns import Wrong, moment_of
from wakeline.cli.device_list.reading import Row, rows_of
from wakeline.cli.device_list.sql_dump import SqlDump, is_dump
from wakeline.doctor.portal_queue import TABLES, QueueDump
from wakeline.model.errors import ConfigError

_DATES = ("DATE_CREATE", "DATE_INSERT", "TIMESTAMP_X")
_TAIL = 4096
_MADE = re.compile(rb"^-- (?:Dump completed|Completed) on (\d{4}-\d\d-\d\d) +(\d{1,2}:\d\d:\d\d)", re.MULTILINE)


def queue_in(file: Path) -> QueueDump:
    """Return what a dump says of the queue. Raises ConfigError (no such file), MalformedRequest (no table in any form)."""
    try:
        with file.open("rb") as stream:
            return _read(stream)
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}", fix="Name a file that is there.") from None


def _read(stream: io.BufferedReader) -> QueueDump:
    made, written = _made(stream), round(os.fstat(stream.fileno()).st_mtime * 1000)
    if is_dump(stream.peek(1024)):
        dump = SqlDump(stream, TABLES)
        counted = _counted(dump)
        return QueueDump(known=dump.found, dumped=made, written=written, **counted)
    _, rows = rows_of(stream)
    known = rows.columns is None or "DATE_CREATE" in {name.upper() for name in rows.columns}
    return QueueDump(known=known, written=written, **_counted(rows))


def _made(stream: io.BufferedReader) -> int | None:
    """Return when a dump was made, which stands at its end."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - _TAIL))
    found = _MADE.search(stream.read())
    stream.seek(0)
    return None if found is None else _moment(f"{found[1].decode()}T{found[2].decode().zfill(8)}")


def _counted(rows: Iterable[Row]) -> dict[str, Any]:
    """Return the counts and ends of rows."""
    number = unreadable = 0
    ids: list[int] = []
    dates: list[int] = []
    for row in rows:
        identity = _identity(row.cells)
        if row.problem or identity is None:
            unreadable += 1
            continue
        number += 1
        _widen(ids, identity)
        if (made := _moment(_cell(row.cells, _DATES))) is not None:
            _widen(dates, made)
    found: dict[str, Any] = {"rows": number, "unreadable": unreadable}
    if ids:
        found |= {"first": ids[0], "last": ids[1]}
    return found | ({"oldest": dates[0], "newest": dates[1]} if dates else {})


def _widen(ends: list[int], value: int) -> None:
    """Have the smallest and the greatest value stand in `ends`."""
    ends[:] = [min(value, *ends[:1]), max(value, *ends[1:])] if ends else [value, value]


def _identity(cells: Mapping[str, Any]) -> int | None:
    text = str(_cell(cells, ("ID",)) or "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def _moment(said: Any) -> int | None:
    """Return a time in Unix ms; None for what is none."""
    try:
        found = moment_of(said)
    except Wrong:
        return None
    return None if found is None else round(found.timestamp() * 1000)


def _cell(cells: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    upper = {name.upper(): value for name, value in cells.items()}
    return next((upper[name] for name in names if upper.get(name) not in (None, "")), None)
