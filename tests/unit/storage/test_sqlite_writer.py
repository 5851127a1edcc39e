from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from time import perf_counter

import pytest

from wakeline.model.errors import Conflict, StoreUnavailable
from wakeline.storage.sqlite.connection import open_reader, open_writer
from wakeline.storage.sqlite.transaction import Transaction
from wakeline.storage.sqlite.writer import BUDGET_URGENT, Writer

pytestmark = pytest.mark.anyio

NEVER_OVER = 60.0
"""Seconds: a group ends when nobody waits any more, however long the machine lets its members wait."""


class Disk:
    """Room that can be made once."""

    def __init__(self) -> None:
        self.asked = 0
        self.makes_room = False

    def relieve(self) -> bool:
        self.asked += 1
        return self.makes_room


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def connection(tmp_path: Path) -> sqlite3.Connection:
    connection = open_writer(tmp_path / "some.db", cache_kib=256)
    connection.execute("CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT UNIQUE) STRICT")
    return connection


@pytest.fixture
async def writer(connection: sqlite3.Connection, disk: Disk) -> AsyncIterator[Writer]:
    writer = Writer(connection, "test", disk.relieve, budget=NEVER_OVER)
    yield writer
    await writer.close()


def put(tx: Transaction, text: str) -> str:
    tx.execute("INSERT INTO note (text) VALUES (?)", (text,))
    return text


def notes(tmp_path: Path) -> list[str]:
    reader = open_reader(tmp_path / "some.db", cache_kib=256)
    try:
        return [text for (text,) in reader.execute("SELECT text FROM note ORDER BY id")]
    finally:
        reader.close()


def test_every_commit_waits_for_the_disk(connection: sqlite3.Connection) -> None:
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


async def test_patient_callers_share_a_commit_and_let_others_go_first(
    writer: Writer, connection: sqlite3.Connection, tmp_path: Path
) -> None:
    commits: list[str] = []
    connection.set_trace_callback(lambda said: commits.append(said) if said == "COMMIT" else None)
    hurried: list[asyncio.Task[str]] = []

    def third(tx: Transaction) -> str:
        hurried.append(asyncio.create_task(writer.write(lambda tx: put(tx, "hurried"))))
        return put(tx, "c")

    parts = [lambda tx, text=text: put(tx, text) for text in "ab"] + [third] + [lambda tx: put(tx, "d")]
    done = await asyncio.gather(*(writer.write(part, patient=True) for part in parts))

    assert done == ["a", "b", "c", "d"]
    assert hurried[0].done()
    assert notes(tmp_path) == ["a", "b", "c", "hurried", "d"]
    assert len(commits) < len(notes(tmp_path))


async def test_result_comes_after_the_commit(writer: Writer, tmp_path: Path) -> None:
    assert await writer.write(lambda tx: put(tx, "a")) == "a"

    assert notes(tmp_path) == ["a"]


async def test_calls_made_together_share_a_commit(writer: Writer, connection: sqlite3.Connection) -> None:
    commits: list[str] = []
    connection.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)

    await asyncio.gather(*(writer.write(lambda tx, text=f"n{number}": put(tx, text)) for number in range(20)))  # type: ignore[misc]  # mypy cannot infer a lambda with a default

    assert len(commits) == 1


async def test_a_group_whose_time_is_over_takes_nobody_else(
    connection: sqlite3.Connection, disk: Disk, tmp_path: Path
) -> None:
    writer = Writer(connection, "test", disk.relieve, budget=0.0)
    commits: list[str] = []
    connection.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)

    await asyncio.gather(*(writer.write(partial(put, text=text)) for text in "abc"))

    assert notes(tmp_path) == ["a", "b", "c"]
    assert len(commits) == 3
    await writer.close()


async def test_calls_made_during_a_commit_form_the_next_group(
    writer: Writer, connection: sqlite3.Connection, tmp_path: Path
) -> None:
    at_commit, go_on = threading.Event(), threading.Event()

    def stop_at_commit(sql: str) -> None:
        if sql == "COMMIT":
            at_commit.set()
            go_on.wait(15)

    connection.set_trace_callback(stop_at_commit)
    first = asyncio.ensure_future(writer.write(lambda tx: put(tx, "first")))
    await asyncio.to_thread(at_commit.wait, 15)

    others = [asyncio.ensure_future(writer.write(lambda tx, n=n: put(tx, n))) for n in ("b", "c")]  # type: ignore[misc]  # mypy cannot infer a lambda with a default
    await asyncio.sleep(0)
    assert not first.done()
    assert notes(tmp_path) == []
    go_on.set()

    await asyncio.gather(first, *others)
    assert notes(tmp_path) == ["first", "b", "c"]


