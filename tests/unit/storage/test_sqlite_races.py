"""Between a statement and its commit, which lands in another thread: whoever looks or writes meanwhile sees a whole."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import Any

import pytest

from storing import NOW, accepted, admission, job, row, some_app, some_route
from wakeline.model.errors import NotFound
from wakeline.model.route import Lane
from wakeline.storage.sqlite.connection import open_reader, open_writer
from wakeline.storage.sqlite.store import SqliteStore

pytestmark = pytest.mark.anyio


class Late:
    """A reader before whose second statement somebody else's commit lands."""

    def __init__(self, store: SqliteStore, statements: str) -> None:
        self._reader = store.ledger._reader
        self._path = store.path
        self._statements = statements
        self._asked = 0

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._reader, name)
        if name in {"one", "all"}:
            self._asked += 1
            if self._asked == 2:
                with closing(open_writer(self._path, cache_kib=100)) as connection:
                    connection.executescript(self._statements)
        return member


SETTLED = """
BEGIN;
UPDATE notification SET accepted = 2;
DELETE FROM job;
COMMIT;
"""


async def test_a_commit_between_two_reads_makes_no_delivery_vanish(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = await some_route(store)
    await store.acceptance.accept([admission(10, job(10, route.id, [1, 2]))])

    monkeypatch.setattr(store.ledger, "_reader", Late(store, SETTLED))

    counts = await store.ledger.counts(10, NOW)
    assert counts.accepted + counts.pending == 2


async def test_answers_that_come_while_their_app_is_deleted_leave_nothing_behind(store: SqliteStore) -> None:
    app, route = await some_app(store), await some_route(store)
    await store.acceptance.accept([admission(key, job(key, route.id, [key])) for key in range(10, 30)])
    jobs = await store.queue.claim(route.id, Lane.ALERT, limit=100, now=NOW)
    deleted = asyncio.create_task(store.apps.delete(app.id))
    for leased in jobs:
        await asyncio.sleep(0)
        await store.queue.settle(accepted(leased))
    await deleted

    assert await store.queue.pending() == 0
    assert left(store) == {"notification": 0, "delivery": 0, "job": 0, "chunk": 0, "route": 0, "app": 0}


async def test_what_comes_in_after_its_app_was_deleted_is_refused(store: SqliteStore) -> None:
    app, route = await some_app(store), await some_route(store)
    deleted = asyncio.create_task(store.apps.delete(app.id))
    refused = 0
    for key in range(10, 60):
        await asyncio.sleep(0)
        try:
            await store.acceptance.accept([admission(key, job(key, route.id, [1]), rows=[row(key, 2)])])
        except NotFound:
            refused += 1
    await deleted

    assert refused
    assert set(left(store).values()) == {0}


def left(store: SqliteStore) -> dict[str, int]:
    tables = ("notification", "delivery", "job", "chunk", "route", "app")
    with closing(open_reader(store.path, cache_kib=100)) as connection:
        return {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}  # noqa: S608 - names of ours
