"""Backups under the doctor's eyes: none, a fresh one, one that is too old."""

from __future__ import annotations

import pytest

from stories.world import World
from unit.doctor.clinic import line, ports_in
from wakeline.doctor import backups
from wakeline.doctor.checking import DAY
from wakeline.ports import BACKED_UP_AT
from wakeline.storage.memory.keeper import MemoryKeeper

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world() -> World:
    return await World().open()


@pytest.mark.parametrize(
    ("days", "status", "words"),
    [(0, "ok", "less than a minute old"), (6, "ok", "6 days old"), (8, "warning", "8 days old")],
)
async def test_a_backup_grows_old(world: World, days: int, status: str, words: str) -> None:
    await world.store.settings.set(BACKED_UP_AT, str(world.clock.now() - days * DAY))
    found, cause, fix = await line(backups.look, ports_in(world), "backup")

    assert (found, words in cause) == (status, True)
    assert ("wakeline backup" in fix) is (status == "warning")


async def test_a_store_that_was_never_copied_is_a_warning(world: World) -> None:
    found, cause, fix = await line(backups.look, ports_in(world), "backup")

    assert (found, "never" in cause, "master key" in fix) == ("warning", True, True)


async def test_what_is_in_memory_needs_no_backup(world: World) -> None:
    assert (await line(backups.look, ports_in(world, MemoryKeeper().health()), "backup"))[0] == "skipped"
