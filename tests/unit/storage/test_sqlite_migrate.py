from __future__ import annotations

import multiprocessing
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from racing import race
from wakeline.model.errors import MigrationChanged, SchemaTooNew
from wakeline.storage.sqlite import migrate as migrating
from wakeline.storage.sqlite.migrate import KINDS, Kind, migrate, status
from wakeline.storage.sqlite.token_keys import token_key


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path / "some.db", isolation_level=None)
    yield connection
    connection.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "migrations"
    (folder / "main").mkdir(parents=True)
    write(folder, "0001_first", "CREATE TABLE a (x INTEGER) STRICT;")
    return folder


def write(folder: Path, name: str, script: str) -> None:
    (folder / "main" / f"{name}.sql").write_text(script)


def tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}


@pytest.mark.parametrize("kind", KINDS)
def test_fresh_file_gets_the_whole_schema_once(connection: sqlite3.Connection, kind: Kind) -> None:
    before = status(connection, kind)
    assert (before.version, before.pending[0]) == (0, "0001_initial")

    assert migrate(connection, kind) == list(before.pending)
    assert migrate(connection, kind) == []

    after = status(connection, kind)
    assert (after.version, after.pending) == (after.latest, ())
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("kind", KINDS)
def test_every_table_is_strict(connection: sqlite3.Connection, kind: Kind) -> None:
    migrate(connection, kind)

    loose = [
        name
        for _, name, what, _, _, strict in connection.execute("PRAGMA table_list")
        if what == "table" and not strict and not name.startswith("sqlite_")
    ]
    assert loose == []


def test_status_changes_nothing(connection: sqlite3.Connection) -> None:
    status(connection, "main")

    assert tables(connection) == set()


def test_later_migrations_are_added_in_order(connection: sqlite3.Connection, folder: Path) -> None:
    migrate(connection, "main", folder)
    connection.execute("INSERT INTO a VALUES (1)")
    write(
        folder,
        "0002_second",
        "-- A comment; with a semicolon.\nCREATE TABLE b (x INTEGER) STRICT;\nINSERT INTO b SELECT x FROM a;",
    )
    write(folder, "0003_third", "CREATE TRIGGER t AFTER INSERT ON a BEGIN\n  INSERT INTO b VALUES (NEW.x);\nEND;")

    assert migrate(connection, "main", folder) == ["0002_second", "0003_third"]

    connection.execute("INSERT INTO a VALUES (2)")
    assert connection.execute("SELECT x FROM b").fetchall() == [(1,), (2,)]


def test_a_failing_migration_leaves_nothing_behind(connection: sqlite3.Connection, folder: Path) -> None:
    write(folder, "0002_second", "CREATE TABLE b (x INTEGER) STRICT;\nINSERT INTO nowhere VALUES (1);")

    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, "main", folder)

    assert tables(connection) == set()
    assert not connection.in_transaction


def test_schema_of_a_newer_release_is_refused(connection: sqlite3.Connection, folder: Path) -> None:
    write(folder, "0002_second", "CREATE TABLE b (x INTEGER) STRICT;")
    migrate(connection, "main", folder)
    (folder / "main" / "0002_second.sql").unlink()

    with pytest.raises(SchemaTooNew, match="0002_second"):
        migrate(connection, "main", folder)
    with pytest.raises(SchemaTooNew):
        status(connection, "main", folder)


def test_changed_migration_is_refused(connection: sqlite3.Connection, folder: Path) -> None:
    migrate(connection, "main", folder)
    write(folder, "0001_first", "CREATE TABLE a (x TEXT) STRICT;")

    with pytest.raises(MigrationChanged, match="0001_first"):
        migrate(connection, "main", folder)


def test_two_processes_at_once_apply_each_migration_once(tmp_path: Path, folder: Path) -> None:
    write(folder, "0002_second", "CREATE TABLE b (x INTEGER) STRICT;\nINSERT INTO b VALUES (1);")
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(2), context.Queue()
    path = tmp_path / "raced.db"
    racers = [context.Process(target=race, args=(path, folder, start, results)) for _ in range(2)]
    for racer in racers:
        racer.start()
    applied = sorted(results.get(timeout=15) for _ in racers)
    for racer in racers:
        racer.join(10)

    assert applied == [[], ["0001_first", "0002_second"]]
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM b").fetchone() == (1,)
    connection.close()


def test_tokens_registered_before_there_were_keys_are_found_by_them(
    connection: sqlite3.Connection, tmp_path: Path
) -> None:
    former = tmp_path / "former" / "devices"
    shutil.copytree(Path(migrating.__file__).with_name("migrations") / "devices", former)
    (former / "0005_token_keys.sql").unlink()
    (former / "0006_held_since.sql").unlink()
    (former / "0007_left_targets.sql").unlink()
    migrate(connection, "devices", former.parent)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(
        "INSERT INTO device (id, app, device_id, generation, connected_until, created, seen, locale, users, tags, facts) "
        "VALUES (1, 7, 'phone', 1, 0, 0, 0, '', x'5B5D', x'5B5D', x'7B7D')"
    )
    rows = [
        (1, "apns", "aa", "active"),
        (2, "webpush", "https://push.example.com/1 key secret", "retired"),
        (3, "fcm", "t", "active"),
    ]
    connection.executemany(
        "INSERT INTO target (id, device, app, kind, value, environment, topic, state, reason, since, confirmed) "
        "VALUES (?, 1, 7, ?, ?, 'production', '', ?, '', 0, 0)",
        rows,
    )
    connection.execute("DELETE FROM target WHERE id = 3")

    assert migrate(connection, "devices") == ["0005_token_keys", "0006_held_since", "0007_left_targets"]

    for key, of in ((token_key(7, "apns", "aa"), 1), (token_key(7, "webpush", "https://push.example.com/1"), 2)):
        assert connection.execute("SELECT id FROM target WHERE key = ?", (key,)).fetchall() == [(of,)]
    assert connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'target'").fetchall() == [(3,)]
    tally = dict(connection.execute("SELECT what, number FROM tally WHERE app = 7"))
    assert tally == {"device": 1, "active": 1, "retired": 1}
    connection.execute("DELETE FROM device WHERE id = 1")
    assert connection.execute("SELECT count(*) FROM target").fetchone() == (0,)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
