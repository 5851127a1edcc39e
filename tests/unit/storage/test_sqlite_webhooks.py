"""What the tables of webhook endpoints promise beyond their port: restarts, failed commits, master keys, large logs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from killed import lived
from storing import HOUR, NOW, ToldClock
from wakeline.config import Storage
from wakeline.model.errors import SecretError, StoreUnavailable
from wakeline.model.webhook import EndpointHealth, EndpointSecret, MessageState
from wakeline.ports.webhooks import Progress
from wakeline.storage.sealing import Sealer
from wakeline.storage.sqlite import SqliteStore
from wakeline.storage.sqlite.backup import backup, restore
from wakeline.storage.sqlite.seals import forget_sealed
from webhook_nouns import SECRET, listening, message, told

pytestmark = pytest.mark.anyio

OLD, NEW = b"m" * 32, b"n" * 32
SECOND = b"second secret, of 24 byte"
AILING = EndpointHealth(cursor=2, failures=3, failing_since=NOW, retry_at=NOW + HOUR, status=503, detail="It is down")
SECRETS = (EndpointSecret(value=SECOND), EndpointSecret(value=SECRET, until=NOW + HOUR))


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
    """Return an open store with two endpoints, the first of which ails."""
    store = await opened(folder)
    first, _ = await listening(store, "first"), await listening(store, "second", secret=b"of the second", cursor=9)
    await store.endpoints.rotate(first.id, SECOND, until=NOW + HOUR)
    await told(store, first, message(first, 1, MessageState.WAITING, due=NOW), message(first, 2), health=AILING)
    return store


async def is_as_furnished(store: SqliteStore) -> bool:
    first, second = store.endpoints.all()
    assert [first.name, second.name] == ["first", "second"]
    assert [store.endpoints.health(each.id) for each in (first, second)] == [AILING, EndpointHealth(cursor=9)]
    assert [each.seq for each in (await store.endpoints.log(first.id)).messages] == [2, 1]
    assert await store.endpoints.secrets(second.id) == (EndpointSecret(value=b"of the second"),)
    return await store.endpoints.secrets(first.id) == SECRETS


async def rows_left(store: SqliteStore) -> tuple[int, int]:
    """Return how many endpoints and messages the file holds."""
    counted = "SELECT (SELECT count(*) FROM webhook_endpoint), (SELECT count(*) FROM webhook_message)"
    endpoints, messages = await store.endpoints._writer.write(lambda tx: tx.one(counted))
    return endpoints, messages


async def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    await (await furnish(tmp_path)).close()

    again = await opened(tmp_path)

    assert await is_as_furnished(again)
    assert (await listening(again)).id == 3
    await again.close()


async def test_a_backup_holds_everything(tmp_path: Path) -> None:
    store = await furnish(tmp_path / "here")
    await backup(store.path, store.devices_path, tmp_path / "store.tar", now=NOW)
    await store.close()

    restore(tmp_path / "store.tar", tmp_path / "there" / "wakeline.db", tmp_path / "there" / "devices.db", now=NOW)

    copy = await opened(tmp_path / "there")
    assert await is_as_furnished(copy)
    await copy.close()


async def test_memory_follows_the_disk_when_a_commit_fails(tmp_path: Path) -> None:
    store = await furnish(tmp_path)
    heard: list[int] = []
    store.endpoints.listen(heard.append)
    first = store.endpoints.all()[0]
    store.endpoints._writer._connection.execute("PRAGMA query_only = 1")  # as a broken disk

    for broken in (
        listening(store),
        store.endpoints.delete(first.id),
        store.endpoints.rotate(first.id, b"third", until=NOW),
        told(store, first, message(first, 3), health=EndpointHealth(cursor=3)),
    ):
        with pytest.raises(StoreUnavailable):
            await broken

    assert await is_as_furnished(store)
    assert heard == []
    await store.close()


class TestSecrets:
    async def test_lie_nowhere_in_the_file(self, tmp_path: Path) -> None:
        await (await furnish(tmp_path)).close()

        content = (tmp_path / "wakeline.db").read_bytes()  # a store that was closed has no log beside it

        assert b"receiver.example.org" in content
        assert SECRET not in content
        assert SECOND not in content

    async def test_move_to_a_new_master_key(self, tmp_path: Path) -> None:
        await (await furnish(tmp_path)).close()
        moved = await opened(tmp_path, NEW, OLD)
        assert moved.seals.stale() == 0
        await moved.close()

        again = await opened(tmp_path, NEW)

        assert await is_as_furnished(again)
        await again.close()

    async def test_that_were_moved_to_another_endpoint_do_not_open(self, tmp_path: Path) -> None:
        store = await furnish(tmp_path)
        swap = "UPDATE webhook_endpoint SET sealed = (SELECT sealed FROM webhook_endpoint WHERE id = 1) WHERE id = 2"
        await store.endpoints._writer.write(lambda tx: tx.execute(swap))

        with pytest.raises(SecretError):
            await store.endpoints.secrets(2)

        await store.close()

    async def test_of_a_lost_master_key_are_made_anew_by_rotation(self, tmp_path: Path) -> None:
        await (await furnish(tmp_path)).close()

        forget_sealed(tmp_path / "wakeline.db", None)

        again = await opened(tmp_path, NEW)
        assert [each.name for each in again.endpoints.all()] == ["first", "second"]
        with pytest.raises(SecretError) as refusal:
            await again.endpoints.secrets(1)
        assert "webhook rotate" in refusal.value.fix
        await again.endpoints.rotate(1, b"third", until=NOW + HOUR)
        assert await again.endpoints.secrets(1) == (EndpointSecret(value=b"third"),)
        await again.close()

    async def test_are_gone_from_the_file_as_soon_as_their_endpoint_is(self, tmp_path: Path) -> None:
        store = await furnish(tmp_path)
        sealed = await store.endpoints._writer.write(
            lambda tx: tx.one("SELECT sealed FROM webhook_endpoint WHERE id = 1")
        )
        assert sealed != (b"",)

        await store.endpoints.delete(1)

        sealed = await store.endpoints._writer.write(
            lambda tx: tx.one("SELECT sealed FROM webhook_endpoint WHERE id = 1")
        )
        assert sealed == (b"",)
        await store.close()


class TestForgetting:
    async def test_the_log_of_a_deleted_endpoint_goes_piece_by_piece_also_after_a_restart(self, tmp_path: Path) -> None:
        store = await furnish(tmp_path)
        first, second = store.endpoints.all()
        await told(store, first, *(message(first, seq, MessageState.WAITING) for seq in range(3, 13)))
        await told(store, second, message(second, 1, at=NOW - 1), message(second, 2))
        await store.endpoints.delete(first.id)
        assert await store.endpoints.prune(0, 5) == 5
        assert await rows_left(store) == (2, 9)
        await store.close()

        again = await opened(tmp_path)
        assert again.endpoints.all() == [second]
        assert [await again.endpoints.prune(NOW, 5) for _ in range(3)] == [5, 3, 0]

        assert await rows_left(again) == (1, 1)
        await again.close()

    async def test_many_endpoints_are_forgotten_together(self, tmp_path: Path) -> None:
        store = await opened(tmp_path)
        many = await asyncio.gather(*(listening(store) for _ in range(1200)))
        await asyncio.gather(*(store.endpoints.delete(each.id) for each in many))

        assert await store.endpoints.prune(0, 5) == 0

        assert await rows_left(store) == (0, 0)
        await store.close()

    async def test_one_that_is_deleted_while_its_progress_is_written_leaves_nothing(self, tmp_path: Path) -> None:
        store = await furnish(tmp_path)
        late = Progress(endpoint=1, health=EndpointHealth(cursor=8), messages=(message(1, 8),))

        await asyncio.gather(store.endpoints.record([late]), store.endpoints.delete(1), store.endpoints.record([late]))

        assert store.endpoints.health(1) == EndpointHealth()
        await store.endpoints.prune(0, 99)
        assert await rows_left(store) == (1, 0)
        await store.close()


LIVING = """
import asyncio, sys
from pathlib import Path
from storing import sqlite_store
from webhook_nouns import listening, message
from wakeline.model.webhook import EndpointHealth
from wakeline.ports.webhooks import Progress

