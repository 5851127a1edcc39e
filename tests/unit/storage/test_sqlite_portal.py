"""What the portal's tables promise beyond their ports: a restart, a change of the master key, what a query costs."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from portal_nouns import TOKEN, code, deal, digest, grant, handler, offline, some_application, term, webhook
from storing import NOW, ToldClock, some_app
from wakeline.config import Storage
from wakeline.model.bitrix24.access import PortalUser
from wakeline.model.bitrix24.calls import ExternalCall
from wakeline.model.bitrix24.records import Condition, Operator, Order, RecordKind
from wakeline.storage.sealing import Sealer
from wakeline.storage.sqlite import SqliteStore
from wakeline.storage.sqlite.backup import backup, restore
from wakeline.storage.sqlite.bitrix24.remembered import LISTS
from wakeline.storage.sqlite.bitrix24.selection import SLICE
from wakeline.storage.sqlite.seals import forget_sealed

pytestmark = pytest.mark.anyio

OLD, NEW = b"m" * 32, b"n" * 32
CALL = ExternalCall(id=0, call_id="externalCall.a.1", fingerprint=b"f", user=7, phone="+7", type=2, begun=NOW)


async def opened(folder: Path, *keys: bytes) -> SqliteStore:
    """Return the store of a folder, open with these master keys, the current one first."""
    current, *former = keys or (OLD,)
    store = SqliteStore(
        folder / "wakeline.db",
        clock=ToldClock(),
        secrets=Sealer(current, former),
        settings=Storage(ballast=0, low_disk=0),
    )
    await store.open()
    return store


async def furnish(folder: Path) -> SqliteStore:
    store = await opened(folder)
    await some_app(store)
    await some_application(store)
    return store


async def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    store = await furnish(tmp_path)
    access, owner = store.portal_access, await some_application(store)
    await access.set_portal(msgspec.structs.replace(access.portal(), domain="crm.example"))
    await access.put_user(PortalUser(id=7, login="anna", admin=True))
    hook = await access.create_webhook(webhook("hook"))
    await access.keep_code(code("c", owner.id))
    given = await access.issue(grant("g", owner.id))
    bound = await store.portal_events.bind(msgspec.structs.replace(handler(owner.id), offline=True, pause=2.5))
    await store.portal_events.queue([offline(owner.id)])
    (reserved,) = await store.portal_events.reserve(owner.id, "", "p", limit=1, failed=False)
    await store.portal_records.put([deal(1, TITLE="One")])
    call = await store.portal_calls.register(CALL, since=NOW)
    portal, applications = access.portal(), access.applications()
    await store.close()

    again = await opened(tmp_path)

    assert again.portal_access.portal() == portal
    assert again.portal_access.applications() == applications == [owner]
    assert again.portal_access.application_of("local.acme") == owner
    assert await again.portal_access.users() == [PortalUser(id=7, login="anna", admin=True)]
    assert again.portal_access.webhook_by(digest("hook")) == hook
    assert again.portal_access.webhooks() == [hook]
    assert await again.portal_access.take_code(digest("c")) == code("c", owner.id)
    assert await again.portal_access.grant_by_refresh(given.refresh) == given
    assert again.portal_events.handlers() == [bound]
    assert await again.portal_events.reserved(owner.id, "p") == [reserved]
    assert await again.portal_records.get(RecordKind.DEAL, 1) == deal(1, TITLE="One")
    assert await again.portal_calls.call(call.call_id) == call
    await again.close()


async def test_what_was_deleted_stays_away_after_a_restart(tmp_path: Path) -> None:
    store = await furnish(tmp_path)
    gone, stays = await some_application(store), await some_application(store, "local.b")
    hook = await store.portal_access.create_webhook(webhook("hook"))
    await store.portal_events.bind(handler(gone.id))
    await store.portal_events.bind(handler(stays.id))
    await store.portal_access.delete_webhook(hook.id)
    await store.portal_access.delete_application(gone.id)
    await store.close()

    again = await opened(tmp_path)

    assert again.portal_access.applications() == [stays]
    assert [each.application for each in again.portal_events.handlers()] == [stays.id]
    assert again.portal_access.webhooks() == []
    await again.close()


async def test_forgetting_an_application_goes_on_after_a_crash(tmp_path: Path) -> None:
    store = await furnish(tmp_path)
    owner = await some_application(store)
    await store.portal_access.issue(grant("g", owner.id))
    await store.portal_events.bind(handler(owner.id))
    await store.portal_events.queue([offline(owner.id)])
    await store.close()
    with closing(sqlite3.connect(tmp_path / "wakeline.db")) as connection, connection:
        connection.execute("UPDATE portal_application SET deleted = 1")

    again = await opened(tmp_path)
    await again.close()

    with closing(sqlite3.connect(tmp_path / "wakeline.db")) as connection:
        for table in ("portal_application", "portal_grant", "portal_handler", "portal_offline_event"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)  # noqa: S608 - our own names


async def test_no_secret_lies_in_the_file(tmp_path: Path) -> None:
    store = await furnish(tmp_path)
    await store.close()

    content = (tmp_path / "wakeline.db").read_bytes()  # a store that was closed has no log beside it

    assert b"local.acme" in content
    assert TOKEN.encode() not in content


async def test_a_change_of_the_master_key_takes_the_tokens_of_applications_with_it(tmp_path: Path) -> None:
    store = await furnish(tmp_path)
    await store.close()

    moved = await opened(tmp_path, NEW, OLD)
    assert moved.seals.stale() == 0
    await moved.close()
    again = await opened(tmp_path, NEW)

    assert (await some_application(again)).application_token == TOKEN
    await again.close()


async def test_a_lost_master_key_costs_the_tokens_and_nothing_else(tmp_path: Path) -> None:
    store = await furnish(tmp_path)
    was = await some_application(store)
    await store.close()

    forget_sealed(tmp_path / "wakeline.db", None)
    again = await opened(tmp_path, NEW)

    assert again.portal_access.applications() == [msgspec.structs.replace(was, application_token="")]
    assert again.seals.stale() == 0
    await again.close()


async def test_secrets_of_a_store_that_never_had_a_portal_are_forgotten_too(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "wakeline.db")) as connection, connection:
        connection.execute("CREATE TABLE setting (name TEXT, value TEXT)")
        connection.execute("CREATE TABLE credential (id INTEGER)")
        connection.execute("INSERT INTO credential VALUES (1)")

    assert forget_sealed(tmp_path / "wakeline.db", None) == 1


async def test_a_token_that_does_not_open_keeps_nobody_else_from_working(tmp_path: Path) -> None:
    store = await furnish(tmp_path)
    other = await some_application(store, "local.b")
    await store.close()
    with closing(sqlite3.connect(tmp_path / "wakeline.db")) as connection, connection:
        connection.execute(
            "UPDATE portal_application SET sealed = (SELECT sealed FROM portal_application WHERE id = 2) WHERE id = 1"
        )

    again = await opened(tmp_path)

    assert (await some_application(again)).application_token == ""
    assert await some_application(again, "local.b") == other
    await again.close()


class Meter:
    """Counts the steps of SQLite's machine that a store's reading connection takes."""

    def __init__(self, store: SqliteStore) -> None:
        self.steps = 0
        store.portal_records._reader._connection.set_progress_handler(self._count, 100)

    def _count(self) -> int:
        self.steps += 100
        return 0


ROWS = 20 * SLICE


@pytest.fixture
async def full(store: SqliteStore) -> SqliteStore:
    await store.portal_records.put([deal(number, TITLE=f"Deal {number}") for number in range(1, ROWS + 1)])
    return store


async def find(store: SqliteStore, *filters: Condition, order: str, count: bool = False) -> list[int]:
    page = await store.portal_records.find(
        RecordKind.DEAL, filters=filters, order=(Order(order),), start=0, limit=50, count=count
    )
    return [record.id for record in page.records]


async def test_a_page_of_a_walk_costs_the_page(full: SqliteStore) -> None:
    meter = Meter(full)

    found = await find(full, term("ID", Operator.MORE, str(ROWS // 2)), order="ID")

    assert found == list(range(ROWS // 2 + 1, ROWS // 2 + 51))
    assert 0 < meter.steps < 50 * 50
    assert await find(full, term("TITLE", Operator.EQUAL, "none"), order="ID", count=True) == []
    assert meter.steps > 5 * ROWS


ASKED = term("TITLE", Operator.LIKE, "deal 49")
FOUND = [49, *range(490, 500), *range(4900, 5000)]


async def test_further_pages_of_a_filtered_list_cost_little_until_something_changes(full: SqliteStore) -> None:
    assert await find(full, ASKED, order="ID", count=True) == FOUND[:50]
    meter = Meter(full)

    assert await find(full, ASKED, order="ID", count=True) == FOUND[:50]
    assert meter.steps < ROWS

    await full.portal_records.put([deal(49, TITLE="Another")])
    assert await find(full, ASKED, order="ID", count=True) == FOUND[1:51]
    await full.portal_records.delete(RecordKind.DEAL, [490])
    assert await find(full, ASKED, order="ID", count=True) == FOUND[2:52]


async def test_all_pages_asked_for_at_once_cost_one_search(full: SqliteStore) -> None:
    meter = Meter(full)
    await find(full, ASKED, order="ID", count=True)
    once, meter.steps = meter.steps, 0
    await full.portal_records.put([deal(1, TITLE="Another")])

    pages = await asyncio.gather(*(find(full, ASKED, order="ID", count=True) for _ in range(10)))

    assert pages == [FOUND[:50]] * 10
    assert meter.steps < 2 * once


async def test_what_changes_during_a_search_is_not_overlooked_by_the_next(full: SqliteStore) -> None:
    search = asyncio.create_task(find(full, ASKED, order="ID", count=True))
    await asyncio.sleep(0)
    await full.portal_records.put([deal(49, TITLE="Another")])
    await search

    assert await find(full, ASKED, order="ID", count=True) == FOUND[1:51]


async def test_only_the_lists_used_last_are_remembered(full: SqliteStore) -> None:
    for number in range(LISTS + 3):
        await find(full, term("TITLE", Operator.EQUAL, f"deal {number}"), order="ID", count=True)
        await find(full, ASKED, order="ID", count=True)
    meter = Meter(full)

    await find(full, ASKED, order="ID", count=True)
    assert meter.steps < ROWS
    await find(full, term("TITLE", Operator.EQUAL, "deal 0"), order="ID", count=True)
    assert meter.steps > ROWS


@pytest.mark.parametrize("order", ["ID", "TITLE"])
async def test_others_have_their_turns_while_many_rows_are_looked_at(full: SqliteStore, order: str) -> None:
    turns = 0

    async def work() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other: asyncio.Task[Any] = asyncio.create_task(work())
    found = await find(full, term("TITLE", Operator.LIKE, "deal 49"), order=order, count=True)
    other.cancel()

    assert found[:3] == [49, 490, 491] if order == "ID" else found[:2] == [49, 490]
    assert turns >= ROWS // SLICE


async def test_a_backup_holds_the_portal(tmp_path: Path) -> None:
    store = await furnish(tmp_path / "here")
    files = store.path, store.devices_path
    portal, owner = store.portal_access.portal(), await some_application(store)
    await backup(*files, tmp_path / "portal.tar", now=NOW)
    await store.close()

    restore(tmp_path / "portal.tar", *(tmp_path / "there" / path.name for path in files), now=NOW)
    copy = await opened(tmp_path / "there")

    assert copy.portal_access.portal() == portal
    assert copy.portal_access.applications() == [owner]
    await copy.close()
