"""How far an import came, and the rows that were kept aside.

Theory: what the gateway has said is kept is on its disk, and sending a row again changes nothing. So it is enough to remember,
after each answer, where the next row begins: whatever was on its way when the import was killed is sent once more. The place
holds for one content of the file, one app and one reading of the columns; anything else begins anew. The file of rejected rows
is cut back to what belongs to that place, so that a row stands in it once.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from wakeline.model.errors import NotFound

_HEAD = 64 * 1024
_encode = msgspec.json.Encoder().encode


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What is imported: which content (by size, time of change and beginning), into which app, read how."""

    size: int
    modified: int
    head: str
    app: str
    reading: tuple[str, ...]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where the next row begins, and what became of those before: rows kept, devices they made, rows rejected."""

    task: Task
    offset: int
    line: int
    rows: int = 0
    devices: int = 0
    rejected: int = 0
    aside: int = 0
    """Bytes in the file of rejected rows."""


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """A row that was kept aside: its line, why, and the row as it was."""

    line: int
    cause: str
    row: str


def task_of(file: Path, app: str, reading: Iterable[str]) -> Task:
    """Return what importing a file is. Raises NotFound."""
    try:
        with file.open("rb") as stream:
            found = os.fstat(stream.fileno())
            head = hashlib.sha256(stream.read(_HEAD)).hexdigest()
    except OSError as error:
        raise NotFound(f"The file {file} cannot be read: {error.strerror}.") from None
    return Task(size=found.st_size, modified=found.st_mtime_ns, head=head, app=app, reading=tuple(reading))


class Notes:
    """The files beside a list: `aside` with rejected rows (NDJSON), and where to go on."""

    def __init__(self, aside: Path, place: Path | None) -> None:
        """`place` is None for a list that cannot be read again, such as standard input."""
        self._aside = aside
        self._place = place
        self._written = 0

    def recall(self, task: Task) -> Place | None:
        """Return where this very task was left, or None; the file of rejected rows is as it was there."""
        found = self._read()
        place = found if found is not None and found.task == task else None
        self._written = place.aside if place else 0
        if self._aside.exists():
            os.truncate(self._aside, min(self._written, self._aside.stat().st_size))
        return place

    def _read(self) -> Place | None:
        if self._place is None:
            return None
        try:
            return msgspec.json.decode(self._place.read_bytes(), type=Place)
        except (OSError, msgspec.MsgspecError):
            return None

    def keep_aside(self, rejected: Iterable[Rejected]) -> int:
        """Write rejected rows; returns how large their file is now. Raises NotFound where it cannot be written."""
        text = b"".join(_encode(one) + b"\n" for one in rejected)
        if text:
            self._write(self._aside, text, "ab")
            self._written += len(text)
        return self._written

    def remember(self, place: Place) -> None:
        """Remember where to go on; a kill leaves the former place or this one, never half of it."""
        if self._place is not None:
            new = self._place.with_name(f"{self._place.name}.new")
            self._write(new, _encode(place), "wb")
            new.replace(self._place)

    def _write(self, path: Path, data: bytes, mode: str) -> None:
        try:
            with path.open(mode) as stream:
                stream.write(data)
        except OSError as error:
            raise NotFound(
                f"{path} cannot be written: {error.strerror}.", fix="Name another place with --rejected PATH."
            ) from None

    def forget(self) -> None:
        """The list is done: nothing is to go on with."""
        if self._place is not None:
            self._place.unlink(missing_ok=True)
        if not self._written:
            self._aside.unlink(missing_ok=True)
