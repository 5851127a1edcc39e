"""What the tables of the SIP edge promise beyond their ports: restarts, failed commits, master keys, backups."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import NamedTuple

import pytest
from structlog.testing import capture_logs

from killed import lived
from sip_nouns import ALICE, BOB, binding, message, user, voip
from storing import HOUR, NOW, ToldClock, some_app
from wakeline.config import Storage
from wakeline.model.errors import StoreUnavailable
from wakeline.model.sip.binding import Binding, BindingChange
from wakeline.storage.memory import MemoryStore
from wakeline.storage.sealing import Sealer
from wakeline.storage.sqlite import SqliteStore
from wakeline.storage.sqlite.backup import backup, restore
from wakeline.storage.sqlite.seals import forget_sealed

pytestmark = pytest.mark.anyio

OLD, NEW = b"m" * 32, b"n" * 32


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


class Everything(NamedTuple):
    """What a store of this file holds."""

    bindings: list[Binding]
    by_gruu: Binding | None
    by_token: list[Binding]
    messages: list[str]
    users: list[tuple[str, str]]


async def furnish(folder: Path) -> SqliteStore:
    """Return an open store with something of each kind."""
    store = await opened(folder)
    await some_app(store)
    phones = binding("a", push=voip("v"), app=1, gruu="sip:g", updated=NOW + 1), binding("b", q=0.5)
    await store.sip_bindings.change(BindingChange(aor=BOB, put=phones))
    for number in range(10):
        await store.sip_messages.put(message(f"c{number} 1", "a", "b"))
    await store.sip_messages.taken("a", [1, 2])
    await store.sip_users.put(user("bob", mark="b"))
    await store.sip_users.put(user("ann", mark="a"))
    return store


async def everything(store: SqliteStore) -> Everything:
    return Everything(
        store.sip_bindings.of(BOB),
        store.sip_bindings.by_gruu("sip:g"),
        await store.sip_bindings.by_token(1, "v"),
        [each.key for uid in "ab" for each in await store.sip_messages.waiting(BOB, uid, now=NOW, limit=99)],
        [(each.md5, each.sha256) for each in store.sip_users.all()],
    )


FURNISHED = Everything(
    [binding("a", push=voip("v"), app=1, gruu="sip:g", updated=NOW + 1), binding("b", q=0.5)],
    binding("a", push=voip("v"), app=1, gruu="sip:g", updated=NOW + 1),
    [binding("a", push=voip("v"), app=1, gruu="sip:g", updated=NOW + 1)],
    [f"c{number} 1" for number in (*range(2, 10), *range(10))],
    [("a" * 32, "a" * 64), ("b" * 32, "b" * 64)],
)


async def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    await (await furnish(tmp_path)).close()

    again = await opened(tmp_path)

    assert await everything(again) == FURNISHED
    assert again.sip_users.get("bob", "example.org") == user(mark="b")
    assert (await again.sip_messages.put(message("c9 2"))).id == 11
    await again.close()


async def test_a_backup_holds_everything(tmp_path: Path) -> None:
    store = await furnish(tmp_path / "here")
    await backup(store.path, store.devices_path, tmp_path / "store.tar", now=NOW)
    await store.close()

    restore(tmp_path / "store.tar", tmp_path / "there" / "wakeline.db", tmp_path / "there" / "devices.db", now=NOW)

    copy = await opened(tmp_path / "there")
    assert await everything(copy) == FURNISHED
    await copy.close()


class TestDigests:
    async def test_lie_nowhere_in_the_file(self, tmp_path: Path) -> None:
        await (await furnish(tmp_path)).close()

        content = (tmp_path / "wakeline.db").read_bytes()  # a store that was closed has no log beside it

        assert b"sip:bob@example.org" in content
        assert b"a" * 32 not in content
        assert b"b" * 32 not in content

    async def test_move_to_a_new_master_key(self, tmp_path: Path) -> None:
        await (await furnish(tmp_path)).close()
        moved = await opened(tmp_path, NEW, OLD)
        assert moved.seals.stale() == 0
        await moved.close()

        again = await opened(tmp_path, NEW)

        assert await everything(again) == FURNISHED
        await again.close()

    async def test_of_a_lost_master_key_are_forgotten_with_their_users_and_nothing_else(self, tmp_path: Path) -> None:
        await (await furnish(tmp_path)).close()

        forget_sealed(tmp_path / "wakeline.db", None)

        again = await opened(tmp_path, NEW)
        assert await everything(again) == FURNISHED._replace(users=[])
        await again.close()

    async def test_that_were_moved_to_another_user_let_nobody_in(self, tmp_path: Path) -> None:
        store = await furnish(tmp_path)
        swap = "UPDATE sip_user SET sealed = (SELECT sealed FROM sip_user WHERE user = 'ann') WHERE user = 'bob'"
        await store.sip_users._writer.write(lambda tx: tx.execute(swap))
        await store.close()

        with capture_logs() as logs:
            again = await opened(tmp_path)

        assert again.sip_users.get("bob", "example.org") is None
        assert list(again.sip_users.all()) == [user("ann", mark="a")]
        assert [(each["event"], each["user"]) for each in logs if each["log_level"] == "error"] == [
            ("sip_user_lost", "sip:bob@example.org")
        ]
        await again.sip_users.put(user(mark="n"))
        await again.close()
        healed = await opened(tmp_path)
        assert healed.sip_users.get("bob", "example.org") == user(mark="n")
        await healed.close()


def full(store: SqliteStore) -> None:
    """Leave the database no room to grow."""
    store.sip_bindings._writer._connection.execute(
        "PRAGMA max_page_count = 1"
    )  # SQLite takes it for as many as there are


def roomy(store: SqliteStore) -> None:
    store.sip_bindings._writer._connection.execute("PRAGMA max_page_count = 1000000")


class TestACommitThatFails:
    async def test_leaves_registrations_as_they_were(self, store: SqliteStore) -> None:
        old = binding("a", gruu="sip:g")
        await store.sip_bindings.change(BindingChange(aor=BOB, put=(old,)))
        new = binding("a", cseq=2, gruu="sip:g", contact="x" * 200_000)
        full(store)

        task = asyncio.ensure_future(store.sip_bindings.change(BindingChange(aor=BOB, put=(new,))))
        await asyncio.sleep(0)
        assert store.sip_bindings.of(BOB) == [new]
        with pytest.raises(StoreUnavailable):
            await task

        assert store.sip_bindings.of(BOB) == [store.sip_bindings.by_gruu("sip:g")] == [old]
        roomy(store)
        await store.sip_bindings.change(BindingChange(aor=BOB, put=(new,)))
        assert store.sip_bindings.of(BOB) == [new]

    async def test_leaves_no_message(self, store: SqliteStore) -> None:
        full(store)

        with pytest.raises(StoreUnavailable):
            await store.sip_messages.put(message(request=b"x" * 200_000))

        assert await store.sip_messages.count(BOB) == 0

    async def test_leaves_no_user(self, store: SqliteStore) -> None:
        full(store)

        many = [store.sip_users.put(user(f"user{number}")) for number in range(1_000)]

        refused = await asyncio.gather(*many, return_exceptions=True)

        assert StoreUnavailable in set(map(type, refused))
        kept = [number for number, error in enumerate(refused) if error is None]
        assert [each.user for each in store.sip_users.all()] == sorted(f"user{number}" for number in kept)


async def test_a_closed_store_takes_nothing_and_pretends_nothing(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    await store.close()

    with pytest.raises(StoreUnavailable):
        await store.sip_bindings.change(BindingChange(aor=BOB, put=(binding(),)))
    with pytest.raises(StoreUnavailable):
        store.sip_bindings.of(BOB)
    assert store.sip_bindings._on_their_way == {}


async def test_a_caller_who_gave_up_leaves_what_the_disk_has(store: SqliteStore) -> None:
    changes = [BindingChange(aor=BOB, put=(binding("a", cseq=number),)) for number in range(3)]
    tasks = [asyncio.ensure_future(store.sip_bindings.change(change)) for change in changes]
    await asyncio.sleep(0)
    tasks[2].cancel()  # nothing of it has run yet
    await asyncio.gather(*tasks, return_exceptions=True)

    assert [each.cseq for each in store.sip_bindings.of(BOB)] == [1]
    assert store.sip_bindings._on_their_way == {}


async def test_registrations_that_come_together_share_commits(store: SqliteStore) -> None:
    said: list[str] = []
    store.sip_bindings._writer._connection.set_trace_callback(said.append)
    phones = [binding("a", aor=f"sip:user{number}@example.org") for number in range(500)]

    await asyncio.gather(*(store.sip_bindings.change(BindingChange(aor=each.aor, put=(each,))) for each in phones))

    assert 0 < said.count("COMMIT") < 100
    assert len(await store.sip_bindings.aors(limit=999)) == 500


async def test_a_refresh_does_not_touch_what_it_does_not_change(store: SqliteStore) -> None:
    phone = binding(push=voip("v"), app=1, gruu="sip:g")
    await store.sip_bindings.change(BindingChange(aor=BOB, put=(phone,)))
    said: list[str] = []
    store.sip_bindings._writer._connection.set_trace_callback(said.append)

    refreshed = binding(push=voip("v"), app=1, gruu="sip:g", cseq=2, expires=NOW + 2 * HOUR)
    await store.sip_bindings.change(BindingChange(aor=BOB, put=(refreshed,)))

    writes = [each.split()[0] for each in said if not each.startswith(("SELECT", "SAVEPOINT", "RELEASE"))]
    assert writes == ["BEGIN", "UPDATE", "COMMIT"]
    assert "sip_token" not in "".join(said)


async def test_prunes_more_than_a_batch(store: SqliteStore) -> None:
    phones = tuple(binding(f"phone{number}", kept=NOW, push=voip(f"t{number}"), app=1) for number in range(450))
    await store.sip_bindings.change(BindingChange(aor=BOB, put=phones))
    for number in range(450):
        await store.sip_messages.put(message(f"c{number} 1", expires=NOW))

    assert await store.sip_bindings.prune(NOW) == 450
    assert await store.sip_messages.prune(NOW) == 450

    left = store.sip_bindings._reader
    for table in ("sip_binding", "sip_token", "sip_message", "sip_message_for"):
        assert left.one(f"SELECT count(*) FROM {table}")[0] == 0  # noqa: S608 - our own names


async def test_a_deleted_app_lets_go_of_more_than_a_batch_and_of_what_is_on_its_way(store: SqliteStore) -> None:
    other = await some_app(store, "other")
    phones = tuple(binding(f"phone{number}", push=voip("v"), app=other.id) for number in range(450))
    await store.sip_bindings.change(BindingChange(aor=BOB, put=phones))
    late = binding("late", aor=ALICE, push=voip("v"), app=other.id)

    deleting = asyncio.ensure_future(store.apps.delete(other.id))
    await asyncio.sleep(0)
    await store.sip_bindings.change(BindingChange(aor=ALICE, put=(late,)))
    await deleting
    await store.sip_bindings.change(BindingChange(aor=ALICE, put=(binding("later", aor=ALICE, app=other.id),)))

    assert {(each.app, each.device) for aor in (BOB, ALICE) for each in store.sip_bindings.of(aor)} == {(0, "")}
    assert await store.sip_bindings.by_token(other.id, "v") == []


LIVING = """
import asyncio, sys
from pathlib import Path
from sip_nouns import binding, message
from storing import some_app, sqlite_store
from wakeline.model.sip.binding import BindingChange

