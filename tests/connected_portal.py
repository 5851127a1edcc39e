"""A connected portal for tests: the portal simulator, a memory store that knows it, and our client of it, on one clock.

Waits go by at once: whoever sleeps moves the clock, for the simulator too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import msgspec

from wakeline.config import Bitrix24, Server, Settings
from wakeline.connectors.bitrix24.client import PortalClient
from wakeline.connectors.bitrix24.connections import Connections
from wakeline.connectors.bitrix24.standing import ClientPorts
from wakeline.model.bitrix24.installation import (
    BY_MEMBER_ID,
    Access,
    ApplicationAccess,
    Installation,
    InstallationState,
    Tokens,
    WebhookAccess,
)
from wakeline.ports import HttpClient
from wakeline.service.connected import portal_client
from wakeline.simulator import Simulator
from wakeline.simulator.portal.memory import ADMIN, CLIENT_ID, CLIENT_SECRET, WEBHOOK_CODE, Memory, SwitchChange
from wakeline.simulator.portal.oauth import authorized, expire_all, granted
from wakeline.simulator.portal.records import Kind
from wakeline.simulator.script import Script, ScriptedAnswer
from wakeline.storage.memory import MemoryStore
from wakeline.storage.sealing import Sealer

START = 1_795_000_000_000
PUBLIC = "http://127.0.0.1:8750"
HOSTS = ("localhost", "127.0.0.1")


class HastyClock:
    """Waits for nothing: a sleep moves it on."""

    def __init__(self) -> None:
        self._now = START
        self.slept: list[float] = []

    def now(self) -> int:
        return self._now

    def seconds(self) -> float:
        return self._now / 1000

    def monotonic(self) -> float:
        return (self._now - START) / 1000

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        self._now += round(seconds * 1000)


class Connected:
    """The portal, and us."""

    def __init__(self, simulator: Simulator, clock: HastyClock, http: HttpClient, settings: Settings) -> None:
        self.simulator = simulator
        self.clock = clock
        self.settings = settings
        self.store = MemoryStore(clock, Sealer(bytes(32)))
        self.ports = ClientPorts(
            clock=clock,
            installations=self.store.installations,
            apps=self.store.apps,
            events=self.store.events,
            http=http,
            settings=lambda: self.settings,
        )
        self.connections = Connections(self.ports)

    @property
    def portal(self) -> Memory:
        """What the simulated portal knows."""
        return self.simulator.state.portal

    def script(self, target: str, *answers: ScriptedAnswer) -> None:
        """Have the portal answer the next calls of a method (or `oauth/token`) so."""
        self.simulator.state.scripts.put(Script(target=target, provider="portal", answers=list(answers)))

    def switch(self, **switches: object) -> None:
        """Turn the portal's switches."""
        self.portal.change(msgspec.convert(switches, SwitchChange))

    def requests(self, target: str) -> list[dict[str, object]]:
        """The bodies of the requests that the portal got for a method (or `oauth/token`)."""
        entries = msgspec.json.decode(self.simulator.state.journal.requests(provider="portal", target=target))
        return [entry["body"] for entry in entries]

    def verdicts(self, target: str) -> list[int | None]:
        """The statuses of the portal's answers to a method."""
        entries = msgspec.json.decode(self.simulator.state.journal.requests(provider="portal", target=target))
        return [entry["status"] for entry in entries]

    def rows(self, kind: Kind, count: int) -> None:
        """Have the portal know so many records of a kind, numbered from 1."""
        known = self.portal.records[kind]
        sample = next(iter(known.values()))
        known.clear()
        known.update({number: {**sample, "ID": str(number)} for number in range(1, count + 1)})

    def tokens(self) -> Tokens:
        """A new pair, as the portal grants it."""
        application = self.portal.applications[CLIENT_ID]
        said = granted(self.portal, application, ADMIN, self.clock.seconds(), 3600)
        return Tokens(
            access=str(said["access_token"]),
            refresh=str(said["refresh_token"]),
            access_expires=self.clock.now() + 3_600_000,
            user=ADMIN,
        )

    def code(self) -> str:
        """An authorization code, as somebody who allows us brings it back."""
        said = {"client_id": CLIENT_ID, "redirect_uri": f"{PUBLIC}/back"}
        return dict(parse_qsl(urlsplit(authorized(self.portal, said, self.clock.seconds())).query))["code"]

    def expire(self) -> None:
        """Have all access tokens expire on the portal, which we cannot know."""
        expire_all(self.portal)

    def described(self, access: Access, **more: object) -> Installation:
        """An installation that is not kept."""
        usual: dict[str, object] = {
            "member_id": self.portal.member_id,
            "application_token": self.portal.application_token(CLIENT_ID),
            "client_endpoint": f"{self.portal.origin}/rest/",
            "server_endpoint": f"{self.portal.oauth_origin}/rest/",
            "state": InstallationState.ACTIVE,
            "prefix": BY_MEMBER_ID,
            "created": self.clock.now(),
        }
        name = f"portal{len(self.store.installations.all())}"
        return msgspec.structs.replace(
            Installation(id=0, name=name, app=1, access=access, client_endpoint=""), **{**usual, **more}
        )

    async def application(self, **more: object) -> Installation:
        """An installation of our application, kept."""
        access = ApplicationAccess(client_id=CLIENT_ID, client_secret=CLIENT_SECRET, tokens=self.tokens())
        return await self._kept(self.described(access, **more))

    async def webhook(self, origin: str = "", **more: object) -> Installation:
        """An installation by an incoming webhook of the portal at `origin`, kept."""
        access = WebhookAccess(url=f"{origin or self.portal.origin}/rest/1/{WEBHOOK_CODE}/")
        return await self._kept(self.described(access, **more))

    def client(self, installation: Installation) -> PortalClient:
        return self.connections.of(installation.id)

    def kept(self, installation: Installation) -> Installation:
        """What is in the store now."""
        found = self.store.installations.by_id(installation.id)
        assert found is not None
        return found

    def access(self, installation: Installation) -> Tokens:
        """The tokens that are in the store now."""
        access = self.kept(installation).access
        assert isinstance(access, ApplicationAccess)
        assert access.tokens is not None
        return access.tokens

    async def _kept(self, installation: Installation) -> Installation:
        if self.store.apps.by_id(installation.app) is None:
            await self.store.apps.create("acme", "Acme", self.clock.now())
        return await self.store.installations.create(installation)


@asynccontextmanager
async def connected(state_dir: Path, hosts: Sequence[str] = HOSTS) -> AsyncIterator[Connected]:
    """A portal that runs, with nothing connected yet."""
    clock = HastyClock()
    async with Simulator(portal_port=0, state_dir=state_dir, clock=clock.seconds) as simulator:
        section = Bitrix24(connected_hosts=tuple(hosts), connected_ca_file=str(simulator.ca_file))
        settings = Settings(server=Server(public_url=PUBLIC), bitrix24=section)
        async with portal_client(section) as http:
            world = Connected(simulator, clock, http, settings)
            yield world
            await world.connections.close()
