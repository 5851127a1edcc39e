from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storing import ToldClock, some_app, sqlite_store
from wakeline.storage.sqlite import SqliteStore


@pytest.fixture
def clock() -> ToldClock:
    return ToldClock()


@pytest.fixture
async def store(tmp_path: Path, clock: ToldClock) -> AsyncIterator[SqliteStore]:
    store = sqlite_store(tmp_path, clock)
    await store.open()
    await some_app(store)
    yield store
    await store.close()