async def main():
    store = sqlite_store(Path(sys.argv[1]))
    await store.open()
    await some_app(store)
    turn = int(sys.argv[2])
    while True:
        phones = [binding("phone", aor=f"sip:{turn}-{number}@example.org", cseq=turn) for number in range(5)]
        await asyncio.gather(
            *(store.sip_bindings.change(BindingChange(aor=each.aor, put=(each,))) for each in phones),
            store.sip_messages.put(message(f"{turn} 1")),
        )
        print("kept", turn, flush=True)
        turn += 1

asyncio.run(main())
"""


@pytest.mark.faults
async def test_nothing_that_was_kept_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    said: list[int] = []
    for first, lines in ((0, 9), (1000, 14)):
        turns = await asyncio.to_thread(lived, LIVING, lines, str(tmp_path), str(first))
        assert turns[:1] == [first]
        said += turns

    store = await opened(tmp_path)
    kept = [each.key for each in await store.sip_messages.waiting(BOB, "phone", now=NOW, limit=100_000)]
    assert set(kept) >= {f"{turn} 1" for turn in said}
    assert kept == sorted(kept, key=lambda key: int(key.split()[0]))
    for turn in said:
        found = [store.sip_bindings.of(f"sip:{turn}-{number}@example.org") for number in range(5)]
        assert [[each.cseq for each in phones] for phones in found] == [[turn]] * 5
    await store.close()


@pytest.mark.parametrize("seed", range(4))
async def test_both_adapters_live_the_same_life(store: SqliteStore, clock: ToldClock, seed: int) -> None:
    """Changes of few phones and tokens, some at once, and after each turn every question that can be asked."""
    other = MemoryStore(clock, Sealer(OLD))
    await some_app(other)
    dice = random.Random(seed)  # noqa: S311 - no secret
    for _ in range(25):
        clock.time += dice.randrange(HOUR)
        changes = [some_change(dice, clock.time) for _ in range(dice.randrange(1, 6))]
        tasks = [asyncio.ensure_future(store.sip_bindings.change(change)) for change in changes]
        await asyncio.gather(*(other.sip_bindings.change(change) for change in changes))
        assert await asked(store, clock) == await asked(other, clock)
        await asyncio.gather(*tasks)
        assert await asked(store, clock) == await asked(other, clock)
        if dice.random() < 0.2:
            assert await store.sip_bindings.prune(clock.time) == await other.sip_bindings.prune(clock.time)


def some_change(dice: random.Random, now: int) -> BindingChange:
    aor = dice.choice((BOB, ALICE))
    put = tuple(
        binding(
            uid,
            aor=aor,
            q=dice.choice((1.0, 0.5)),
            updated=now + number,
            expires=now + dice.randrange(HOUR),
            kept=now + dice.randrange(4 * HOUR),
            gruu=dice.choice(("", "sip:g", "sip:h")),
            push=dice.choice((None, voip("v"), voip("w"))),
            app=dice.randrange(2),
        )
        for number, uid in enumerate(dice.sample("abcd", dice.randrange(3)))
    )
    return BindingChange(aor=aor, put=put, removed=tuple(dice.sample("abcd", dice.randrange(3))))


async def asked(store: SqliteStore | MemoryStore, clock: ToldClock) -> list[object]:
    asking = store.sip_bindings
    return [
        *(asking.of(aor) for aor in (BOB, ALICE)),
        *(getattr(asking.by_gruu(gruu), "updated", None) for gruu in ("sip:g", "sip:h")),
        *[sorted((each.aor, each.uid) for each in await asking.by_token(1, token)) for token in "vw"],
        await asking.aors(limit=9),
        await asking.aors(after=ALICE, limit=9),
        await asking.expiring(clock.time + HOUR, after=clock.time, limit=99),
    ]