async def main():
    store = sqlite_store(Path(sys.argv[1]))
    await store.open()
    turn = 0
    pair = [await listening(store), await listening(store)]
    while True:
        rows = [tuple(message(of, 10 * turn + place) for place in range(10)) for of in pair]
        health = EndpointHealth(cursor=10 * turn + 9)
        await store.endpoints.record(
            [Progress(endpoint=of.id, health=health, messages=told) for of, told in zip(pair, rows)]
        )
        print("kept", turn, flush=True)
        turn += 1

asyncio.run(main())
"""


@pytest.mark.faults
async def test_cursor_and_log_of_all_endpoints_agree_whenever_the_process_is_killed(tmp_path: Path) -> None:
    said = await asyncio.to_thread(lived, LIVING, 17, str(tmp_path))
    assert said == list(range(max(9, len(said))))

    store = await opened(tmp_path)
    pair = store.endpoints.all()
    logs = [[each.seq for each in (await store.endpoints.log(of.id, limit=100_000)).messages] for of in pair]
    assert [each.name for each in pair] == ["", ""]
    assert logs[0] == logs[1]
    assert set(logs[0]) >= {10 * turn + place for turn in said for place in range(10)}
    assert len(logs[0]) % 10 == 0
    assert [store.endpoints.health(of.id).cursor for of in pair] == [logs[0][0]] * 2
    await store.close()
