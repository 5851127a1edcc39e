r"""Rows of some tables of a portal in an SQL dump: INSERTs as mysqldump and others write them, COPY as pg_dump does.

A dump says which columns a row has in the statement itself, or in the CREATE TABLE before it; rows of which it does not say so
are given with that cause. Other tables are passed over. Statements may be as long as the file: a row is looked at by itself.
A place in the middle of a dump means nothing without what stands before it, so going on means reading from the beginning and
leaving out the rows that end before that place.

Sources: MySQL Reference Manual, "String Literals"; PostgreSQL documentation, COPY, "Text Format".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import BinaryIO

import msgspec

from wakeline.cli.device_list.reading import ROW_LIMIT, Row

_BLOCK = 4 * ROW_LIMIT
_QUOTE = rb'["`\[\]]?'
DEVICE_TABLES = ("b_pull_push", "b_mobile_device")
"""Tables of phones."""

_COLUMN = re.compile(rb"\s*%s(\w+)%s\s+\w" % (_QUOTE, _QUOTE))
_NO_COLUMN = frozenset({"PRIMARY", "KEY", "UNIQUE", "INDEX", "CONSTRAINT", "FULLTEXT", "FOREIGN", "CHECK", "SPATIAL"})
_STRING = rb"'[^'\\]*(?:(?:\\.|'')[^'\\]*)*'|" + rb'"[^"\\]*(?:(?:\\.|"")[^"\\]*)*"'
_VALUE = rb"(?:_\w+\s+|[EeNnXxBb])?(?:%s)|[^\s,()'\"]+" % _STRING
_TUPLE = re.compile(rb"\(\s*(?:%s)\s*(?:,\s*(?:%s)\s*)*\)" % (_VALUE, _VALUE), re.DOTALL)
_ONE = re.compile(_VALUE, re.DOTALL)
_NEXT = re.compile(rb"\)\s*,\s*\(")
_BETWEEN = re.compile(rb"[\s,]*")
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_QUOTED = {sign: re.compile(rb"\\(.)|%s%s" % (sign, sign), re.DOTALL) for sign in (b"'", b'"')}
_SIGNS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"b": b"\b", b"0": b"\0", b"Z": b"\x1a"}
_BEGINS = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:--|/\*|\\|(?:INSERT|REPLACE|COPY|CREATE|SET|DROP|LOCK|BEGIN|USE|DELETE|TRUNCATE|START|ALTER)\s)",
    re.IGNORECASE,
)
_END_OF_COPY = b"\\."
_NULL = b"\\N"


class _Statements(msgspec.Struct, frozen=True):
    """How statements about the wanted tables begin."""

    insert: re.Pattern[bytes]
    copy: re.Pattern[bytes]
    create: re.Pattern[bytes]


@lru_cache
def _about(tables: tuple[str, ...]) -> _Statements:
    named = b"|".join(re.escape(table.encode()) for table in tables)
    table = rb"(?:%s\w+%s\.)?%s(%s)%s(?![\w$])" % (_QUOTE, _QUOTE, _QUOTE, named, _QUOTE)
    return _Statements(
        insert=re.compile(
            rb"\s*(?:INSERT|REPLACE)\s+(?:(?:IGNORE|DELAYED|LOW_PRIORITY)\s+)*INTO\s+%s\s*(?:\(([^()]*)\)\s*)?VALUES\s*"
            % table,
            re.IGNORECASE,
        ),
        copy=re.compile(rb"\s*COPY\s+%s\s*\(([^()]*)\)\s*FROM\s+stdin\b[^\n]*;[ \t\r]*\n" % table, re.IGNORECASE),
        create=re.compile(rb"\s*CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?%s\s*\(" % table, re.IGNORECASE),
    )


def is_dump(beginning: bytes) -> bool:
    """Tell whether a file that begins so is a dump."""
    return _BEGINS.match(beginning) is not None


class SqlDump:
    """The rows of some tables. `offset` and `number` are the place after the row that was given last.

    `found`: a statement about one of the tables was met, so that a dump without rows says that there are none.
    """

    columns: tuple[str, ...] | None = None

    def __init__(self, stream: BinaryIO, tables: tuple[str, ...] = DEVICE_TABLES) -> None:
        """Read from the beginning of a stream."""
        self._stream = stream
        self._about = _about(tables)
        self.found = False
        self._buffer = b""
        self._at = 0
        self._ended = False
        self._from = 0
        self._tables: dict[str, tuple[str, ...]] = {}
        self.offset = 0
        self.number = 1

    def go_on(self, offset: int, _number: int) -> None:
        """Leave out the rows that end at or before a place that was reached before."""
        self._from = offset

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows that are left."""
        for row in self._rows():
            if row.end > self._from:
                yield row

    def _rows(self) -> Iterator[Row]:
        about = self._about
        while self._fill():
            if found := about.insert.match(self._buffer, self._at):
                columns = self._columns_of(found[1], found[2])
                self._pass(found.end())
                yield from self._inserted(columns)
            elif found := about.copy.match(self._buffer, self._at):
                columns = self._columns_of(found[1], found[2])
                self._pass(found.end())
                yield from self._copied(columns)
            elif found := about.create.match(self._buffer, self._at):
                self._pass(found.end())
                self._tables[_name(found[1])] = self._created()
            self.found = self.found or found is not None
            self._pass_line()

    def _columns_of(self, table: bytes, listed: bytes | None) -> tuple[str, ...]:
        """Return the columns that a statement lists, else those of its table; empty if nobody said."""
        if listed is not None:
            return tuple(_name(one) for one in listed.split(b","))
        return self._tables.get(_name(table), ())

    def _created(self) -> tuple[str, ...]:
        """Read the columns of a CREATE TABLE: each on a line of its own, as dumps write them."""
        names: list[str] = []
        while self._fill():
            line = self._line()
            if line.lstrip().startswith(b")"):
                break
            found = _COLUMN.match(line)
            if found is not None and (name := found[1].decode().upper()) not in _NO_COLUMN:
                names.append(name)
            self._pass(self._at + len(line))
        return tuple(names)

    def _inserted(self, columns: Sequence[str]) -> Iterator[Row]:
        """Yield the rows of an INSERT, to its end."""
        while self._fill():
            between = _BETWEEN.match(self._buffer, self._at)
            self._pass(between.end() if between is not None else self._at)
            if not self._fill() or self._buffer[self._at : self._at + 1] != b"(":
                return
            found = _TUPLE.match(self._buffer, self._at, self._at + ROW_LIMIT)
            if found is None:
                following = _NEXT.search(self._buffer, self._at, self._at + ROW_LIMIT)
                raw = self._buffer[self._at : following.start() + 1] if following else self._line().rstrip(b"\r\n")
                yield self._row(raw, {}, f"no row of values of up to {ROW_LIMIT} bytes begins here")
                if following is None:
                    return
                continue
            values = [_value(one) for one in _ONE.findall(found[0][1:-1])]
            yield self._row(found[0], *_cells(columns, values))

    def _copied(self, columns: Sequence[str]) -> Iterator[Row]:
        """Yield the rows of a COPY, to its end."""
        while self._fill():
            line = self._line()
            text = line.rstrip(b"\r\n")
            if text == _END_OF_COPY:
                return
            if len(line) > ROW_LIMIT:
                yield self._row(text, {}, f"the row is longer than {ROW_LIMIT} bytes")
                self._pass_line()
                continue
            values = [None if one == _NULL else _unescaped(one) for one in text.split(b"\t")]
            yield self._row(line, *_cells(columns, values))

    def _row(self, raw: bytes, cells: dict[str, str | None], problem: str) -> Row:
        """Return the row that stands here, and pass it."""
        line = self.number
        self._pass(self._at + len(raw))
        return Row(line=line, next_line=self.number, end=self.offset, raw=raw, cells=cells, problem=problem)

    def _line(self) -> bytes:
        """Return the rest of this line with its end, or ROW_LIMIT and a byte of it."""
        end = self._buffer.find(b"\n", self._at, self._at + ROW_LIMIT)
        return self._buffer[self._at : (self._at + ROW_LIMIT if end < 0 else end) + 1]

    def _pass_line(self) -> None:
        while self._fill():
            end = self._buffer.find(b"\n", self._at)
            self._pass(len(self._buffer) if end < 0 else end + 1)
            if end >= 0:
                return

    def _pass(self, to: int) -> None:
        self.number += self._buffer.count(b"\n", self._at, to)
        self.offset += min(to, len(self._buffer)) - self._at
        self._at = min(to, len(self._buffer))

    def _fill(self) -> bool:
        """Have a row's worth of bytes here, as far as there are any; False at the end."""
        while not self._ended and len(self._buffer) - self._at <= ROW_LIMIT:
            block = self._stream.read(_BLOCK)
            self._ended = not block
            self._buffer = self._buffer[self._at :] + block
            self._at = 0
        return self._at < len(self._buffer)


def _cells(columns: Sequence[str], values: Sequence[str | None]) -> tuple[dict[str, str | None], str]:
    """Return the cells of a row, or why it has none."""
    if not columns:
        return {}, "the dump does not say which columns these are: dump the table with its CREATE TABLE"
    if len(columns) != len(values):
        return {}, f"{len(values)} values under {len(columns)} columns"
    return dict(zip(columns, values, strict=True)), ""


def _value(written: bytes) -> str | None:
    """Return what a value of an INSERT says; None for NULL."""
    if written.upper() == b"NULL":
        return None
    sign = written[-1:]
    if sign not in _QUOTED:
        return written.decode(errors="replace")
    inner = written[written.index(sign) + 1 : -1]
    return _QUOTED[sign].sub(lambda found: _meant(found[1]) if found[1] else sign, inner).decode(errors="replace")


def _unescaped(text: bytes) -> str:
    return _ESCAPE.sub(lambda found: _meant(found[1]), text).decode(errors="replace")


def _meant(sign: bytes) -> bytes:
    """Return what a sign behind a backslash stands for."""
    return _SIGNS.get(sign, sign)


def _name(written: bytes) -> str:
    return written.strip().strip(b'"`[]').decode(errors="replace").upper()