async def test_a_failed_statement_fails_its_caller_alone(writer: Writer, tmp_path: Path) -> None:
    def twice(tx: Transaction) -> None:
        put(tx, "kept by nobody")
        put(tx, "a")

    results = await asyncio.gather(
        writer.write(lambda tx: put(tx, "a")),
        writer.write(twice),
        writer.write(lambda tx: put(tx, "b")),
        return_exceptions=True,
    )

    assert results[0] == "a"
    assert isinstance(results[1], StoreUnavailable)
    assert results[2] == "b"
    assert notes(tmp_path) == ["a", "b"]


async def test_our_own_errors_pass_as_they_are(writer: Writer, tmp_path: Path) -> None:
    def refuse(tx: Transaction) -> None:
        put(tx, "x")
        raise Conflict("It exists")

    with pytest.raises(Conflict):
        await writer.write(refuse)
    assert notes(tmp_path) == []


async def test_memory_follows_the_disk(writer: Writer) -> None:
    seen: list[str] = []

    def good(tx: Transaction) -> None:
        put(tx, "a")
        tx.on_commit(lambda: seen.append("kept"))
        tx.on_rollback(lambda: seen.append("never"))

    def bad(tx: Transaction) -> None:
        tx.on_commit(lambda: seen.append("never"))
        tx.on_rollback(lambda: seen.append("undone"))
        put(tx, "a")

    await asyncio.gather(writer.write(good), writer.write(bad), return_exceptions=True)

    assert seen == ["undone", "kept"]


async def test_a_failed_commit_fails_all_and_leaves_the_store_usable(
    writer: Writer, connection: sqlite3.Connection, tmp_path: Path
) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("CREATE TABLE child (note INTEGER REFERENCES note (id) DEFERRABLE INITIALLY DEFERRED) STRICT")
    undone: list[str] = []

    def orphan(tx: Transaction) -> None:
        tx.on_rollback(lambda: undone.append("orphan"))
        tx.execute("INSERT INTO child VALUES (99)")

    results = await asyncio.gather(writer.write(lambda tx: put(tx, "a")), writer.write(orphan), return_exceptions=True)

    assert [type(result) for result in results] == [StoreUnavailable, StoreUnavailable]
    assert undone == ["orphan"]
    assert writer.failure
    assert await writer.write(lambda tx: put(tx, "b")) == "b"
    assert notes(tmp_path) == ["b"]
    assert not writer.failure


class TestFullDisk:
    def fill(self, connection: sqlite3.Connection) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")

    async def test_a_ballast_that_cannot_be_given_up_keeps_nobody_waiting(
        self, connection: sqlite3.Connection, tmp_path: Path
    ) -> None:
        def refused() -> bool:
            raise PermissionError(1, "Operation not permitted")

        writer = Writer(connection, "test", refused)
        self.fill(connection)

        with pytest.raises(StoreUnavailable):
            await asyncio.wait_for(writer.write(lambda tx: put(tx, "x" * 100_000), essential=True), 15)
        await writer.close()

    async def test_says_so_and_keeps_nothing(
        self, writer: Writer, connection: sqlite3.Connection, disk: Disk, tmp_path: Path
    ) -> None:
        self.fill(connection)

        results = await asyncio.gather(
            writer.write(lambda tx: put(tx, "small")),
            writer.write(lambda tx: put(tx, "x" * 100_000)),
            return_exceptions=True,
        )

        for result in results:
            assert isinstance(result, StoreUnavailable)
            assert "full" in result.detail
            assert result.fix
            assert result.retry_after
        assert notes(tmp_path) == []
        assert disk.asked == 1
        assert await writer.write(lambda tx: put(tx, "small")) == "small"

    async def test_what_is_essential_is_written_once_there_is_room(
        self, writer: Writer, connection: sqlite3.Connection, disk: Disk, tmp_path: Path
    ) -> None:
        self.fill(connection)
        disk.makes_room = True
        attempts: list[int] = []

        def settle(tx: Transaction) -> None:
            attempts.append(1)
            if len(attempts) == 2:
                connection.execute("PRAGMA max_page_count = 100000")
            put(tx, "x" * 100_000)

        results = await asyncio.gather(
            writer.write(lambda tx: put(tx, "can be asked for again")),
            writer.write(settle, essential=True),
            return_exceptions=True,
        )

        assert isinstance(results[0], StoreUnavailable)
        assert results[1] is None
        assert len(notes(tmp_path)) == 1

    async def test_essential_work_is_not_tried_for_ever(
        self, writer: Writer, connection: sqlite3.Connection, disk: Disk
    ) -> None:
        self.fill(connection)
        disk.makes_room = True

        with pytest.raises(StoreUnavailable):
            await writer.write(lambda tx: put(tx, "x" * 100_000), essential=True)
        assert disk.asked == 2


