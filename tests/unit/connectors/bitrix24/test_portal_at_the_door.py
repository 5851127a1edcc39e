"""A portal that posts to our door, over the network: installed, told of changes, attacked, taken away again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from urllib.parse import parse_qs, urlsplit

import httpx2
import msgspec
import pytest

from connected_portal import Connected
from wakeline.config import Server, Settings
from wakeline.connectors.bitrix24 import binding, installing
from wakeline.edges.bitrix24.connected import ConnectedDoor, ConnectedPorts, state
from wakeline.edges.bitrix24.strangers import Strangers
from wakeline.model.bitrix24.inbox import ReceivedEvent
from wakeline.model.bitrix24.installation import ApplicationAccess, Installation, InstallationState
from wakeline.model.bitrix24.rule import Rule, RuleTrial
from wakeline.model.errors import PortalClosed
from wakeline.ports.bitrix24_connector import SyncProgress
from wakeline.service import listeners
from wakeline.simulator.portal.memory import CLIENT_ID, CLIENT_SECRET
from wakeline.storage.sealing import Sealer

pytestmark = pytest.mark.anyio

_DEADLINE = 30.0


class Connector:
    """The connector's ways into a portal, and a bell that counts."""

    def __init__(self, world: Connected) -> None:
        self._world = world
        self.rings: list[int] = []

    def ring(self, installation: int) -> None:
        self.rings.append(installation)

    async def verify(self, installation: Installation) -> Installation:
        return await installing.verify(self._world.connections, installation)

    async def redeem(self, installation: Installation, code: str) -> Installation:
        return await installing.redeem(self._world.connections, installation, code)

    async def bind(self, installation: Installation) -> tuple[str, ...]:
        return (await binding.bind(self._world.connections, self._world.store.portal_rules, installation)).events

    def connected(self, installation: int) -> None:
        self.rings.append(installation)

    def disconnected(self, installation: int) -> None:
        raise AssertionError(installation)

    def rules_changed(self) -> None:
        raise AssertionError

    def check(self, rule: Rule) -> None:
        raise AssertionError(rule)

    async def attempt(self, rule: Rule, event: ReceivedEvent) -> RuleTrial:
        raise AssertionError(rule, event)

    def synchronise(self, installation: int) -> SyncProgress:
        raise AssertionError(installation)

    def progress(self, installation: int) -> SyncProgress | None:
        raise AssertionError(installation)


class Gate:
    """Our door on a port, beside a portal that runs."""

    def __init__(self, world: Connected) -> None:
        self.world = world
        self.store = world.store
        self.sealer = Sealer(bytes(32))
        self.connector = Connector(world)
        self.http = httpx2.AsyncClient(verify=False, trust_env=False)
        door = ConnectedDoor(
            ConnectedPorts(
                clock=world.clock,
                apps=self.store.apps,
                events=self.store.events,
                secrets=self.sealer,
                installations=self.store.installations,
                inbox=self.store.event_inbox,
                portals=self.connector,
                strangers=Strangers(world.clock, lambda: 50),
                hosts=lambda: world.settings.bitrix24.connected_hosts,
            )
        )
        self.listener = listeners.public(door, Settings(server=Server(listen="127.0.0.1:0")))
        self.listener.start()
        self.origin = f"http://127.0.0.1:{self.listener.port}"
        world.settings = msgspec.structs.replace(world.settings, server=Server(public_url=self.origin))

    async def connect(self) -> Installation:
        """Connect an application, which is not installed yet, and want to hear of deals."""
        access = ApplicationAccess(client_id=CLIENT_ID, client_secret=CLIENT_SECRET)
        waiting = self.world.described(
            access, member_id="", application_token="", server_endpoint="", state=InstallationState.WAITING
        )
        await self.store.apps.create("acme", "Acme", self.world.clock.now())
        made = await self.store.installations.create(waiting)
        await self.store.portal_rules.create(Rule(id=0, name="r", event="ONCRMDEALUPDATE", recipients=("7",)))
        self.address = f"{self.origin}/bitrix24/events/{made.name}"
        return made

    async def control(self, path: str, **body: object) -> None:
        """Have the portal do something."""
        control = self.world.simulator.ready()["control"]
        (await self.http.post(f"{control}{path}", json=body)).raise_for_status()

    async def until(self, happened: Callable[[], bool]) -> None:
        """Wait for it."""
        async with asyncio.timeout(_DEADLINE):
            while not happened():  # noqa: ASYNC110 - the portal tells nobody what it has posted
                await asyncio.sleep(0.005)

    async def delivered(self, event: str) -> int:
        """Wait until the portal has posted an event; return what the last was answered, and forget them."""
        deliveries = self.world.portal.deliveries
        await self.until(lambda: any(one.event == event for one in deliveries))
        found = [one for one in deliveries if one.event == event]
        for one in found:
            deliveries.remove(one)
        return found[-1].status or 0

    async def records(self) -> list[int]:
        """Return what events in the inbox are about, newest first."""
        return [event.record for event in await self.store.event_inbox.recorded(limit=10_000)]


