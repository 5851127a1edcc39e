"""What the tables of connected portals promise beyond their ports: upgrades, crashes, keys, backups, and what a query costs."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from connected_nouns import (
    APPLICATION_TOKEN,
    CLIENT_SECRET,
    HOOK_CODE,
    application,
    connected,
    event,
    installation,
    pair,
    rule,
    write,
)
from killed import lived
from portal_nouns import TOKEN, some_application
from portal_nouns import application as portal_application
from storing import NOW, ToldClock, some_app
from wakeline.config import Storage
from wakeline.model.bitrix24.inbox import EventState, Settled
from wakeline.model.bitrix24.installation import Installation, InstallationState
from wakeline.model.bitrix24.outbox import WriteState
from wakeline.storage.sealing import Sealer
from wakeline.storage.sqlite import SqliteStore
from wakeline.storage.sqlite import migrate as migrating
from wakeline.storage.sqlite.backup import backup, restore
from wakeline.storage.sqlite.bitrix24.doors import LOST
from wakeline.storage.sqlite.migrate import migrate
from wakeline.storage.sqlite.seals import forget_sealed

pytestmark = pytest.mark.anyio

OLD, NEW = b"m" * 32, b"n" * 32
TABLES = ("installation", "portal_rule", "received_event", "portal_write")
LATER = (
    "sip_binding",
    "sip_token",
    "sip_message",
    "sip_message_for",
    "sip_user",
    "webhook_endpoint",
    "webhook_message",
    "silence_count",
    "suspicion",
    "silence_mark",
    "early_receipt",
    "portal_options",
)
"""Tables of migrations after theirs."""
LATER_INDEXES = ("chunk_around", "notification_broad")


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
    """Return an open store with a webhook, an application, and something of each kind."""
    store = await opened(folder)
    await some_app(store)
    hook = await connected(store)
    await store.installations.create(installation("oauth", access=application(pair()), mirror=True))
    await store.installations.reach(hook.id, NOW)
    await store.portal_rules.create(rule(of=hook.id))
    await store.event_inbox.put([event(1, of=hook.id), event(2, of=hook.id)])
    (first, _) = await store.event_inbox.waiting(hook.id, now=NOW, limit=9)
    await store.event_inbox.settle([Settled(id=first.id, state=EventState.DONE, notifications=("n",))])
    (sent, *_) = await store.outbox.put([write(of=hook.id), write("a", of=hook.id), write("b", of=hook.id, after="a")])
    await store.outbox.settle(msgspec.structs.replace(sent, state=WriteState.SENT))
    return store


async def everything(store: SqliteStore) -> list[object]:
    return [
        *store.installations.all(),
        *store.portal_rules.all(),
        *await store.event_inbox.recorded(limit=999),
        *await store.outbox.recorded(limit=999),
    ]


def changed(folder: Path, sql: str) -> None:
    """Change a store that is closed."""
    with closing(sqlite3.connect(folder / "wakeline.db")) as connection, connection:
        connection.execute(sql)


class TestAfterARestart:
    async def test_everything_is_there(self, tmp_path: Path) -> None:
        store = await furnish(tmp_path)
        before = await everything(store)
        await store.close()

        again = await opened(tmp_path)

        assert await everything(again) == before
        assert [each.name for each in again.installations.all()] == ["acme", "oauth"]
        assert again.installations.by_name("oauth") == again.installations.all()[1]
        assert await again.event_inbox.next_due() == await again.outbox.next_due() == {1: 0}
        await again.close()

    async def test_what_was_changed_stays_changed(self, tmp_path: Path) -> None:
        store = await furnish(tmp_path)
        hook, oauth = store.installations.all()
        await store.installations.keep_tokens(oauth.id, pair("second"), instead_of="first-refresh")
        await store.installations.change(msgspec.structs.replace(oauth, title="Another", mirror=False))
        await store.installations.delete(hook.id)
        before = await everything(store)
        await store.close()

        again = await opened(tmp_path)

        assert await everything(again) == before
        expected = msgspec.structs.replace(oauth, title="Another", mirror=False, access=application(pair("second")))
        assert again.installations.all() == [expected]
        assert not await again.installations.keep_tokens(oauth.id, pair("third"), instead_of="first-refresh")
        assert await again.installations.keep_tokens(oauth.id, pair("third"), instead_of="second-refresh")
        await again.close()

    async def test_forgetting_goes_on_where_a_crash_ended_it(self, tmp_path: Path) -> None:
        await (await furnish(tmp_path)).close()
        changed(tmp_path, "UPDATE installation SET deleted = 1")

        await (await opened(tmp_path)).close()

        with closing(sqlite3.connect(tmp_path / "wakeline.db")) as connection:
            left = [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES]  # noqa: S608 - our own names
        assert left == [0, 0, 0, 0]

    async def test_a_name_is_free_while_its_installation_is_being_forgotten(self, tmp_path: Path) -> None:
        store = await furnish(tmp_path)
        deleted = asyncio.create_task(store.installations.delete(2))
        await asyncio.sleep(0)

        again = await store.installations.create(installation("oauth", mirror=True))

        await deleted
        assert store.installations.by_name("oauth") == again
        await store.close()


async def test_a_store_of_the_release_before_is_brought_up_to_date(tmp_path: Path) -> None:
    former = tmp_path / "former"
    shutil.copytree(Path(migrating.__file__).with_name("migrations"), former)
    for shipped in (former / "main").glob("*.sql"):
        if shipped.name >= "0008":
            shipped.unlink()
    with closing(sqlite3.connect(tmp_path / "wakeline.db", isolation_level=None)) as connection:
        migrate(connection, "main", former)
        sealed = Sealer(OLD).seal(TOKEN.encode(), "portal application 1 token")
        owner = msgspec.structs.replace(portal_application("local.acme", 1), id=1, application_token="")
        connection.execute(
            "INSERT INTO app (slug, name, settings, paused, created) VALUES ('acme-chat', 'A', x'7B7D', 0, 0)"
        )
        connection.execute(
            "INSERT INTO portal_application (client_id, app, facts, sealed) VALUES ('local.acme', 1, ?, ?)",
            (msgspec.json.encode(owner), sealed),
        )

    store = await opened(tmp_path, NEW, OLD)

    assert (await some_application(store)).application_token == TOKEN
    assert await everything(store) == []
    kept = await connected(store)
    assert await store.event_inbox.put([event(of=kept.id)]) == [True]
    assert store.seals.stale() == 0
    await store.close()


class TestSecrets:
    async def test_lie_nowhere_in_the_file(self, tmp_path: Path) -> None:
        store = await furnish(tmp_path)
        await store.installations.keep_tokens(2, pair("second"), instead_of="first-refresh")
        await store.close()

        content = (tmp_path / "wakeline.db").read_bytes()  # a store that was closed has no log beside it

        assert b"local.acme" in content
        for secret in (HOOK_CODE, CLIENT_SECRET, APPLICATION_TOKEN, "first-access", "first-refresh", "second-refresh"):
            assert secret.encode() not in content

    async def test_move_to_a_new_master_key(self, tmp_path: Path) -> None:
        store = await furnish(tmp_path)
        before = await everything(store)
        await store.close()

        moved = await opened(tmp_path, NEW, OLD)
        assert moved.seals.stale() == 0
        assert await everything(moved) == before
        await moved.close()
        again = await opened(tmp_path, NEW)

        assert await everything(again) == before
        assert await again.installations.keep_tokens(2, pair("second"), instead_of="first-refresh")
        await again.close()

    async def test_move_with_tokens_that_change_meanwhile(self, tmp_path: Path) -> None:
        sealer = Sealer(OLD)
        store = SqliteStore(
            tmp_path / "wakeline.db", clock=ToldClock(), secrets=sealer, settings=Storage(ballast=0, low_disk=0)
        )
        await store.open()
        await some_app(store)
        kept = await store.installations.create(installation(access=application(pair())))

        sealer.adopt(NEW, [OLD])
        count, done = await asyncio.gather(
            store.seals.renew(), store.installations.keep_tokens(kept.id, pair("second"), instead_of="first-refresh")
        )
        await store.close()

        assert (count, done) == (2, True)
        again = await opened(tmp_path, NEW)
        assert again.installations.all() == [msgspec.structs.replace(kept, access=application(pair("second")))]
        await again.close()

    async def test_of_a_lost_master_key_cost_the_access_and_nothing_else(self, tmp_path: Path) -> None:
        store = await furnish(tmp_path)
        before, hook = await everything(store), store.installations.all()[0]
        await store.close()

        forget_sealed(tmp_path / "wakeline.db", None)
        again = await opened(tmp_path, NEW)

        lost = again.installations.all()
        assert [(each.state, each.cause, each.application_token) for each in lost] == [
            (InstallationState.DEAD, LOST, "")
        ] * 2
        assert "bitrix24.example/rest/1" not in msgspec.json.encode(lost).decode()
        assert (await everything(again))[2:] == before[2:]
        await again.installations.change(hook)
        assert await again.installations.keep_tokens(2, pair("second"), instead_of="")
        await again.close()
        healed = await opened(tmp_path, NEW)
        assert healed.installations.all()[0] == hook
        await healed.close()

    async def test_that_were_moved_to_another_row_do_not_open(self, tmp_path: Path) -> None:
        store = await furnish(tmp_path)
        hook = store.installations.all()[0]
        await store.close()
        changed(
            tmp_path,
            "UPDATE installation SET sealed = (SELECT sealed FROM installation WHERE id = 1) WHERE id = 2",
        )

        again = await opened(tmp_path)

        first, second = again.installations.all()
        assert first == hook
        assert (second.state, second.cause) == (InstallationState.DEAD, LOST)
        await again.close()


class TestBackup:
    async def test_holds_everything_and_what_waited_to_be_written_is_doubtful(self, tmp_path: Path) -> None:
        store = await furnish(tmp_path / "here")
        before = await everything(store)
        await backup(store.path, store.devices_path, tmp_path / "store.tar", now=NOW)
        await store.close()

        restore(tmp_path / "store.tar", tmp_path / "there" / "wakeline.db", tmp_path / "there" / "devices.db", now=NOW)
        copy = await opened(tmp_path / "there")

        assert (await everything(copy))[:5] == before[:5]
        found = await copy.outbox.recorded(limit=9)
        assert [each.state for each in found] == [WriteState.DOUBTFUL] * 3
        assert all("restored" in each.cause for each in found)
        assert await copy.outbox.next_due() == {}
        await copy.close()

    async def test_of_a_release_without_connected_portals_comes_back_too(self, tmp_path: Path) -> None:
        store = await furnish(tmp_path / "here")
        paths = store.path, store.devices_path
        await store.close()
        with closing(sqlite3.connect(paths[0])) as connection, connection:
            for table in (*TABLES, *LATER):
                connection.execute(f"DROP TABLE {table}")
            for index in LATER_INDEXES:
                connection.execute(f"DROP INDEX {index}")
            connection.execute("DELETE FROM migration WHERE number >= 8")
        await backup(*paths, tmp_path / "store.tar", now=NOW)

        restore(tmp_path / "store.tar", tmp_path / "there" / "wakeline.db", tmp_path / "there" / "devices.db", now=NOW)

        copy = await opened(tmp_path / "there")
        assert await everything(copy) == []
        await copy.close()


LIVING = """
import asyncio, sys
from pathlib import Path
import msgspec
from connected_nouns import application, connected, event, installation, pair, write
from storing import some_app, sqlite_store
from wakeline.model.bitrix24.outbox import WriteState

