from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from storing import HOUR, NOW, Store, ToldClock, accepted, admission, claim, job, some_app, some_route, sqlite_store
from wakeline.config import Storage
from wakeline.model.credential import Credential, CredentialKind, CredentialSecret, CredentialState
from wakeline.model.errors import SchemaTooNew, StoreBusy, StoreUnavailable
from wakeline.model.route import Environment, Lane
from wakeline.ports import (
    Acceptance,
    ApiKeys,
    Apps,
    Cancelled,
    Committed,
    Credentials,
    Devices,
    Events,
    Idempotency,
    IdempotencyKey,
    Ledger,
    NewCredential,
    Queue,
    Routes,
    StoreKeeper,
)
from wakeline.ports import Settings as SettingsPort
from wakeline.storage.sealing import Sealer
from wakeline.storage.sqlite import SqliteStore
from wakeline.storage.sqlite.disk import BALLAST

pytestmark = pytest.mark.anyio


def satisfies_the_ports(store: Store) -> None:
    """Assigning is the proof: mypy compares the shapes."""
    acceptance: Acceptance = store.acceptance
    idempotency: Idempotency = store.idempotency
    queue: Queue = store.queue
    ledger: Ledger = store.ledger
    events: Events = store.events
    devices: Devices = store.devices
    apps: Apps = store.apps
    credentials: Credentials = store.credentials
    routes: Routes = store.routes
    api_keys: ApiKeys = store.api_keys
    settings: SettingsPort = store.settings
    keeper: StoreKeeper = store.keeper
    assert all(
        (acceptance, idempotency, queue, ledger, events, devices, apps, credentials, routes, api_keys, settings, keeper)
    )


async def reopened(store: SqliteStore, clock: ToldClock) -> SqliteStore:
    await store.close()
    again = sqlite_store(store.path.parent, clock)
    await again.open()
    return again


async def test_has_the_shape_of_every_port(store: SqliteStore) -> None:
    satisfies_the_ports(store)


async def test_everything_survives_a_restart(store: SqliteStore, clock: ToldClock) -> None:
    app, route = await some_app(store), await some_route(store)
    (registered,) = await store.devices.put([claim(app)])
    await store.acceptance.accept([admission(key, job(key, route.id)) for key in (10, 11)])
    await store.queue.claim(route.id, Lane.ALERT, limit=1, now=NOW)
    await store.settings.set("a", "b")
    before = await store.events.last()

    again = await reopened(store, clock)

    assert again.apps.all() == [app]
    assert again.routes.all() == [route]
    assert await again.devices.get(app.id, "phone") == registered.device
    assert await again.settings.get("a") == "b"
    assert await again.events.last() == before
    assert await again.queue.pending() == 2
    claimed = await again.queue.claim(route.id, Lane.ALERT, limit=9, now=NOW)
    assert [item.notification for item in claimed] == [10, 11]
    await again.close()


async def test_what_a_credential_was_before_its_trial_survives_a_restart(store: SqliteStore, clock: ToldClock) -> None:
    app = await some_app(store)
    old = CredentialSecret(kind=CredentialKind.APNS_KEY, private_key=b"old", key_id="OLD")
    new = msgspec.structs.replace(old, private_key=b"new", key_id="NEW")
    facts = Credential(
        id=0, app=app.id, kind=CredentialKind.APNS_KEY, environments=(Environment.PRODUCTION,), key_id="OLD"
    )
    kept = await store.credentials.create(NewCredential(facts=facts, secret=old), NOW)
    await store.credentials.set_state(kept.id, CredentialState.WORKING, "")
    await store.credentials.replace(
        kept.id, NewCredential(facts=msgspec.structs.replace(facts, key_id="NEW"), secret=new), NOW
    )
    former = store.credentials.former(kept.id)

    again = await reopened(store, clock)

    assert again.credentials.former(kept.id) == former
    assert await again.credentials.secret(kept.id, former=True) == old
    assert await again.credentials.secret(kept.id) == new
    back = await again.credentials.revert(kept.id, "taken back")
    once_more = await reopened(again, clock)
    assert once_more.credentials.all() == [back]
    assert await once_more.credentials.secret(kept.id) == old
    assert once_more.credentials.former(kept.id) is None
    await once_more.close()