@pytest.fixture
async def gate(world: Connected) -> AsyncIterator[Gate]:
    made = Gate(world)
    try:
        yield made
    finally:
        await made.http.aclose()
        with contextlib.suppress(asyncio.CancelledError):
            await made.listener.stop(at_once=True)


async def test_a_portal_installs_our_application_and_its_events_come_in(gate: Gate) -> None:
    made = await gate.connect()

    await gate.control("/portal/install", handler=gate.address)
    assert await gate.delivered("ONAPPINSTALL") == 200
    kept = gate.world.kept(made)
    assert (kept.state, kept.member_id) == (InstallationState.ACTIVE, gate.world.portal.member_id)
    assert kept.application_token == gate.world.portal.application_token(CLIENT_ID)
    assert gate.world.access(made).user == 1
    assert {one.event for one in gate.world.portal.bindings if one.handler == gate.address} == {
        "ONCRMDEALUPDATE",
        "ONAPPUNINSTALL",
        "ONOFFLINEEVENT",
    }

    await gate.control("/portal/change", kind="deal", id=7, fields={"TITLE": "New"})
    assert await gate.delivered("ONCRMDEALUPDATE") == 200
    assert (await gate.records(), gate.connector.rings[-1]) == ([7], made.id)


async def test_forgeries_leave_an_installed_portal_as_it_was(gate: Gate) -> None:
    made = await gate.connect()
    await gate.control("/portal/install", handler=gate.address)
    await gate.delivered("ONAPPINSTALL")
    before = gate.world.kept(made)
    known = {"application_token": before.application_token}

    for auth in (
        {},
        {"access_token": "made-up", "refresh_token": "made-up"},
        {"access_token": "made-up", "refresh_token": "made-up", **known},
        {"access_token": "made-up", "refresh_token": "made-up", "application_token": "x" * 32},
        {"access_token": "made-up", "refresh_token": "made-up", **known, "server_endpoint": "https://evil.test/rest/"},
        {"access_token": "made-up", "refresh_token": "made-up", **known, "member_id": "b" * 32},
    ):
        await gate.control("/portal/event", event="ONAPPINSTALL", handler=gate.address, auth=auth)
        assert await gate.delivered("ONAPPINSTALL") == 403
        await gate.control("/portal/event", event="ONCRMDEALADD", handler=gate.address, auth={"member_id": "b" * 32})
        assert await gate.delivered("ONCRMDEALADD") == 403

    assert gate.world.kept(made) == before
    await gate.world.client(made).call("profile")
    assert await gate.records() == []


@pytest.mark.parametrize("expired", [True, False])
async def test_an_installation_that_is_posted_again_after_its_tokens_were_renewed_changes_nothing(
    gate: Gate, *, expired: bool
) -> None:
    made = await gate.connect()
    await gate.control("/portal/install", handler=gate.address)
    await gate.delivered("ONAPPINSTALL")
    first = gate.world.access(made)
    if expired:
        gate.world.expire()
    await gate.world.connections.keeper.renew(made.id, instead_of=first.access)
    renewed = gate.world.access(made)
    assert renewed.refresh != first.refresh

    again = {
        "access_token": first.access,
        "refresh_token": first.refresh,
        "application_token": gate.world.portal.application_token(CLIENT_ID),
    }
    await gate.control("/portal/event", event="ONAPPINSTALL", handler=gate.address, auth=again)

    assert await gate.delivered("ONAPPINSTALL") == (403 if expired else 200)
    assert (gate.world.access(made), gate.world.kept(made).state) == (renewed, InstallationState.ACTIVE)


async def test_an_administrator_lets_us_in_by_the_browser_and_the_first_event_brings_the_token(gate: Gate) -> None:
    made = await gate.connect()
    url = state.authorization_url(made, gate.sealer.derive(state.PURPOSE), gate.world.clock.now())
    back = f"{gate.origin}/bitrix24/oauth/{made.name}"

    sent = await gate.http.get(f"{url}&redirect_uri={back}")
    page = await gate.http.get(sent.headers["location"])

    assert (page.status_code, gate.world.kept(made).state) == (200, InstallationState.ACTIVE)
    assert (await gate.http.get(sent.headers["location"])).status_code == 403
    assert parse_qs(urlsplit(sent.headers["location"]).query)["code"][0] not in page.text
    assert gate.world.kept(made).application_token == ""
    # The notice of the queue bears tokens of ours, and would tell whose event it is before anybody's does.
    gate.world.portal.bindings[:] = [one for one in gate.world.portal.bindings if one.event != "ONOFFLINEEVENT"]
    robots: dict[str, object] = {"kind": "deal", "id": 8, "fields": {"TITLE": "By a robot"}, "user": None}
    await gate.control("/portal/change", **robots)
    assert await gate.delivered("ONCRMDEALUPDATE") == 403
    await gate.control("/portal/change", kind="deal", id=7, fields={"TITLE": "New"}, user=1)
    assert await gate.delivered("ONCRMDEALUPDATE") == 200
    await gate.control("/portal/change", **robots)
    assert await gate.delivered("ONCRMDEALUPDATE") == 200
    assert gate.world.kept(made).application_token == gate.world.portal.application_token(CLIENT_ID)
    assert await gate.records() == [8, 7]


