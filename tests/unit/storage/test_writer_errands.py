"""Errands of the helper thread: a caller who gives up must not take the writer along."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest

from wakeline.storage.sqlite.connection import open_writer
from wakeline.storage.sqlite.writer import Writer

pytestmark = pytest.mark.anyio


async def test_a_cancelled_errand_leaves_the_writer_alive(tmp_path: Path) -> None:
    writer = Writer(open_writer(tmp_path / "x.db", cache_kib=64), "test", lambda: False)
    begun, go_on = threading.Event(), threading.Event()

    def slow(_: sqlite3.Connection) -> None:
        begun.set()
        assert go_on.wait(10)

    errand = asyncio.ensure_future(writer.errand(slow))
    assert await asyncio.to_thread(begun.wait, 10)
    errand.cancel()
    await asyncio.gather(errand, return_exceptions=True)
    behind = asyncio.ensure_future(writer.write(lambda tx: tx.execute("CREATE TABLE t (x)")))
    go_on.set()
    await asyncio.wait_for(behind, 10)
    await writer.close()
