"""The log of the store is folded beside the commits: none of them does it, and it does not grow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from wakeline.storage.sqlite import folding
from wakeline.storage.sqlite.connection import open_reader, open_writer
from wakeline.storage.sqlite.folding import Folding
from wakeline.storage.sqlite.transaction import Transaction
from wakeline.storage.sqlite.writer import Writer

pytestmark = pytest.mark.anyio

PAGE = 4096
FEW = 40
"""Pages after which the log is to be folded here."""
MOST_BESIDE = 30
"""Commits that are made beside a folding: on a busy machine its thread may wait for a processor while hundreds are."""


@pytest.fixture
async def writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Writer]:
    for name, value in {"AT_FIRST": 10, "FEWEST": 2, "WAL_PAGES": FEW}.items():
        monkeypatch.setattr(folding, name, value)
    path = tmp_path / "some.db"
    connection = open_writer(path, cache_kib=256, wal_pages=0)
    connection.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT) STRICT")
    beside = Folding(partial(open_writer, path, cache_kib=64, wal_pages=0), "test")
    writer = Writer(connection, "test", lambda: False, folding=beside)
    yield writer
    await writer.close()


def put(tx: Transaction, number: int) -> None:
    tx.execute("INSERT OR REPLACE INTO note (id, text) VALUES (?, ?)", (number % 50, "x" * PAGE))


async def test_a_log_that_is_always_written_does_not_grow(writer: Writer, tmp_path: Path) -> None:
    log = tmp_path / "some.db-wal"
    beside = 0
    for number in range(1000):
        await writer.write(partial(put, number=number))
        beside = 0 if writer._fold is None else beside + 1
        if beside == MOST_BESIDE and writer._fold is not None:
            await writer._fold

    # A file of the log stays as long as the log ever was; unfolded it would be a hundred times as long.
    assert PAGE * FEW < log.stat().st_size < 25 * PAGE * FEW


async def test_a_log_that_began_anew_during_its_folding_is_reckoned_by_what_was_folded(
    writer: Writer, tmp_path: Path
) -> None:
    path = tmp_path / "some.db"
    connection = open_writer(path, cache_kib=256, wal_pages=0)
    beside = Folding(partial(open_writer, path, cache_kib=64, wal_pages=0), "test")
    while not beside.count():
        put(Transaction(connection), 1)
    beside.fold()
    put(Transaction(connection), 1)
    beside.finish(connection)
    commits = 1
    while not beside.count():
        commits += 1

    assert commits < 2 * FEW
    beside.close()
    connection.close()


async def test_a_reader_that_stays_loses_nothing_and_stops_nobody(writer: Writer, tmp_path: Path) -> None:
    reader = open_reader(tmp_path / "some.db", cache_kib=64)
    await writer.write(partial(put, number=1))
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM note").fetchone() == (1,)
    for number in range(2, 150):
        await writer.write(partial(put, number=number))

    assert reader.execute("SELECT count(*) FROM note").fetchone() == (1,)
    reader.execute("COMMIT")
    assert reader.execute("SELECT count(*) FROM note").fetchone() == (50,)
    reader.close()


async def test_a_store_closes_in_the_middle_of_a_folding(writer: Writer, tmp_path: Path) -> None:
    await asyncio.gather(*(writer.write(partial(put, number=number)) for number in range(30)))
    await writer.close()

    reader = open_reader(tmp_path / "some.db", cache_kib=64)
    assert reader.execute("SELECT count(*) FROM note").fetchone() == (30,)
    reader.close()
