"""A gateway on a disk and a portal on a port: installed, told of a change, and nothing of it in a log."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from starlette.types import ASGIApp

from unit.service.guesses import never_forgiven
from wakeline.config import Bitrix24, Logs, SecretsSection, Server, Settings, Storage
from wakeline.edges.bitrix24.connected import ConnectedPorts
from wakeline.model.bitrix24.installation import BY_MEMBER_ID, ApplicationAccess, Installation, InstallationState
from wakeline.observe.logs import configure
from wakeline.service import listeners, wiring
from wakeline.service.wiring import Gateway
from wakeline.simulator import Simulator
from wakeline.simulator.portal.memory import CLIENT_ID, CLIENT_SECRET, WEBHOOK_CODE

pytestmark = pytest.mark.anyio

NAME = "portal-of-the-test"
_DEADLINE = 20.0


class Neighbours:
    """A gateway that listens, and a portal that knows our application."""

    def __init__(self, gateway: Gateway, simulator: Simulator, origin: str) -> None:
        self.gateway = gateway
        self.simulator = simulator
        self.address = f"{origin}/bitrix24/events/{NAME}"
        self.http = httpx2.AsyncClient(verify=False, trust_env=False)
        self.out = io.StringIO()

    @property
    def ports(self) -> ConnectedPorts:
        """What the door of connected portals speaks to."""
        return self.gateway._portal._connected.door._ports

    @property
    def installation(self) -> Installation:
        """The installation as it is kept."""
        found = self.ports.installations.by_name(NAME)
        assert found is not None
        return found

    async def connect(self) -> None:
        """Connect the portal, as an operator does."""
        app = await self.ports.apps.create("acme-chat", "Acme", self.ports.clock.now())
        ready = self.simulator.ready()
        await self.ports.installations.create(
            Installation(
                id=0,
                name=NAME,
                app=app.id,
                access=ApplicationAccess(client_id=CLIENT_ID, client_secret=CLIENT_SECRET),
                client_endpoint=f"{ready['portal']}/rest/",
                prefix=BY_MEMBER_ID,
            )
        )

    async def control(self, path: str, body: Any) -> None:
        """Have the portal do something."""
        (await self.http.post(f"{self.simulator.ready()['control']}{path}", json=body)).raise_for_status()

    async def answered(self, event: str, count: int = 1) -> set[int | None]:
        """Wait until the portal has posted an event so often; return what it was answered."""
        deliveries = self.simulator.state.portal.deliveries
        async with asyncio.timeout(_DEADLINE):
            while sum(one.event == event for one in deliveries) < count:  # noqa: ASYNC110 - a portal tells nobody what it posted
                await asyncio.sleep(0.01)
        return {one.status for one in deliveries if one.event == event}

    async def kept(self) -> list[int]:
        """Return what events in the inbox are about."""
        return sorted(one.record for one in await self.ports.inbox.recorded(limit=10_000))


def settings(directory: Path, ca_file: Path) -> Settings:
    return Settings(
        server=Server(data_dir=str(directory), listen="127.0.0.1:0"),
        storage=Storage(url=f"sqlite:///{directory}/wakeline.db", ballast=0, low_disk=0),
        secrets=SecretsSection(master_key_file=f"{directory}/master.key"),
        bitrix24=Bitrix24(
            connected_hosts=("localhost", "127.0.0.1"), connected_ca_file=str(ca_file), require_https=False
        ),
        logs=Logs(access=True, format="json", level="info"),
    )


@pytest.fixture
async def both(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Neighbours]:
    async with Simulator(portal_port=0, state_dir=tmp_path / "portal") as simulator:
        told = settings(tmp_path, simulator.ca_file)
        async with wiring.opened(told) as gateway:
            never_forgiven(gateway)
            app: ASGIApp = gateway.app
            listener = listeners.public(app, told, gateway.hot)
            listener.start()
            origin = f"http://127.0.0.1:{listener.port}"
            public = msgspec.structs.replace(told.server, public_url=origin)
            gateway.apply(msgspec.structs.replace(told, server=public))
            made = Neighbours(gateway, simulator, origin)
            configure(told.logs, made.out)
            try:
                yield made
            finally:
                await made.http.aclose()
                await listener.stop(at_once=True)


async def test_a_portal_installs_our_application_and_its_events_are_on_disk(both: Neighbours) -> None:
    await both.connect()
    await both.control("/portal/install", {"handler": both.address})
    assert await both.answered("ONAPPINSTALL") == {200}
    assert both.installation.state is InstallationState.ACTIVE
    handler = {"handler": both.address, "event": "ONCRMDEALUPDATE"}
    for number in range(1, 21):
        await both.control("/portal/event", {**handler, "data": {"FIELDS": {"ID": str(number)}}})

    assert await both.answered("ONCRMDEALUPDATE", 20) == {200}
    assert await both.kept() == list(range(1, 21))

    await both.control("/portal/event", {**handler, "auth": {"application_token": "x" * 32}})
    assert await both.answered("ONCRMDEALUPDATE", 21) == {200, 403}
    assert len(await both.kept()) == 20


async def test_no_log_shows_what_opens_a_portal(both: Neighbours) -> None:
    await both.connect()
    await both.control("/portal/install", {"handler": both.address})
    await both.answered("ONAPPINSTALL")
    forged = {"access_token": "sesame-1", "refresh_token": "sesame-2"}
    await both.control("/portal/event", {"event": "ONAPPUPDATE", "handler": both.address, "auth": forged})
    assert await both.answered("ONAPPUPDATE") == {403}
    launch = {"AUTH_ID": "sesame-3", "REFRESH_ID": "sesame-4", "member_id": "sesame-5", "APPLICATION_TOKEN": "sesame-6"}
    assert (await both.http.post(f"{both.address}?APP_SID=sesame-7&DOMAIN=x", data=launch)).status_code == 403
    callback = both.address.replace("events", "oauth")
    assert (await both.http.get(f"{callback}?code=sesame-8&state=sesame-9")).status_code == 403
    assert (await both.http.post(f"{both.address}?auth[application_token]=sesame-10")).status_code == 400

    said = both.out.getvalue()
    assert "bitrix24.connected.installed" in said
    assert "http.request" in said
    access = both.installation.access
    assert isinstance(access, ApplicationAccess)
    assert access.tokens is not None
    secrets = (access.tokens.access, access.tokens.refresh, both.installation.application_token, CLIENT_SECRET)
    for secret in ("sesame", WEBHOOK_CODE, *secrets):
        assert secret not in said


async def test_guesses_at_all_doors_count_together(both: Neighbours) -> None:
    await both.connect()
    origin = both.address.partition("/bitrix24")[0]
    guess = {"event": "ONCRMDEALADD", "auth[application_token]": "guess", "auth[member_id]": "m"}
    for number in range(20):
        assert (await both.http.get(f"{origin}/rest/1/guess-{number}/profile")).status_code == 401
        assert (await both.http.post(both.address, data=guess)).status_code == 403
    for number in range(10):
        assert (await both.http.post(f"{origin}/send/?key=guess-{number}", data={"MessageBody": ""})).status_code == 401

    assert (await both.http.post(both.address, data=guess)).status_code == 503
