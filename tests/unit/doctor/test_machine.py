"""Disk, write-ahead log, clock and public_url: each as it should be, and each gone wrong."""

from __future__ import annotations

import pytest

from stories.post import REVOKED
from stories.world import World
from unit.doctor.clinic import ROOMY, line, ports_in
from unit.edges.rest.gateway import Outlook
from wakeline.config import Server, Settings
from wakeline.doctor import machine
from wakeline.model.bitrix24.broker import PortalKey, key_digest
from wakeline.model.errors import AddressRefused, ConnectFailed, TransportError
from wakeline.ports import StoreHealth
from wakeline.storage.memory.keeper import MemoryKeeper

pytestmark = pytest.mark.anyio
MIB = machine.MIB


@pytest.fixture
async def world() -> World:
    return await World().open()


@pytest.mark.parametrize(
    ("health", "status", "words"),
    [
        (ROOMY, "ok", "MiB are free"),
        (StoreHealth(writable=True, disk_free=512 * MIB), "warning", "512 MiB are free"),
        (StoreHealth(writable=True, disk_free=10 * MIB, low_disk=True), "failed", "nothing is accepted"),
        (MemoryKeeper().health(), "skipped", "no disk"),
    ],
)
async def test_a_disk_is_told_before_and_when_it_is_full(
    world: World, health: StoreHealth, status: str, words: str
) -> None:
    found, cause, fix = await line(machine.disk, ports_in(world, health), "disk")

    assert (found, words in cause) == (status, True)
    assert bool(fix) == (status in {"warning", "failed"})


@pytest.mark.parametrize(
    ("health", "status"),
    [
        (ROOMY, "ok"),
        (StoreHealth(writable=True, disk_free=1 << 40, wal_bytes=300 * MIB), "warning"),
        (MemoryKeeper().health(), "skipped"),
    ],
)
async def test_a_log_that_is_not_folded_is_told(world: World, health: StoreHealth, status: str) -> None:
    found, _, fix = await line(machine.write_ahead, ports_in(world, health), "write-ahead log")

    assert (found, bool(fix)) == (status, status == "warning")


async def test_a_clock_that_nobody_complains_of_is_skipped(world: World) -> None:
    found, cause, _ = await line(machine.clock, ports_in(world), "clock")

    assert found == "skipped"
    assert "No push service has complained" in cause


async def test_a_clock_that_went_back_behind_what_is_kept_is_told(world: World) -> None:
    await world.store.apps.create("later", "Later", world.clock.now() + 7_200_000)

    found, cause, fix = await line(machine.clock, ports_in(world), "clock")

    assert (found, "2 hours in the future" in cause, "NTP" in fix) == ("warning", True, True)


async def test_a_refused_signature_makes_the_clock_suspect(world: World) -> None:
    await world.device("ios-1", "alice")
    world.apple.to_all = REVOKED
    await world.send("alice")
    await world.run()

    found, cause, fix = await line(machine.clock, ports_in(world), "clock")

    assert found == "warning"
    assert "a wrong clock would explain it, as a bad credential does" in cause
    assert "if it is right, it is the credential" in fix


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("", "warning"),
        ("https://localhost:8750", "warning"),
        ("http://127.0.0.1", "warning"),
        ("https://push.example.org", "ok"),
    ],
)
async def test_a_portal_needs_an_address_that_it_can_reach(url: str, status: str) -> None:
    world = await World(Settings(server=Server(public_url=url))).open()
    await world.store.portal_keys.bind(PortalKey(id=0, app=world.app.id, digest=key_digest("k"), ending="k"))

    found, cause, fix = await line(machine.public_url, ports_in(world), "public_url")

    assert (found, bool(fix)) == (status, status == "warning")
    assert url in cause


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (ConnectFailed("push.example.org:443: no connection"), "does not answer to us"),
        (AddressRefused("push.example.org resolves to 10.0.0.7"), "Portals outside do not reach"),
    ],
)
async def test_an_address_at_which_nobody_answers_is_told(failure: TransportError, words: str) -> None:
    world = await World(Settings(server=Server(public_url="https://push.example.org/wake"))).open()
    outlook = Outlook()
    outlook.failures["push.example.org"] = failure
    status, cause, fix = await line(machine.public_url, ports_in(world, outlook=outlook), "public_url")

    assert (status, words in cause, bool(fix)) == ("warning", True, True)
    assert failure.detail in cause


async def test_an_address_without_tls_is_not_asked() -> None:
    world = await World(Settings(server=Server(public_url="http://push.example.org"))).open()
    outlook = Outlook()

    assert (await line(machine.public_url, ports_in(world, outlook=outlook), "public_url"))[0] == "ok"
    assert outlook.asked == []


async def test_without_a_portal_nobody_asks_for_an_address(world: World) -> None:
    assert (await line(machine.public_url, ports_in(world), "public_url"))[0] == "skipped"
