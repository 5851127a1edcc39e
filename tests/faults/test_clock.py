"""A clock that is an hour off: Apple refuses our token; the route is held, nothing burns, and the cause is named."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from acme import APP
from processes import PATIENCE, Gateway
from processes import Simulator as Running
from traffic import SEND, Make, notification, register
from wakeline.simulator import Simulator

pytestmark = [pytest.mark.faults, pytest.mark.anyio]

HOUR = 3600.0


class Offset:
    """A clock that can be put wrong (Unix seconds)."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return time.time() + self.seconds


@pytest.fixture
def clock() -> Offset:
    return Offset()


@pytest.fixture
async def fake(tmp_path: Path, clock: Offset) -> AsyncIterator[Running]:
    """Stand-ins in this process, whose clock is ours to move: to Apple, it is our clock that is off."""
    async with Simulator(state_dir=tmp_path / "simulator", clock=clock) as running:
        ready = running.ready()
        yield Running(**{name: str(ready[name]) for name in Running.__struct_fields__ if name in ready})


async def wait(http: httpx2.AsyncClient, path: str, state: str) -> dict[str, Any]:
    """Ask until a notification is in this state."""
    with anyio.fail_after(PATIENCE):
        while True:
            found: dict[str, Any] = (await http.get(path)).json()
            if found["state"] == state:
                return found
            await anyio.sleep(0.05)


def registered(gateway: Gateway) -> None:
    with gateway.client() as http:
        register(http, 3)


@pytest.mark.parametrize("offset", [HOUR * 1.5, -HOUR * 1.5])
async def test_a_clock_that_is_off_holds_the_route_and_burns_nothing(
    fake: Running, make: Make, clock: Offset, offset: float
) -> None:
    clock.seconds = offset
    gateway: Gateway = await anyio.to_thread.run_sync(make, fake)
    key = await anyio.to_thread.run_sync(lambda: gateway.json("key", "create", "--scope", "admin")["key"])
    headers = {"authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(base_url=gateway.address, headers=headers, trust_env=False, timeout=30) as http:
        await anyio.to_thread.run_sync(registered, gateway)
        ids = [(await http.post(SEND, json=notification(number, 3))).json()["id"] for number in range(3)]
        for one in ids:
            await wait(http, f"{SEND}/{one}", "held")
        explained = (await http.get(f"{SEND}/{ids[0]}/explain")).json()
        assert "clock" in f"{explained['cause']} {explained['fix']}"
        devices = (await http.get(f"/v1/apps/{APP}/devices")).json()["devices"]
        assert {target["state"] for device in devices for target in device["targets"]} == {"active"}

        clock.seconds = 0.0
        (credential,) = [
            one
            for one in (await http.get(f"/v1/apps/{APP}/credentials")).json()["credentials"]
            if one["kind"] == "apns_key"
        ]
        checked = await http.post(f"/v1/apps/{APP}/credentials/{credential['id']}/check")
        assert checked.json()["ok"], checked.text
        for one in ids:
            done = await wait(http, f"{SEND}/{one}", "done")
            assert done["counts"]["accepted"] == 1