async def test_a_caller_who_went_away_does_not_disturb_the_others(writer: Writer, tmp_path: Path) -> None:
    gone = asyncio.ensure_future(writer.write(lambda tx: put(tx, "gone")))
    other = asyncio.ensure_future(writer.write(lambda tx: put(tx, "other")))
    await asyncio.sleep(0)
    gone.cancel()

    assert await other == "other"
    assert "other" in notes(tmp_path)


async def test_errands_run_between_groups(writer: Writer) -> None:
    states: list[bool] = []

    await asyncio.gather(
        writer.write(lambda tx: put(tx, "a")),
        writer.errand(lambda connection: states.append(connection.in_transaction)),
        writer.write(lambda tx: put(tx, "b")),
    )

    assert states == [False]


async def test_closing_keeps_what_was_called_before_even_if_somebody_calls_too_late(
    connection: sqlite3.Connection, disk: Disk, tmp_path: Path
) -> None:
    writer = Writer(connection, "test", disk.relieve, budget=0.0)  # each has a group for itself
    called = [asyncio.create_task(writer.write(partial(put, text=str(number)))) for number in range(5)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(writer.close())
    await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable, match="closed"):
        await writer.write(partial(put, text="too late"))
    with pytest.raises(StoreUnavailable, match="closed"):
        await writer.errand(lambda _: None)
    await closing
    assert await asyncio.gather(*called) == notes(tmp_path) == ["0", "1", "2", "3", "4"]


async def test_closed_writer_refuses(connection: sqlite3.Connection, disk: Disk) -> None:
    writer = Writer(connection, "test", disk.relieve)
    last = asyncio.ensure_future(writer.write(lambda tx: put(tx, "a")))
    await asyncio.sleep(0)
    await writer.close()

    assert await last == "a"
    with pytest.raises(StoreUnavailable):
        await writer.write(lambda tx: put(tx, "b"))
    with pytest.raises(StoreUnavailable):
        await writer.errand(sqlite3.Connection.interrupt)


async def test_urgent_work_goes_first_in_a_short_group(writer: Writer, tmp_path: Path) -> None:
    running = asyncio.ensure_future(writer.write(lambda tx: put(tx, "first")))
    await asyncio.sleep(0)
    slow = threading.Event()

    def takes_long(tx: Transaction) -> str:
        slow.wait(3 * BUDGET_URGENT)
        return put(tx, "slow")

    order: list[str] = []
    waiting = [asyncio.ensure_future(writer.write(work)) for work in (takes_long, lambda tx: put(tx, "late"))]
    waiting += [asyncio.ensure_future(writer.write(partial(put, text=f"call {n}"), urgent=True)) for n in range(2)]
    for task in (running, *waiting):
        task.add_done_callback(lambda done: order.append(done.result()))
    await asyncio.gather(running, *waiting)
    await asyncio.sleep(0)

    assert notes(tmp_path) == ["first", "call 0", "call 1", "slow", "late"]
    assert order == ["first", "call 0", "call 1", "slow", "late"]


async def test_calls_without_end_leave_room_for_others(writer: Writer) -> None:
    called: list[int] = []
    over = asyncio.Event()

    def call(tx: Transaction) -> str:
        end = perf_counter() + 2 * BUDGET_URGENT
        while perf_counter() < end:
            pass
        called.append(len(called))
        return put(tx, f"call {len(called)}")

    async def calls() -> None:
        while not over.is_set() and len(called) < 60:
            await writer.write(call, urgent=True)

    callers = [asyncio.ensure_future(calls()) for _ in range(3)]
    await asyncio.sleep(0)
    for number in range(3):
        await writer.write(partial(put, text=f"result {number}"))
    before = len(called)
    over.set()
    await asyncio.gather(*callers)

    assert before < 20
