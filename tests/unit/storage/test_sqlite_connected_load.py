"""What large inboxes and outboxes of connected portals cost, and what is seen while others write."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import msgspec
import pytest

from connected_nouns import application, connected, event, installation, pair, write
from storing import NOW
from wakeline.model.bitrix24.inbox import EventState, Settled
from wakeline.model.bitrix24.outbox import WriteState
from wakeline.model.errors import StoreUnavailable
from wakeline.storage.sqlite import SqliteStore
from wakeline.storage.sqlite.connection import open_writer

pytestmark = pytest.mark.anyio


class Meter:
    """Counts the steps of SQLite's machine that a store's reading connection takes."""

    def __init__(self, store: SqliteStore) -> None:
        self.steps = 0
        store.event_inbox._reader._connection.set_progress_handler(self._count, 100)

    def _count(self) -> int:
        self.steps += 100
        return 0


MANY = 5_000


@pytest.fixture
async def full(store: SqliteStore) -> SqliteStore:
    """A store with a large inbox: most is done, some waits, little is rare."""
    of = (await connected(store)).id
    rare = [event(1, of=of, named="ONTASKADD", state=EventState.FAILED)]
    done = [event(number, of=of, state=EventState.DONE, received=NOW - 1) for number in range(MANY)]
    waiting = [event(number, of=of, at=NOW + 1000) for number in range(MANY)]
    for some in (rare, done, waiting):
        await store.event_inbox.put(some)
    return store


class TestMuch:
    async def test_in_the_inbox_costs_no_more_than_a_page(self, full: SqliteStore) -> None:
        inbox, meter = full.event_inbox, Meter(full)

        assert len(await inbox.waiting(1, now=NOW, limit=50)) == 50
        assert await inbox.next_due() == {1: 0}
        assert len(await inbox.recorded(limit=50)) == 50
        assert [each.event for each in await inbox.recorded(event="ONTASKADD", limit=50)] == ["ONTASKADD"]
        assert [each.event for each in await inbox.recorded(state=EventState.FAILED, limit=50)] == ["ONTASKADD"]
        assert len(await inbox.latest(1, [event(number).subject for number in range(50)])) == 50

        assert 0 < meter.steps < 2 * MANY

    async def test_in_the_outbox_costs_no_more_than_a_page(self, full: SqliteStore) -> None:
        await full.outbox.put([write(str(number)) for number in range(MANY)])
        meter = Meter(full)

        assert [each.key for each in await full.outbox.waiting(1, now=NOW, limit=2)] == ["0", "1"]
        assert await full.outbox.next_due() == {1: 0}
        assert len(await full.outbox.recorded(limit=50)) == 50
        assert await full.outbox.recorded(state=WriteState.DOUBTFUL, limit=50) == []

        assert 0 < meter.steps < MANY

    async def test_is_pruned_by_age_and_what_waits_stays(self, full: SqliteStore) -> None:
        assert await full.event_inbox.prune(NOW) == MANY
        assert await full.event_inbox.prune(NOW + 1) == 1
        assert await full.event_inbox.recorded(state=EventState.DONE, limit=9) == []
        assert len(await full.event_inbox.waiting(1, now=NOW, limit=2 * MANY)) == MANY


class Late:
    """A reader before whose second list of rows somebody else's commit lands."""

    def __init__(self, store: SqliteStore, statement: str) -> None:
        self._reader = store.event_inbox._reader
        self._path = store.path
        self._statement = statement
        self._lists = 0

    def all(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        self._lists += sql.startswith("SELECT")
        if self._lists == 2:
            with closing(open_writer(self._path, cache_kib=100)) as connection:
                connection.execute(self._statement)
        return self._reader.all(sql, parameters)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        with self._reader.snapshot():
            yield


class TestListsThatAreReadWhileSomethingChanges:
    async def test_have_an_event_once(self, store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
        of = (await connected(store)).id
        await store.event_inbox.put([event(1, of=of)])
        late = Late(store, "UPDATE received_event SET state = 'done'")

        monkeypatch.setattr(store.event_inbox, "_reader", late)

        assert len(await store.event_inbox.recorded(limit=9)) == 1

    @pytest.mark.parametrize(("before", "after"), [("waiting", "sent"), ("sent", "waiting")])
    async def test_have_a_write_once(
        self, store: SqliteStore, monkeypatch: pytest.MonkeyPatch, before: str, after: str
    ) -> None:
        of = (await connected(store)).id
        await store.outbox.put([write(of=of, state=WriteState(before))])
        change = f"UPDATE portal_write SET state = '{after}'"  # noqa: S608 - our own words

        monkeypatch.setattr(store.outbox, "_reader", Late(store, change))
        assert len(await store.outbox.waiting(of, now=NOW, limit=9)) == 1
        monkeypatch.setattr(store.outbox, "_reader", Late(store, change.replace(after, before)))
        assert len(await store.outbox.recorded(limit=9)) == 1


class TestCommits:
    async def test_of_what_was_sent_are_tried_again_once_a_full_disk_has_room(
        self, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        kept = await store.installations.create(installation(access=application(pair())))
        await store.event_inbox.put([event(of=kept.id)])
        (sent,) = await store.outbox.put([write(of=kept.id)])
        writer, long = store.event_inbox._writer, "x" * 200_000
        shrink = "PRAGMA max_page_count = 1"  # SQLite takes it for as many pages as there are
        made: list[str] = []

        def relieve() -> bool:
            made.append("room")
            writer._connection.execute("PRAGMA max_page_count = 1000000")
            return True

        monkeypatch.setattr(writer, "_relieve", relieve)
        works: list[Callable[[], Awaitable[object]]] = [
            lambda: store.event_inbox.settle([Settled(id=1, state=EventState.FAILED, cause=long)]),
            lambda: store.outbox.settle(msgspec.structs.replace(sent, state=WriteState.DONE, cause=long)),
            lambda: store.installations.keep_tokens(kept.id, pair(long), instead_of="first-refresh"),
        ]
        for work in works:
            writer._connection.execute(shrink)
            await work()

        assert made == ["room"] * 3
        assert [each.cause for each in await store.event_inbox.recorded(limit=9)] == [long]
        assert [each.cause for each in await store.outbox.recorded(limit=9)] == [long]
        assert store.installations.all() == [msgspec.structs.replace(kept, access=application(pair(long)))]

    async def test_are_shared_by_who_comes_at_once(self, store: SqliteStore) -> None:
        of = (await connected(store)).id
        said: list[str] = []
        store.event_inbox._writer._connection.set_trace_callback(said.append)

        done = await asyncio.gather(*(store.event_inbox.put([event(number, of=of)]) for number in range(500)))

        assert done == [[True]] * 500
        assert 0 < said.count("COMMIT") < 100

    async def test_that_fail_keep_nothing(self, store: SqliteStore) -> None:
        of = (await connected(store)).id
        connection = store.event_inbox._writer._connection
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")

        with pytest.raises(StoreUnavailable):
            await store.event_inbox.put([event(number, of=of) for number in range(2_000)])
        assert await store.event_inbox.recorded(limit=9) == []

        connection.execute("PRAGMA max_page_count = 1000000")
        assert all(await store.event_inbox.put([event(number, of=of) for number in range(2_000)]))

    async def test_after_closing_are_refused(self, store: SqliteStore) -> None:
        of = (await connected(store)).id
        await store.close()

        with pytest.raises(StoreUnavailable):
            await store.event_inbox.put([event(of=of)])
        with pytest.raises(StoreUnavailable):
            await store.outbox.put([write(of=of)])