async def test_a_removed_application_is_dead_until_it_is_installed_again(gate: Gate) -> None:
    made = await gate.connect()
    await gate.control("/portal/install", handler=gate.address)
    await gate.delivered("ONAPPINSTALL")

    await gate.control("/portal/event", event="ONAPPUNINSTALL", user=None)
    assert await gate.delivered("ONAPPUNINSTALL") == 200
    assert gate.world.kept(made).state is InstallationState.DEAD

    await gate.control("/portal/install", handler=gate.address)
    assert await gate.delivered("ONAPPINSTALL") == 200
    assert gate.world.kept(made).state is InstallationState.ACTIVE
    await gate.world.client(made).call("profile")


async def test_an_installation_whose_tokens_were_lost_is_mended_by_the_next_event(gate: Gate) -> None:
    made = await gate.connect()
    await gate.control("/portal/install", handler=gate.address)
    await gate.delivered("ONAPPINSTALL")
    lost = gate.world.access(made)
    gate.world.expire()
    del gate.world.portal.refresh[lost.refresh]
    with pytest.raises(PortalClosed, match="invalid_grant"):
        await gate.world.client(made).call("profile")

    await gate.control("/portal/change", kind="deal", id=7, fields={"TITLE": "New"}, user=None)

    assert await gate.delivered("ONOFFLINEEVENT") == 200
    assert gate.world.kept(made).state is InstallationState.ACTIVE
    assert gate.world.access(made).user == lost.user
    await gate.world.client(made).call("profile")


@pytest.mark.parametrize("posted", ["another's", "made up", "no refresh token"])
async def test_a_notice_mends_with_the_installers_own_tokens_only(gate: Gate, posted: str) -> None:
    made = await gate.connect()
    await gate.control("/portal/install", handler=gate.address)
    await gate.delivered("ONAPPINSTALL")
    lost = gate.world.access(made)
    gate.world.expire()
    del gate.world.portal.refresh[lost.refresh]
    with pytest.raises(PortalClosed, match="invalid_grant"):
        await gate.world.client(made).call("profile")
    said = {
        "another's": {"user_id": 2, "refresh_token": "a" * 32},
        "made up": {"user_id": 1, "access_token": "b" * 32, "refresh_token": "a" * 32},
        "no refresh token": {"user_id": 1},
    }[posted]

    await gate.control("/portal/event", event="ONOFFLINEEVENT", handler=gate.address, auth=said)

    assert await gate.delivered("ONOFFLINEEVENT") == (403 if posted == "made up" else 200)
    assert gate.world.kept(made).state is InstallationState.DEAD


async def test_a_notice_changes_nothing_while_our_tokens_work(gate: Gate) -> None:
    made = await gate.connect()
    await gate.control("/portal/install", handler=gate.address)
    await gate.delivered("ONAPPINSTALL")
    before = gate.world.access(made)

    await gate.control("/portal/change", kind="deal", id=7, fields={"TITLE": "New"})

    assert await gate.delivered("ONCRMDEALUPDATE") == await gate.delivered("ONOFFLINEEVENT") == 200
    assert gate.world.access(made) == before
    await gate.until(lambda: gate.connector.rings[-1] == made.id)
    assert await gate.records() == [7]


async def test_a_burst_of_a_portal_is_answered_fast_and_none_is_lost(gate: Gate) -> None:
    await gate.connect()
    await gate.control("/portal/install", handler=gate.address)
    await gate.delivered("ONAPPINSTALL")
    gate.world.portal.deliveries.clear()
    burst = [{"kind": "deal", "id": number, "fields": {"TITLE": "x"}} for number in range(1, 201)]

    (await gate.http.post(f"{gate.world.simulator.ready()['control']}/portal/change", json=burst)).raise_for_status()

    def told() -> list[int | None]:
        return [one.status for one in gate.world.portal.deliveries if one.event == "ONCRMDEALUPDATE"]

    await gate.until(lambda: len(told()) == len(burst))
    assert set(told()) == {200}
    assert sorted(await gate.records()) == list(range(1, 201))
