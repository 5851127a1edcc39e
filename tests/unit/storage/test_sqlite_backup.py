from __future__ import annotations

import asyncio
import io
import tarfile
from pathlib import Path

import pytest

from storing import NOW, ToldClock, admission, claim, job, some_app, some_route, sqlite_store
from wakeline.model.errors import Conflict, InvalidRequest, StoreBusy
from wakeline.model.event import Event, EventType
from wakeline.model.route import Lane
from wakeline.ports import HOLD_NEW_ROUTES, RESTORED_AT
from wakeline.storage.sqlite import SqliteStore
from wakeline.storage.sqlite.backup import backup, read_manifest, restore

pytestmark = pytest.mark.anyio


async def filled(store: SqliteStore) -> None:
    app, route = await some_app(store), await some_route(store)
    await store.devices.put([claim(app, f"d{number}", tokens=(f"t{number}",)) for number in range(3)])
    await store.acceptance.accept([admission(10, job(10, route.id))])


async def take(store: SqliteStore, to: Path) -> Path:
    await backup(store.path, store.devices_path, to, now=NOW)
    return to


async def opened(folder: Path, clock: ToldClock) -> SqliteStore:
    store = sqlite_store(folder, clock)
    await store.open()
    return store


def put_back(source: Path, folder: Path, *, force: bool = False) -> None:
    restore(source, folder / "wakeline.db", folder / "devices.db", now=NOW + 5, force=force)


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.startswith(".")]


async def test_brings_everything_back(store: SqliteStore, tmp_path: Path, clock: ToldClock) -> None:
    await filled(store)
    file = await take(store, tmp_path / "store.backup")

    put_back(file, tmp_path / "new")

    again = await opened(tmp_path / "new", clock)
    app = await some_app(again)
    assert app == store.apps.get("acme-chat")
    assert await again.devices.count(app.id, tags=[]) == 3
    assert await again.ledger.notification(10) == await store.ledger.notification(10)
    assert await again.queue.pending() == 1
    await again.close()


async def test_says_what_is_in_it(store: SqliteStore, tmp_path: Path) -> None:
    await filled(store)
    file = await take(store, tmp_path / "store.backup")

    manifest = read_manifest(file)

    assert manifest.taken_at == NOW
    assert manifest.parts["main"].counts["notification"] == 1
    assert manifest.parts["devices"].counts == {"device": 3, "target": 3}
    assert manifest.parts["main"].schema >= 1
    assert file.stat().st_mode & 0o777 == 0o600
    assert leftovers(tmp_path) == []


async def test_is_one_moment_of_a_store_that_goes_on(store: SqliteStore, tmp_path: Path, clock: ToldClock) -> None:
    route = await some_route(store)
    written = 0
    done = False
    started = asyncio.Event()

    async def go_on_writing() -> None:
        nonlocal written
        while not done:
            written += 1
            await store.acceptance.accept([admission(written, job(written, route.id))])
            if written == 20:
                started.set()

    writing = asyncio.ensure_future(go_on_writing())
    await started.wait()
    before = after = written
    while after == before:  # nothing may come to be written while a copy is made
        before = written
        file = await take(store, tmp_path / "store.backup")
        after = written
    done = True
    await writing

    put_back(file, tmp_path / "new")
    again = await opened(tmp_path / "new", clock)
    kept = await again.queue.pending()
    assert before - 1 <= kept <= after
    assert len(await again.ledger.notifications(list(range(1, written + 1)))) == kept
    await again.close()


async def test_restored_store_is_held_until_its_operator_releases_it(
    store: SqliteStore, tmp_path: Path, clock: ToldClock
) -> None:
    await filled(store)
    put_back(await take(store, tmp_path / "store.backup"), tmp_path / "new")

    again = await opened(tmp_path / "new", clock)

    assert await again.settings.get(RESTORED_AT) == str(NOW + 5)
    old, new = await some_route(again), await some_route(again, "com.acme.other")
    assert old.hold is not None
    assert new.hold is not None
    counts = await again.ledger.counts(10, NOW)
    assert (counts.held, counts.pending) == (1, 0)

    for route in again.routes.all():
        await again.routes.hold(route.id, None)
    await again.settings.set(HOLD_NEW_ROUTES, None)
    assert (await again.ledger.counts(10, NOW)).pending == 1
    assert (await some_route(again, "com.acme.third")).hold is None
    assert len(await again.queue.claim(old.id, Lane.ALERT, limit=1, now=NOW)) == 1
    await again.close()


@pytest.mark.parametrize("before", [0, 3])
async def test_gives_no_event_the_number_of_one_that_was_lost(
    store: SqliteStore, tmp_path: Path, clock: ToldClock, before: int
) -> None:
    event = Event(type=EventType.PUSH_FAILED, at=NOW)
    await store.events.append([event] * before)
    file = await take(store, tmp_path / "store.backup")
    await store.events.append([event] * 50)

    put_back(file, tmp_path / "new")

    again = await opened(tmp_path / "new", clock)
    await again.events.append([event])
    kept = [each.seq for each in await again.events.read(after=0)]
    assert kept[:-1] == list(range(1, before + 1))
    assert kept[-1] > await store.events.last()
    await again.close()


async def test_refuses_a_store_that_is_not_empty_unless_forced(
    store: SqliteStore, tmp_path: Path, clock: ToldClock
) -> None:
    await filled(store)
    file = await take(store, tmp_path / "store.backup")
    other = await opened(tmp_path / "other", clock)
    await some_app(other, "lost")
    await other.close()

    with pytest.raises(Conflict):
        put_back(file, tmp_path / "other")
    put_back(file, tmp_path / "other", force=True)

    again = await opened(tmp_path / "other", clock)
    assert [app.slug for app in again.apps.all()] == ["acme-chat"]
    await again.close()


async def test_refuses_a_store_in_use(store: SqliteStore, tmp_path: Path) -> None:
    file = await take(store, tmp_path / "store.backup")

    with pytest.raises(StoreBusy):
        put_back(file, store.path.parent, force=True)


async def test_refuses_what_is_no_backup_or_was_changed(store: SqliteStore, tmp_path: Path) -> None:
    await filled(store)
    whole = (await take(store, tmp_path / "store.backup")).read_bytes()
    foreign = io.BytesIO()
    with tarfile.open(fileobj=foreign, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("holiday.jpg"))
    spot = whole.index(b"acme-chat", 4096)
    bad = {
        "text": b"no tar at all",
        "foreign": foreign.getvalue(),
        "short": whole[: len(whole) // 2],
        "changed": whole[:spot] + b"evil" + whole[spot + 4 :],
    }

    for name, content in bad.items():
        file = tmp_path / name
        file.write_bytes(content)
        with pytest.raises(InvalidRequest):
            put_back(file, tmp_path / "new")
        assert not (tmp_path / "new" / "wakeline.db").exists()