async def main():
    store = sqlite_store(Path(sys.argv[1]))
    await store.open()
    await some_app(store)
    of = (await connected(store)).id
    oauth = store.installations.by_name("oauth") or await store.installations.create(
        installation("oauth", access=application())
    )
    turn = max((each.record for each in await store.event_inbox.recorded(limit=1)), default=0) + 1
    tokens = oauth.access.tokens
    refresh = tokens.refresh if tokens is not None else ""
    while True:
        await asyncio.gather(*(store.event_inbox.put([event(5 * turn + n, of=of)]) for n in range(5)))
        (sent,) = await store.outbox.put([write(str(turn), of=of)])
        await store.outbox.settle(msgspec.structs.replace(sent, state=WriteState.DONE))
        assert await store.installations.keep_tokens(oauth.id, pair(str(turn)), instead_of=refresh)
        refresh = f"{turn}-refresh"
        print("kept", turn, flush=True)
        turn += 1

asyncio.run(main())
"""


@pytest.mark.faults
async def test_nothing_that_was_kept_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    turns: list[int] = []
    for lines in (7, 12):
        turns += await asyncio.to_thread(lived, LIVING, lines, str(tmp_path))

        store = await opened(tmp_path)
        hook, oauth = store.installations.all()
        records = {each.record for each in await store.event_inbox.waiting(hook.id, now=NOW, limit=100_000)}
        assert records >= {5 * turn + number for turn in turns for number in range(5)}
        for turn in turns:
            kept = await store.outbox.by_key(hook.id, str(turn))
            assert kept is not None
            assert kept.state is WriteState.DONE
        assert last_pair(oauth) >= turns[-1]
        await store.close()


def last_pair(oauth: Installation) -> int:
    """Return the turn in which the tokens in force were kept."""
    access = oauth.access
    assert isinstance(access, type(application()))
    assert access.tokens is not None
    return int(access.tokens.refresh.removesuffix("-refresh"))
