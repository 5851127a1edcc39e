"""Bringing a database file to this release's schema: numbered files, once each, in one transaction.

`migrations/{main,devices}/NNNN_name.sql` are applied in order; what was applied is remembered with a checksum. A file
written by a newer release is refused, and so is one whose applied migrations differ from the shipped ones: both would mean
that this code and that schema were never tested together.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from wakeline.model.errors import MigrationChanged, SchemaTooNew
from wakeline.storage.sqlite.token_keys import teach

Kind = Literal["main", "devices"]
KINDS: tuple[Kind, ...] = ("main", "devices")

_FOLDER = Path(__file__).with_name("migrations")
_KNOWN = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'migration'"
_TABLE = """
CREATE TABLE IF NOT EXISTS migration (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, at INTEGER NOT NULL
) STRICT
"""


class Migration(NamedTuple):
    """One shipped file."""

    number: int
    name: str
    checksum: str
    script: str


class SchemaStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a database file stands: `version` is the number of its last migration (0: none), `pending` the names missing."""

    kind: Kind
    version: int
    latest: int
    pending: tuple[str, ...]


def shipped(kind: Kind, folder: Path = _FOLDER) -> list[Migration]:
    """Return this release's migrations of one file, in order."""
    return [_read(path) for path in sorted((folder / kind).glob("[0-9][0-9][0-9][0-9]_*.sql"))]


def _read(path: Path) -> Migration:
    text = path.read_text(encoding="utf-8")
    number, _, name = path.stem.partition("_")
    return Migration(int(number), name, hashlib.sha256(text.encode()).hexdigest(), text)


def status(connection: sqlite3.Connection, kind: Kind, folder: Path = _FOLDER) -> SchemaStatus:
    """Say what is applied and what is missing; changes nothing. Raises SchemaTooNew, MigrationChanged."""
    migrations = shipped(kind, folder)
    done = _check(connection, kind, migrations)
    return SchemaStatus(
        kind=kind,
        version=max(done, default=0),
        latest=migrations[-1].number,
        pending=tuple(f"{item.number:04d}_{item.name}" for item in migrations if item.number not in done),
    )


def migrate(connection: sqlite3.Connection, kind: Kind, folder: Path = _FOLDER) -> list[str]:
    """Apply what is missing, all of it or nothing, and return its names. The connection must be in autocommit mode.

    Two processes that try at once wait for each other. Raises SchemaTooNew, MigrationChanged, sqlite3.Error.
    """
    migrations = shipped(kind, folder)
    if not _missing(migrations, _check(connection, kind, migrations)):
        return []
    teach(connection)
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(_TABLE)
        missing = _missing(migrations, _check(connection, kind, migrations))
        for item in missing:
            _apply(connection, item)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return [f"{item.number:04d}_{item.name}" for item in missing]


def _missing(migrations: list[Migration], done: dict[int, tuple[str, str]]) -> list[Migration]:
    return [item for item in migrations if item.number not in done]


def _check(connection: sqlite3.Connection, kind: Kind, migrations: list[Migration]) -> dict[int, tuple[str, str]]:
    """Return what is applied, by number; refuse what this release does not know."""
    if connection.execute(_KNOWN).fetchone() is None:
        return {}
    rows = connection.execute("SELECT number, name, checksum FROM migration ORDER BY number").fetchall()
    known = {item.number: item for item in migrations}
    for number, name, checksum in rows:
        if number not in known:
            raise SchemaTooNew(
                f"The {kind} database has migration {number:04d}_{name}, which this release does not know",
                fix="Start the release that wrote it, or restore a backup made before the upgrade.",
            )
        if known[number].checksum != checksum:
            raise MigrationChanged(
                f"Migration {number:04d}_{name} of the {kind} database differs from the one that was applied",
                fix="Install an unchanged release; a changed schema was never tested with this store.",
            )
    return {number: (name, checksum) for number, name, checksum in rows}


def _apply(connection: sqlite3.Connection, item: Migration) -> None:
    for statement in _statements(item.script):
        connection.execute(statement)
    connection.execute(
        "INSERT INTO migration (number, name, checksum, at) VALUES (?, ?, ?, 1000 * CAST(strftime('%s', 'now') AS INTEGER))",
        (item.number, item.name, item.checksum),
    )


def _statements(script: str) -> Iterator[str]:
    """Split a script where SQLite says that a statement is complete: `executescript` would commit first."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement
