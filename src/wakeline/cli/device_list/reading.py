"""Rows of a CSV or NDJSON file, with their line numbers and where they end.

Theory: one bad row must cost one row. A row that cannot be read is given with its cause and its bytes; a quote that is never
closed would swallow the rest of the file, so a row ends at ROW_LIMIT, and reading goes on at the line after its first one.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import msgspec

from wakeline.model.errors import MalformedRequest

ROW_LIMIT = 64 * 1024
_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_DELIMITERS = ",;\t|"

_object = msgspec.json.Decoder(dict[str, Any])


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A row: its first line (from 1), where the next begins, its bytes, and its cells by column, or why it has none."""

    line: int
    next_line: int
    end: int
    raw: bytes
    cells: Mapping[str, Any] = {}
    problem: str = ""


class _Endless(Exception):
    """A row is longer than ROW_LIMIT."""


class Lines:
    """Lines of a stream; some can be given back. `offset` and `number` are of the next one (bytes from 0, lines from 1)."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._again: deque[bytes] = deque()
        self.offset = 0
        self.number = 1

    def take(self) -> bytes:
        """Return the next line with its end, b"" after the last; of a line beyond ROW_LIMIT its beginning, without an end."""
        if self._again:
            line = self._again.popleft()
        else:
            line = self._stream.readline(ROW_LIMIT + 1)
            size = len(line)
            rest = line
            while len(rest) > ROW_LIMIT and not rest.endswith(b"\n"):
                rest = self._stream.readline(ROW_LIMIT + 1)
                size += len(rest)
            self.offset += size - len(line)
        self.offset += len(line)
        self.number += bool(line)
        return line

    def give_back(self, lines: Sequence[bytes]) -> None:
        """Have these lines taken again."""
        self._again.extendleft(reversed(lines))
        self.offset -= sum(map(len, lines))
        self.number -= len(lines)

    def go_on(self, offset: int, number: int) -> None:
        """Continue at a place that was reached before."""
        self._again.clear()
        self._stream.seek(offset)
        self.offset, self.number = offset, number


class Ndjson:
    """Rows of JSON objects, one a line."""

    columns: tuple[str, ...] | None = None

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows that are left; blank lines are none."""
        while line := self._lines.take():
            if not line.strip():
                continue
            cells, problem = self._read(line)
            number = self._lines.number
            yield Row(line=number - 1, next_line=number, end=self._lines.offset, raw=line, cells=cells, problem=problem)

    def _read(self, line: bytes) -> tuple[Mapping[str, Any], str]:
        if len(line.rstrip(b"\r\n")) > ROW_LIMIT:
            return {}, f"the line is longer than {ROW_LIMIT} bytes"
        try:
            return _object.decode(line), ""
        except UnicodeDecodeError as error:
            return {}, _undecodable(error)
        except (msgspec.DecodeError, RecursionError) as error:
            return {}, f"the line is no JSON object: {error}"


class Csv:
    """Rows of a CSV file under its first line, the header. `columns` are its names."""

    def __init__(self, lines: Lines) -> None:
        """Read the header. Raises MalformedRequest."""
        self._lines = lines
        self._taken: list[bytes] = []
        self._problem = ""
        self._delimiter = _delimiter(self._peek())
        header = next(iter(self._rows()), None)
        if header is None or self._problem:
            raise MalformedRequest(
                f"The first line is no header: {self._problem or 'there is none'}.",
                fix="Name the columns in the first line.",
            )
        self.columns: tuple[str, ...] = tuple(name.strip() for name in header)
        twice = [name for name in self.columns if self.columns.count(name) > 1]
        if twice:
            raise MalformedRequest(
                f"The column {twice[0]!r} is there twice.", fix="Give each column a name of its own."
            )

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows that are left; blank lines are none."""
        for cells in self._rows():
            if not self._problem and len(cells) != len(self.columns):
                self._problem = f"{len(cells)} cells under {len(self.columns)} columns"
            yield Row(
                line=self._lines.number - len(self._taken),
                next_line=self._lines.number,
                end=self._lines.offset,
                raw=self._taken[0] if len(self._taken) == 1 else b"".join(self._taken),
                cells={} if self._problem else dict(zip(self.columns, map(str.strip, cells), strict=True)),
                problem=self._problem,
            )

    def _peek(self) -> str:
        line = self._lines.take()
        self._lines.give_back([line] if line else [])
        return line.decode(errors="replace")

    def _rows(self) -> Iterator[Sequence[str]]:
        """Yield cells; `_taken` and `_problem` belong to the row that was yielded last."""
        reader = self._reader()
        while line := self._lines.take():
            plain = self._plain(line)
            if plain is not None:
                self._taken, self._problem = [line], ""
                if plain:
                    yield plain
                continue
            self._lines.give_back([line])
            self._taken, self._problem = [], ""
            try:
                cells = next(reader, None)
            except (csv.Error, _Endless) as error:
                self._break_off(str(error))
                reader = self._reader()
                yield ()
                continue
            if cells is None:
                return
            if cells:
                yield cells

    def _plain(self, line: bytes) -> Sequence[str] | None:
        """Return the cells of a line in which nothing is quoted: what the reader would say of it. None for any other."""
        if b'"' in line or len(line) > ROW_LIMIT:
            return None
        try:
            text = line.decode()
        except UnicodeDecodeError:
            return None
        text = text.removesuffix("\n").removesuffix("\r")
        if "\r" in text:
            return None
        return text.split(self._delimiter) if text else ()

    def _reader(self) -> Iterator[Sequence[str]]:
        return csv.reader(self._text(), delimiter=self._delimiter, strict=True)

    def _text(self) -> Generator[str, None, None]:
        while line := self._lines.take():
            self._taken.append(line)
            if sum(map(len, self._taken)) > ROW_LIMIT:
                raise _Endless(f"the row is longer than {ROW_LIMIT} bytes; is a quote left open?")
            try:
                yield line.decode()
            except UnicodeDecodeError as error:
                self._problem = _undecodable(error)
                yield line.decode(errors="replace")

    def _break_off(self, problem: str) -> None:
        """Have the row end with its first line."""
        self._lines.give_back(self._taken[1:])
        self._taken, self._problem = self._taken[:1], problem


Rows = Csv | Ndjson


def rows_of(stream: BinaryIO) -> tuple[Lines, Rows]:
    """Return the rows of a list and the lines they are on: JSON if it begins with a brace. Raises MalformedRequest."""
    lines = Lines(stream)
    first = lines.take()
    if first.startswith(_UTF16):
        raise MalformedRequest("The list is written in UTF-16.", fix="Convert it: iconv -f UTF-16 -t UTF-8.")
    first = first.removeprefix(_BOM)
    blank = []
    while first and not first.strip():
        blank.append(first)
        first = lines.take()
    lines.give_back([first] if first else [])
    return lines, Ndjson(lines) if first.lstrip().startswith(b"{") else Csv(lines)


def _delimiter(header: str) -> str:
    return max(_DELIMITERS, key=header.count)


def _undecodable(error: UnicodeDecodeError) -> str:
    return f"not UTF-8: byte 0x{error.object[error.start]:02x} at {error.start + 1}"
