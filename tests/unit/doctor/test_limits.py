"""Limits and debug windows under the doctor's eyes."""

from __future__ import annotations

import msgspec
import pytest

from stories.world import World
from unit.doctor.clinic import line, ports_in
from wakeline.config import Limits, Settings
from wakeline.config.tree import Debug
from wakeline.doctor import debugging, limits
from wakeline.model.app import AppSettings

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world() -> World:
    world = await World(Settings(limits=Limits(alert_burst=1))).open()
    await world.device("ios-1", "alice", "apns:a1")
    return world


async def test_limits_that_nobody_reached_are_fine_and_those_that_were_name_who_and_until_when(world: World) -> None:
    before = await line(limits.look, ports_in(world), "limits of acme")
    await world.send("alice")
    status, cause, _ = await line(limits.look, ports_in(world), "limits of acme")

    assert before[:2] == ("ok", "No user has reached a limit.")
    assert status == "ok"
    assert cause.startswith("1 user had as many pushes as they may for now, such as alice (alert until 2026-11-18 ")


async def test_a_user_who_is_limited_is_a_warning_and_another_is_fine(world: World) -> None:
    await world.send("alice")
    alice = await line(limits.look, ports_in(world, user="alice"), "limits of user alice in acme")
    bob = await line(limits.look, ports_in(world, user="bob"), "limits of user bob in acme")

    assert (alice[0], bob[0]) == ("warning", "ok")
    assert "alert until" in alice[1]
    assert "collapse_id" in alice[2]


async def test_limits_that_are_off_say_by_what(world: World) -> None:
    await world.change_app(settings=AppSettings(limits=False))
    of_app = await line(limits.look, ports_in(world), "limits of acme")
    world.parts.settings = msgspec.structs.replace(world.settings, limits=Limits(per_user=False))
    await world.change_app(settings=AppSettings())
    of_all = await line(limits.look, ports_in(world), "limits of acme")

    assert "setting `limits` is off" in of_app[1]
    assert "[limits] per_user is off" in of_all[1]


async def test_an_open_debug_window_is_a_warning_that_says_its_end_and_its_cost(world: World) -> None:
    before = await line(debugging.look, ports_in(world), "debug windows")
    await world.pipeline.debug.open(world.app)
    status, cause, fix = await line(debugging.look, ports_in(world), "debug window of acme")

    assert before[0] == "ok"
    assert status == "warning"
    assert "0 requests so far, 0 ms" in cause
    assert fix.startswith("`wakeline app debug off acme`")


async def test_a_window_without_an_end_says_so() -> None:
    world = await World(Settings(debug=Debug(unlimited=True))).open()
    await world.pipeline.debug.open(world.app)

    assert "without end" in (await line(debugging.look, ports_in(world), "debug window of acme"))[1]
