"""What devices said of themselves, under the doctor's eyes."""

from __future__ import annotations

import pytest

from stories.world import World
from unit.doctor.clinic import line, ports_in
from wakeline.doctor import registered
from wakeline.doctor.checking import DAY
from wakeline.model.device import DeviceFacts

pytestmark = pytest.mark.anyio
OFF, ON = DeviceFacts(notifications_enabled=False), DeviceFacts(notifications_enabled=True)


@pytest.fixture
async def world() -> World:
    return await World().open()


async def said(world: World, name: str, *, user: str = "") -> tuple[str, str, str]:
    return await line(registered.look, ports_in(world, user=user), name)


async def test_devices_that_say_nothing_of_themselves_are_skipped(world: World) -> None:
    await world.device("ios-1", "alice", "apns:a1")

    assert (await said(world, "phones of acme"))[0] == "skipped"


@pytest.mark.parametrize(("off", "on", "status"), [(1, 9, "ok"), (5, 5, "warning"), (2, 1, "ok")])
async def test_what_some_people_switch_off_is_taste_and_what_many_do_is_told(
    world: World, off: int, on: int, status: str
) -> None:
    for number in range(off):
        await world.device(f"off-{number}", f"o{number}", f"apns:0f{number}", facts=OFF)
    for number in range(on):
        await world.device(f"on-{number}", f"n{number}", f"apns:0a{number}", facts=ON)
    found, cause, fix = await said(world, "phones of acme")

    assert (found, bool(fix)) == (status, status == "warning")
    assert ("notifications are switched off" in cause) is (status == "warning")


async def test_of_a_user_each_device_is_named_with_what_it_told(world: World) -> None:
    await world.android()
    await world.device("ios-1", "alice", "apns:a1", facts=DeviceFacts(low_power=True))
    await world.device("pixel", "alice", "fcm:abcdefgh:APA91bxyz")
    before = await said(world, "phones of user alice in acme", user="alice")
    world.clock.advance(3 * DAY / 1000)
    status, cause, _ = await said(world, "phones of user alice in acme", user="alice")

    assert (before[0], status) == ("warning", "warning")
    assert "ios-1: The device said that it is in Low Power Mode" in cause
    assert ("pixel" in before[1], "pixel: The app was last heard of 3 days ago" in cause) == (False, True)


async def test_of_a_user_whose_devices_are_well_nothing_is_said(world: World) -> None:
    await world.device("ios-1", "alice", "apns:a1", facts=ON)

    assert (await said(world, "phones of user alice in acme", user="alice"))[0] == "ok"
