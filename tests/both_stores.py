"""Both adapters side by side, for property tests that compare them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from storing import Store, ToldClock, sqlite_store
from wakeline.storage.memory import MemoryStore
from wakeline.storage.sealing import Sealer


class Both(NamedTuple):
    """A loop, and a memory store and a SQLite store that were opened in it."""

    loop: asyncio.AbstractEventLoop
    stores: list[Store]


@contextmanager
def both_stores(folder: Path) -> Iterator[Both]:
    """Open both stores, and close them in the end."""
    loop = asyncio.new_event_loop()
    stores: list[Store] = [MemoryStore(ToldClock(), Sealer(b"m" * 32)), sqlite_store(folder)]
    for store in stores:
        loop.run_until_complete(store.open())
    try:
        yield Both(loop, stores)
    finally:
        for store in stores:
            loop.run_until_complete(store.close())
        loop.close()
