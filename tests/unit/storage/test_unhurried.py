"""Callers who have time: alone they go at once, after a commit they wait for company, and nobody overtakes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from wakeline.model.errors import StoreUnavailable
from wakeline.storage.sqlite import unhurried
from wakeline.storage.sqlite.connection import open_reader, open_writer
from wakeline.storage.sqlite.transaction import Transaction
from wakeline.storage.sqlite.writer import Writer

pytestmark = pytest.mark.anyio


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause that does not end by itself within a test."""
    monkeypatch.setattr(unhurried, "PAUSE", 3600.0)


@asynccontextmanager
async def writing(path: Path) -> AsyncIterator[Writer]:
    """A writer, after a commit of its own."""
    writer = Writer(open_writer(path, cache_kib=64), "test", lambda: False)
    await writer.write(lambda tx: tx.execute("CREATE TABLE t (x TEXT)"))
    yield writer
    await writer.close()


def later(writer: Writer, name: str, *, hurries: bool = False, patient: bool = False) -> asyncio.Task[None]:
    def work(tx: Transaction) -> None:
        tx.execute("INSERT INTO t VALUES (?)", (name,))

    return asyncio.ensure_future(writer.write(work, unhurried=not hurries, patient=patient))


def rows(path: Path) -> list[str]:
    connection = open_reader(path, cache_kib=64)
    try:
        return [name for (name,) in connection.execute("SELECT x FROM t ORDER BY rowid")]
    finally:
        connection.close()


async def settled() -> None:
    """Let all that can go on without time go on."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.usefixtures("endless")
async def test_after_a_commit_they_wait_until_somebody_in_a_hurry_takes_them_along(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    async with writing(path) as writer:
        waiting = [later(writer, "a"), later(writer, "b")]
        await settled()
        assert not any(each.done() for each in waiting)
        assert rows(path) == []

        await later(writer, "now", hurries=True)
        await asyncio.gather(*waiting)

        assert rows(path) == ["a", "b", "now"]


async def test_a_pause_ends_and_they_go_together(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    async with writing(path) as writer:
        async with asyncio.timeout(20):
            await asyncio.gather(*(later(writer, str(number)) for number in range(5)))
        assert rows(path) == ["0", "1", "2", "3", "4"]


async def test_one_that_comes_alone_does_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.db"
    monkeypatch.setattr(unhurried, "PAUSE", 0.0)  # that behind the table is over
    async with writing(path) as writer:
        monkeypatch.setattr(unhurried, "PAUSE", 3600.0)
        async with asyncio.timeout(20):
            await later(writer, "alone")
        behind = later(writer, "behind")
        await settled()
        assert not behind.done()
    assert rows(path) == ["alone", "behind"]


@pytest.mark.usefixtures("endless")
async def test_they_do_not_wait_behind_those_who_are_patient(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    async with writing(path) as writer:
        patient = [later(writer, f"patient {number}", hurries=True, patient=True) for number in range(50)]
        await asyncio.sleep(0)  # they are called
        one = later(writer, "one")
        async with asyncio.timeout(20):
            await asyncio.gather(one, *patient)
        assert rows(path).index("one") < rows(path).index("patient 49")


@pytest.mark.usefixtures("endless")
async def test_what_was_called_is_kept_when_the_writer_closes(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    async with writing(path) as writer:
        waiting = later(writer, "a")
        await settled()
    await asyncio.wait_for(waiting, 20)
    assert rows(path) == ["a"]
    with pytest.raises(StoreUnavailable):
        await later(writer, "too late")


@pytest.mark.usefixtures("endless")
async def test_who_was_cancelled_while_waiting_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    async with writing(path) as writer:
        gone, stays = later(writer, "gone"), later(writer, "stays")
        await settled()
        gone.cancel()
        await later(writer, "now", hurries=True)
        await stays
        await asyncio.gather(gone, return_exceptions=True)
    assert rows(path) == ["stays", "now"]
