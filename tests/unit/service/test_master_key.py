"""Changing the master key: what it leaves behind, who may, and that no moment of dying loses a secret."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

import dying
from processes import environment
from storing import NOW, ToldClock
from wakeline.config import Settings, Storage
from wakeline.config.tree import SecretsSection
from wakeline.edges.rest.device_token import LONGEST_TTL
from wakeline.model.errors import ConfigError, Conflict, NotFound, StoreUnavailable
from wakeline.ports import NewCredential
from wakeline.service import store_care
from wakeline.service.master_key import Keys, MasterKey
from wakeline.storage.keyring import Keyring, open_keyring, write
from wakeline.storage.sealing import id_of
from wakeline.storage.sqlite import SqliteStore

pytestmark = pytest.mark.anyio
TESTS = Path(dying.__file__).parent


class Opened(msgspec.Struct):
    """An open store and its master key."""

    path: Path
    store: SqliteStore
    keys: Keys
    master_key: MasterKey
    clock: ToldClock


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    await dying.furnish(tmp_path)
    return tmp_path


@pytest.fixture
async def opened(folder: Path) -> AsyncIterator[Opened]:
    store, keys = dying.store_in(folder)
    await store.open()
    clock = ToldClock()
    yield Opened(folder / "master.key", store, keys, MasterKey(keys, store.seals.renew, clock), clock)
    await store.close()


async def test_everything_is_sealed_anew_and_opens(opened: Opened) -> None:
    old = opened.keys.key_id

    done = await opened.master_key.rotate()

    assert done.resealed == dying.SEALED
    assert done.former == (old,)
    assert done.key == opened.keys.key_id != old
    assert await opened.store.credentials.secret(1) == dying.secret(100)
    assert await opened.store.credentials.secret(1, former=True) == dying.secret(0)
    assert opened.store.seals.stale() == 0


async def test_what_is_sealed_after_the_change_needs_the_new_key(opened: Opened) -> None:
    await opened.master_key.rotate()
    new = NewCredential(facts=opened.store.credentials.all()[1], secret=dying.secret(7))

    await opened.store.credentials.replace(2, new, NOW)

    assert opened.store.seals.stale() == 0
    assert await opened.store.credentials.secret(2) == dying.secret(7)


async def test_the_next_start_needs_only_the_new_key(opened: Opened) -> None:
    await opened.master_key.rotate()
    await opened.store.close()
    write(opened.path, Keyring(open_keyring(opened.path).current))

    assert await dying.judge(opened.path.parent) == ""


async def test_former_keys_are_kept_as_long_as_a_device_token_may_live(opened: Opened) -> None:
    first = opened.keys.key_id
    second = (await opened.master_key.rotate()).key
    opened.clock.time += LONGEST_TTL * 1000 - 1

    assert (await opened.master_key.rotate()).former == (second, first)
    opened.clock.time += 2
    assert first not in (await opened.master_key.rotate()).former


async def test_a_key_that_still_seals_something_is_never_dropped(opened: Opened) -> None:
    async def refused() -> int:
        raise StoreUnavailable("the disk is full")

    with pytest.raises(StoreUnavailable):
        await MasterKey(opened.keys, refused, opened.clock).rotate()
    assert opened.store.seals.stale() > 0
    opened.clock.time += LONGEST_TTL * 1000 + 1

    await opened.master_key.rotate()

    assert opened.store.seals.stale() == 0
    assert await opened.store.credentials.secret(1) == dying.secret(100)


async def test_a_revoked_key_is_kept_nowhere(opened: Opened) -> None:
    before = open_keyring(opened.path).current

    done = await opened.master_key.rotate(revoke_old=True)

    assert done.former == ()
    assert base64.b64encode(before) not in opened.path.read_bytes()
    assert len(opened.keys.accepted("device-token")) == 1
    assert sorted(path.name for path in opened.path.parent.glob("*master*")) == ["master.key"]


async def test_a_key_that_is_given_is_used_once(opened: Opened) -> None:
    key = b"g" * 32

    assert (await opened.master_key.rotate(key)).key == id_of(key)
    with pytest.raises(Conflict, match="already"):
        await opened.master_key.rotate(key)


async def test_a_file_that_somebody_else_changed_is_left_alone(opened: Opened) -> None:
    write(opened.path, Keyring(b"s" * 32))

    with pytest.raises(Conflict, match=id_of(b"s" * 32)):
        await opened.master_key.rotate()

    assert open_keyring(opened.path).current == b"s" * 32


async def test_a_file_that_cannot_be_written_changes_nothing(opened: Opened) -> None:
    before = opened.keys.key_id
    (opened.path.parent / ".master.key.new").mkdir()

    with pytest.raises(Conflict, match="cannot be written"):
        await opened.master_key.rotate()

    assert opened.keys.key_id == before == id_of(open_keyring(opened.path).current)


async def test_a_key_of_the_environment_is_changed_there(folder: Path) -> None:
    old = (folder / "master.key").read_text().strip()
    new = base64.b64encode(b"n" * 32).decode()
    for value in (old, f"{new},{old}", new):
        keys = Keys(SecretsSection(master_key=value, master_key_file="/nowhere"), create=False)
        store = SqliteStore(folder / "wakeline.db", clock=ToldClock(), secrets=keys)
        await store.open()
        try:
            assert await store.credentials.secret(1) == dying.secret(100)
            with pytest.raises(Conflict, match="only you"):
                await MasterKey(keys, store.seals.renew, ToldClock()).rotate()
        finally:
            await store.close()


async def test_the_key_of_another_store_is_named_and_the_store_stays_as_it_was(folder: Path) -> None:
    right = (folder / "master.key").read_bytes()
    belongs = id_of(open_keyring(folder / "master.key").current)
    (folder / "master.key").write_bytes(base64.b64encode(b"x" * 32))

    with pytest.raises(ConfigError, match=belongs) as caught:
        await dying.judge(folder)

    assert id_of(b"x" * 32) in caught.value.detail
    (folder / "master.key").write_bytes(right)
    assert await dying.judge(folder) == ""


def _settings(folder: Path) -> Settings:
    secrets = SecretsSection(master_key_file=str(folder / "master.key"))
    return Settings(storage=Storage(url=f"sqlite:///{folder / 'wakeline.db'}"), secrets=secrets)


@pytest.mark.parametrize("lost", ["absent", "another"])
async def test_a_store_whose_key_is_lost_begins_anew_without_credentials(folder: Path, lost: str) -> None:
    (folder / "master.key").unlink()
    if lost == "another":
        open_keyring(folder / "master.key")

    done = store_care.forget_secrets(_settings(folder))

    assert done.credentials == dying.CREDENTIALS
    store, keys = dying.store_in(folder)
    await store.open()
    assert keys.key_id == done.key
    assert store.credentials.all() == []
    assert store.apps.get("acme-chat") is not None
    await store.close()


async def test_secrets_are_not_forgotten_while_their_key_is_there(folder: Path) -> None:
    with pytest.raises(Conflict, match="nothing is lost"):
        store_care.forget_secrets(_settings(folder))
    with pytest.raises(NotFound):
        store_care.forget_secrets(_settings(folder / "nowhere"))


def test_no_moment_of_dying_loses_a_secret(tmp_path: Path) -> None:
    """Killed before and after each system call and statement, and at each of the start that has to finish the work."""
    done = subprocess.run(
        [sys.executable, dying.__file__, str(tmp_path)],
        env=environment({"PYTHONPATH": str(TESTS)}),
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)

    assert found["rotate"]["wrong"] == found["start"]["wrong"] == []
    assert found["rotate"]["deaths"] > 40
    assert found["rotate"]["former"] == [0, 1]  # it died before and after the old key was there
    assert found["start"]["deaths"] > 20
