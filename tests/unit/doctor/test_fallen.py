"""Tokens in quarantine under the doctor's eyes: some are as it is, many are a wrong setting."""

from __future__ import annotations

import pytest

from stories.world import World
from unit.doctor.clinic import line, ports_in
from wakeline.doctor import fallen
from wakeline.model.device import TargetState
from wakeline.ports import TargetVerdict

pytestmark = pytest.mark.anyio
NAME = "fallen tokens of acme"


@pytest.fixture
async def world() -> World:
    return await World().open()


async def test_an_app_without_tokens_is_skipped(world: World) -> None:
    assert (await line(fallen.look, ports_in(world), NAME))[0] == "skipped"


@pytest.mark.parametrize(("doubted", "active", "status"), [(19, 5, "ok"), (20, 190, "ok"), (20, 30, "warning")])
async def test_many_doubted_tokens_are_a_warning_that_says_how_to_take_it_back(
    world: World, doubted: int, active: int, status: str
) -> None:
    for number in range(doubted + active):
        device = await world.device(f"ios-{number}", f"u{number}", f"apns:{number:04x}")
        if number < doubted:
            verdict = TargetVerdict(
                target=device.targets[0].id,
                state=TargetState.QUARANTINED,
                reason="BadDeviceToken",
                at=world.clock.now() + 1,
            )
            await world.store.devices.judge([verdict])
    found, cause, fix = await line(fallen.look, ports_in(world), NAME)

    assert (found, f"{doubted} in quarantine" in cause) == (status, True)
    assert ("wakeline brake undo" in fix) is (status == "warning")
