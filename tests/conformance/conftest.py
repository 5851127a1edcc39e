"""One suite, every adapter: `store` is each of them in turn, open and empty but for the app `acme-chat` with id 1."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from both_stores import Both, both_stores
from storing import Store, ToldClock, some_app, sqlite_store
from wakeline.storage.memory import MemoryStore
from wakeline.storage.sealing import Sealer


@pytest.fixture
def clock() -> ToldClock:
    return ToldClock()


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: ToldClock) -> AsyncIterator[Store]:
    in_memory = request.param == "memory"
    store: Store = MemoryStore(clock, Sealer(b"m" * 32)) if in_memory else sqlite_store(tmp_path, clock)
    await store.open()
    await some_app(store)
    yield store
    await store.close()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with both_stores(tmp_path_factory.mktemp("both")) as both:
        yield both