async def test_new_jobs_get_new_ids_after_a_restart(store: SqliteStore, clock: ToldClock) -> None:
    route = await some_route(store)
    await store.acceptance.accept([admission(10, job(10, route.id))])

    again = await reopened(store, clock)
    await again.acceptance.accept([admission(11, job(11, route.id))])

    claimed = await again.queue.claim(route.id, Lane.ALERT, limit=9, now=NOW)
    assert [item.notification for item in claimed] == [10, 11]
    await again.close()


async def test_a_request_that_died_with_the_process_can_be_repeated(store: SqliteStore, clock: ToldClock) -> None:
    key = IdempotencyKey(scope="s", key="k", fingerprint=b"f")
    await store.idempotency.begin(key, NOW)

    again = await reopened(store, clock)

    assert await again.idempotency.begin(key, NOW) == Committed()
    await again.close()


async def test_a_cancel_cut_short_by_a_crash_is_finished_at_the_next_start(
    store: SqliteStore, clock: ToldClock
) -> None:
    route = await some_route(store)
    await store.acceptance.accept([admission(10, job(10, route.id))])
    await store.queue.claim(route.id, Lane.ALERT, limit=1, now=NOW)
    assert await store.queue.cancel(10, NOW) == Cancelled(cancelled=0, in_flight=1)

    again = await reopened(store, clock)

    assert await again.queue.pending() == 0
    assert (await again.ledger.counts(10, NOW)).cancelled == 1
    await again.close()


async def test_forgetting_an_app_goes_on_after_a_crash(store: SqliteStore, clock: ToldClock) -> None:
    app, route = await some_app(store), await some_route(store)
    await store.devices.put([claim(app)])
    await store.acceptance.accept([admission(10, job(10, route.id))])
    await store.close()
    connection = sqlite3.connect(store.path)
    with connection:
        connection.execute("UPDATE app SET deleted = 1")
    connection.close()

    again = sqlite_store(store.path.parent, clock)
    await again.open()

    assert again.apps.all() == []
    assert again.routes.all() == []
    assert await again.queue.pending() == 0
    assert await again.devices.count(app.id, tags=[]) == 0
    await again.close()


async def test_secrets_are_sealed_in_the_file(store: SqliteStore) -> None:
    files = [store.path, store.devices_path]

    assert all(file.stat().st_mode & 0o777 == 0o600 for file in files)


async def test_second_owner_is_told_the_pid_of_the_first(store: SqliteStore) -> None:
    with pytest.raises(StoreBusy, match=f"pid {os.getpid()}"):
        await sqlite_store(store.path.parent).open()


async def test_another_process_may_not_own_it_too(store: SqliteStore) -> None:
    code = (
        "import sys; from pathlib import Path; from wakeline.storage.sqlite.lock import OwnerLock\n"
        "from wakeline.model.errors import StoreBusy\n"
        "try: OwnerLock(Path(sys.argv[1])).take()\n"
        "except StoreBusy as error: print(error.detail)\n"
    )
    run = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code, str(store.path.parent)], capture_output=True, text=True, check=True
    )

    assert f"pid {os.getpid()}" in run.stdout


async def test_a_failed_start_lets_the_directory_go(tmp_path: Path) -> None:
    first = sqlite_store(tmp_path)
    await first.open()
    await first.close()
    connection = sqlite3.connect(first.path)
    with connection:
        connection.execute("INSERT INTO migration VALUES (9999, 'future', 'x', 0)")
    connection.close()

    for _ in range(2):
        with pytest.raises(SchemaTooNew):
            await sqlite_store(tmp_path).open()


async def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "wakeline.db").write_bytes(b"This is no database at all. " * 100)

    with pytest.raises(StoreUnavailable):
        await sqlite_store(tmp_path).open()


