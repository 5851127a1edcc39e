"""A whole gateway on a disk: a call that rings by a POST stands in a portal's record of calls, and ends there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from wakeline.config import Bitrix24, SecretsSection, Server, Settings, Storage
from wakeline.edges.rest import ADMIN_MARK
from wakeline.model.bitrix24.installation import Installation, InstallationState, WebhookAccess
from wakeline.service import wiring
from wakeline.service.wiring import Gateway
from wakeline.simulator import Simulator
from wakeline.simulator.portal.memory import WEBHOOK_CODE

pytestmark = pytest.mark.anyio

CALLS = "/v1/apps/acme/calls"
SENDING = "/v1/apps/acme/notifications"
RINGING = {"to": {"users": ["p:3"]}, "call": {"id": "c1", "caller": "+4930123456"}}
_SECONDS = 20.0


class Office:
    """A gateway, a portal that is connected to it, and the operator."""

    def __init__(self, gateway: Gateway, simulator: Simulator, client: httpx2.AsyncClient) -> None:
        self.gateway = gateway
        self.simulator = simulator
        self.client = client

    @property
    def calls(self) -> list[dict[str, Any]]:
        """The portal's own record of calls."""
        return list(self.simulator.state.portal.calls.values())

    async def said(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        answer = await self.client.request(method, path, json=body)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def connect(self) -> None:
        """Connect the portal to an app."""
        await self.said("POST", "/v1/apps", {"id": "acme"})
        origin = self.simulator.state.portal.origin
        await self.gateway._portal.connector._installations.create(
            Installation(
                id=0,
                name="portal",
                app=1,
                access=WebhookAccess(url=f"{origin}/rest/1/{WEBHOOK_CODE}/"),
                client_endpoint=f"{origin}/rest/",
                prefix="p:",
                telephony=True,
                state=InstallationState.ACTIVE,
            )
        )

    @contextlib.asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Have the gateway do what it has to."""
        await self.gateway.start()
        try:
            yield
        finally:
            await self.gateway.drain(1.0)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return once this holds."""
        async with asyncio.timeout(_SECONDS):
            while not holds():  # noqa: ASYNC110 - a portal tells nobody what it was told
                await asyncio.sleep(0.005)


def _settings(directory: Path, ca_file: str) -> Settings:
    return Settings(
        server=Server(data_dir=str(directory)),
        storage=Storage(url=f"sqlite:///{directory}/wakeline.db", ballast=0, low_disk=0),
        secrets=SecretsSection(master_key_file=f"{directory}/master.key"),
        bitrix24=Bitrix24(connected_hosts=("localhost", "127.0.0.1"), connected_ca_file=ca_file),
    )


def _operator(gateway: Gateway) -> httpx2.AsyncClient:
    async def marked(scope: Any, receive: Any, send: Any) -> None:
        scope[ADMIN_MARK] = True
        await gateway.app(scope, receive, send)

    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=marked), base_url="https://wakeline.test")


@pytest.fixture
async def simulator(tmp_path_factory: pytest.TempPathFactory, anyio_backend: str) -> AsyncIterator[Simulator]:
    state = tmp_path_factory.getbasetemp() / "portal-simulator"
    state.mkdir(exist_ok=True)
    async with Simulator(portal_port=0, state_dir=state) as running:
        yield running


@contextlib.asynccontextmanager
async def opened(directory: Path, simulator: Simulator, *, connects: bool = False) -> AsyncIterator[Office]:
    """Open a gateway that does nothing by itself yet."""
    async with (
        wiring.opened(_settings(directory, str(simulator.ca_file))) as gateway,
        _operator(gateway) as client,
    ):
        office = Office(gateway, simulator, client)
        if connects:
            await office.connect()
        yield office


@pytest.fixture
async def office(simulator: Simulator, tmp_path: Path) -> AsyncIterator[Office]:
    async with opened(tmp_path, simulator, connects=True) as made, made.at_work():
        yield made


async def test_a_call_by_rest_is_in_the_portals_record_until_it_ends(office: Office) -> None:
    await office.said("POST", SENDING, RINGING)
    await office.until(lambda: len(office.calls) == 1)
    assert "CALL_STATUS" not in office.calls[0]

    assert await office.said("POST", f"{CALLS}/c1/end", {"duration": 75}) == {"call": "c1", "noted": True}
    await office.until(lambda: "CALL_STATUS" in office.calls[0])

    [call] = office.calls
    assert (call["PORTAL_USER_ID"], call["PHONE_NUMBER"]) == ("3", "+4930123456")
    assert (call["CALL_DURATION"], call["CALL_FAILED_CODE"], call["EXTERNAL_CALL_ID"]) == ("75", "200", "c1")


async def test_a_call_that_its_caller_gave_up_was_missed(office: Office) -> None:
    sent = await office.said("POST", SENDING, RINGING)
    await office.said("DELETE", f"{SENDING}/{sent['id']}")

    await office.until(lambda: bool(office.calls) and "CALL_STATUS" in office.calls[0])

    assert office.calls[0]["CALL_FAILED_CODE"] == "304"


async def test_calls_of_others_are_nobodys(office: Office) -> None:
    await office.said("POST", SENDING, {**RINGING, "to": {"users": ["alice"]}})
    assert (await office.said("POST", f"{CALLS}/c1/end"))["noted"] is False
    await office.said("POST", SENDING, {**RINGING, "call": {"id": "c2", "caller": "+4930123456"}})

    await office.until(lambda: len(office.calls) == 1)

    assert office.calls[0]["EXTERNAL_CALL_ID"] == "c2"


async def test_what_a_gateway_could_not_tell_the_next_one_does(simulator: Simulator, tmp_path: Path) -> None:
    async with opened(tmp_path, simulator, connects=True) as before:
        await before.said("POST", SENDING, RINGING)
        await before.said("POST", f"{CALLS}/c1/end", {"duration": 75})
        assert before.calls == []

    async with opened(tmp_path, simulator) as after, after.at_work():
        await after.until(lambda: bool(after.calls) and "CALL_STATUS" in after.calls[0])

    assert [call["CALL_DURATION"] for call in after.calls] == ["75"]
