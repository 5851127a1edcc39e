"""The client for connected portals is swapped under requests that go on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from connected_portal import connected
from wakeline.service.connected import PortalHttp
from wakeline.simulator.portal.memory import WEBHOOK_CODE
from wakeline.simulator.script import ScriptedAnswer

pytestmark = pytest.mark.anyio


@pytest.fixture
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # One authority for all tests that have a portal: making one takes longer than most of them.
    folder = tmp_path_factory.getbasetemp() / "portal-simulator"
    folder.mkdir(exist_ok=True)
    return folder


async def test_a_request_that_is_under_way_gets_its_answer_although_other_settings_come(state: Path) -> None:
    async with connected(state) as world:
        settings = world.settings.bitrix24
        other = msgspec.structs.replace(settings, connected_hosts=("other.test",))
        url = f"{world.portal.origin}/rest/1/{WEBHOOK_CODE}/profile"
        world.script("profile", ScriptedAnswer(delay_ms=200))
        http = PortalHttp(settings)
        asked = asyncio.create_task(http.post(url, b"{}", {"content-type": "application/json"}, timeout=10))
        for _ in range(5_000):
            await asyncio.sleep(0.001)
            if world.requests("profile"):
                break

        http.apply(other)

        assert (await asked).status == 200
        http.apply(settings)
        assert (await http.post(url, b"{}", {}, timeout=10)).status == 200
        await http.close()