class TestClaimCursors:
    async def test_a_claim_costs_what_it_claims(self, store: SqliteStore) -> None:
        route = await some_route(store)
        for start in range(0, 4000, 1000):
            await store.acceptance.accept([admission(key, job(key, route.id)) for key in range(start, start + 1000)])
        await store.queue.claim(route.id, Lane.ALERT, limit=2000, now=NOW)
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        reader = store.queue._reader._connection
        reader.set_progress_handler(count, 1)
        claimed = await store.queue.claim(route.id, Lane.ALERT, limit=5, now=NOW)
        await store.queue.due(NOW)
        reader.set_progress_handler(None, 0)

        assert [item.notification for item in claimed] == [2000, 2001, 2002, 2003, 2004]
        assert steps < 500

    async def test_many_given_back_are_found_again_in_order(
        self, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("wakeline.storage.sqlite.lanes.BEHIND_LIMIT", 10)
        route = await some_route(store)
        await store.acceptance.accept([admission(key, job(key, route.id)) for key in range(100)])
        claimed = await store.queue.claim(route.id, Lane.ALERT, limit=60, now=NOW)

        await store.queue.release([item.id for item in claimed if item.notification != 30])

        again = await store.queue.claim(route.id, Lane.ALERT, limit=200, now=NOW)
        assert [item.notification for item in again] == [key for key in range(100) if key != 30]

    async def test_what_a_transaction_takes_away_cannot_be_claimed_meanwhile(self, store: SqliteStore) -> None:
        route = await some_route(store)
        await store.acceptance.accept([admission(10, job(10, route.id))])

        cancelling = asyncio.ensure_future(store.queue.cancel(10, NOW))
        claims = []
        while not cancelling.done():
            claims += await store.queue.claim(route.id, Lane.ALERT, limit=1, now=NOW)
            await asyncio.sleep(0)

        cancelled = await cancelling
        assert cancelled.cancelled + len(claims) == 1


class Free:
    """A disk with as much room as a test says."""

    def __init__(self, free: int) -> None:
        self.free = free
        self.looks = 0

    def __call__(self, folder: Path) -> int:
        self.looks += 1
        return self.free


class TestLowDisk:
    LIMITS = Storage(ballast=65536, low_disk=1_000_000)

    async def open(self, folder: Path, clock: ToldClock, free: Free) -> SqliteStore:
        store = SqliteStore(
            folder / "wakeline.db", clock=clock, secrets=Sealer(b"m" * 32), settings=self.LIMITS, look_at_disk=free
        )
        await store.open()
        return store

    async def test_is_told_before_anything_breaks(self, tmp_path: Path, clock: ToldClock) -> None:
        free = Free(5_000_000)
        store = await self.open(tmp_path, clock, free)
        assert not store.keeper.health().low_disk

        free.free = 900_000
        assert not store.keeper.health().low_disk
        clock.time += 1000

        health = store.keeper.health()
        assert (health.low_disk, health.writable, health.disk_free) == (True, True, 900_000)
        assert (tmp_path / BALLAST).exists()
        await store.close()

    async def test_looks_at_the_disk_once_a_second(self, tmp_path: Path, clock: ToldClock) -> None:
        free = Free(5_000_000)
        store = await self.open(tmp_path, clock, free)
        before = free.looks

        for _ in range(50):
            store.keeper.health()

        assert free.looks <= before + 1
        await store.close()

    async def test_nearly_full_gives_up_the_ballast_and_takes_it_back_later(
        self, tmp_path: Path, clock: ToldClock
    ) -> None:
        free = Free(5_000_000)
        store = await self.open(tmp_path, clock, free)
        assert (tmp_path / BALLAST).stat().st_size == 65536

        free.free = 200_000
        clock.time += 1000
        store.keeper.health()
        assert not (tmp_path / BALLAST).exists()

        await store.keeper.checkpoint()
        assert not (tmp_path / BALLAST).exists()
        free.free = 5_000_000
        await store.keeper.checkpoint()
        assert (tmp_path / BALLAST).exists()
        await store.close()

    async def test_is_not_made_where_there_is_no_room(self, tmp_path: Path, clock: ToldClock) -> None:
        store = await self.open(tmp_path, clock, Free(1_000_000))

        assert not (tmp_path / BALLAST).exists()
        await store.close()


async def test_failed_commit_shows_in_health_for_a_while(store: SqliteStore) -> None:
    writer = store.queue._writer
    (pages,) = writer._connection.execute("PRAGMA page_count").fetchone()
    writer._connection.execute(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(StoreUnavailable):
        await store.settings.set("big", "x" * 1_000_000)
    health = store.keeper.health()
    assert not health.writable
    assert "full" in health.detail

    writer._connection.execute("PRAGMA max_page_count = 1000000")
    await store.settings.set("big", "x" * 1_000_000)
    assert store.keeper.health().writable


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MB, where this machine lets us mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Leave no block of a disk free."""
    with (folder / "filler").open("wb", buffering=0) as file:
        while file.write(bytes(4096)) == 4096:
            pass


async def test_on_a_full_disk_what_was_sent_is_still_settled(small_disk: Path, clock: ToldClock) -> None:
    store = sqlite_store(small_disk, clock, Storage(ballast=2 * 1024 * 1024, low_disk=0))
    await store.open()
    await some_app(store)
    route = await some_route(store)
    await store.acceptance.accept([admission(key, job(key, route.id)) for key in range(1, 1000)])
    jobs = await store.queue.claim(route.id, Lane.ALERT, limit=1000, now=NOW)
    with pytest.raises(OSError, match="No space"):
        fill(small_disk)

    await store.queue.settle(accepted(*jobs))

    assert not (small_disk / BALLAST).exists()
    assert await store.queue.pending() == 0
    assert (await store.ledger.counts(1, NOW)).accepted == 1
    with pytest.raises(StoreUnavailable, match="full"):
        await store.acceptance.accept([admission(key, job(key, route.id)) for key in range(1000, 10_000)])
    (small_disk / "filler").unlink()
    await store.acceptance.accept([admission(key, job(key, route.id)) for key in range(1000, 2000)])
    await store.close()


ACCEPTING = """
import asyncio, sys
from pathlib import Path
from storing import admission, job, some_app, some_route, sqlite_store

async def main():
    store = sqlite_store(Path(sys.argv[1]))
    await store.open()
    await some_app(store)
    route = await some_route(store)
    key = await store.ledger.newest()
    while True:
        calls = [store.acceptance.accept([admission(key + n, job(key + n, route.id))]) for n in range(1, 6)]
        await asyncio.gather(*calls)
        key += 5
        print("kept", key, flush=True)

asyncio.run(main())
"""


@pytest.mark.faults
async def test_nothing_accepted_is_lost_when_the_process_is_killed(tmp_path: Path, clock: ToldClock) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    for round_number in range(4):
        child = subprocess.Popen(  # noqa: ASYNC220 - it is started before anything waits
            [sys.executable, "-c", ACCEPTING, str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
        )
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(5 + 11 * round_number)]
        time.sleep(0.0007 * round_number)  # noqa: ASYNC251 - the kill has to come at no particular point of a commit
        child.send_signal(signal.SIGKILL)
        said += child.stdout.readlines()
        child.stdout.close()
        child.wait(10)
        promised = max(int(line.split()[1]) for line in said if line.startswith("kept ") and line.endswith("\n"))

        store = sqlite_store(tmp_path, clock)
        await store.open()
        kept = await store.ledger.notifications(list(range(1, promised + 1)))
        assert len(kept) == promised
        assert await store.queue.pending() >= promised
        route = await some_route(store)
        claimed = await store.queue.claim(route.id, Lane.ALERT, limit=1_000_000, now=NOW + HOUR)
        assert len({item.notification for item in claimed}) == len(claimed) == await store.queue.pending()
        await store.close()
