"""The door of connected portals in memory, and a connector that answers as an OAuth server would.

neighbour = await opened()                 an application that waits to be installed, and what its portal posts
answer = await neighbour.install()         ONAPPINSTALL as the portal posts it
answer = await neighbour.event("ONCRMDEALADD", {"FIELDS": {"ID": "7"}})
"""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import msgspec

from storing import Store, some_app
from unit.edges.rest.gateway import HandClock
from wakeline.edges.bitrix24.connected import ConnectedDoor, ConnectedPorts
from wakeline.edges.bitrix24.strangers import Strangers
from wakeline.model.bitrix24.inbox import ReceivedEvent
from wakeline.model.bitrix24.installation import (
    BY_MEMBER_ID,
    ApplicationAccess,
    Installation,
    InstallationState,
    Tokens,
    WebhookAccess,
)
from wakeline.model.bitrix24.rule import Rule, RuleTrial
from wakeline.model.errors import PortalRefused, PortalUnreachable
from wakeline.ports.bitrix24_connector import EventInbox, SyncProgress
from wakeline.storage.memory import MemoryStore
from wakeline.storage.sealing import Sealer
from wakeline.wire import php_form

NAME = "n" * 22
MEMBER, TOKEN = "a223c6b3710f85df22e9377d6c4f7553", "51856fefc120afa4b628cc82d3935cce"
PORTAL, OAUTH = "https://acme.bitrix24.test/rest/", "https://oauth.bitrix.info/rest/"
CLIENT = "local.acme"
ADMIN, CLERK = 1, 7


class Whose(msgspec.Struct, frozen=True, kw_only=True):
    """What the OAuth server knows of an access token."""

    user: int = ADMIN
    client_id: str = CLIENT
    member_id: str = MEMBER
    endpoint: str = PORTAL
    scopes: tuple[str, ...] = ("crm", "task")


class OAuthServer:
    """A connector whose OAuth server knows some tokens.

    `down`: nobody answers, `deaf`: only the portal does not; `slow`: answers wait for it, and `came` says that a question is
    there; `narrow`: the portal refuses to bind events.
    """

    def __init__(self) -> None:
        self.tokens: dict[str, Whose] = {}
        self.codes: dict[str, str] = {}
        self.server = ""
        self.asked: list[Installation] = []
        self.bound: list[int] = []
        self.rings: list[int] = []
        self.back: list[int] = []
        self.again = 0
        self.down = self.deaf = False
        self.came = asyncio.Event()
        self.slow = asyncio.Event()
        self.slow.set()
        self.narrow = False

    def ring(self, installation: int) -> None:
        self.rings.append(installation)

    async def verify(self, installation: Installation) -> Installation:
        self.asked.append(installation)
        self.came.set()
        await self.slow.wait()
        if self.down:
            raise PortalUnreachable("The OAuth host does not answer", retry_after=10)
        access = installation.access
        assert isinstance(access, ApplicationAccess)
        assert access.tokens is not None
        whose = self.tokens.get(access.tokens.access)
        if whose is None or whose.client_id != access.client_id:
            raise PortalRefused("The OAuth host answered invalid_token", answered=401, reason="invalid_token")
        return msgspec.structs.replace(
            installation,
            access=msgspec.structs.replace(
                access, tokens=msgspec.structs.replace(access.tokens, user=whose.user, scopes=whose.scopes)
            ),
            client_endpoint=whose.endpoint,
            member_id=whose.member_id,
            state=InstallationState.ACTIVE,
        )

    async def redeem(self, installation: Installation, code: str) -> Installation:
        self.server = installation.server_endpoint
        access = self.codes.pop(code, "")
        tokens = Tokens(access=access, refresh=f"refresh-{access}", access_expires=0)
        assert isinstance(installation.access, ApplicationAccess)
        return await self.verify(
            msgspec.structs.replace(
                installation,
                access=msgspec.structs.replace(installation.access, tokens=tokens),
                server_endpoint=installation.server_endpoint or OAUTH,
            )
        )

    async def bind(self, installation: Installation) -> tuple[str, ...]:
        if self.down or self.deaf:
            raise PortalUnreachable("The portal does not answer", retry_after=10)
        if self.narrow:
            raise PortalRefused("insufficient_scope", answered=403, reason="insufficient_scope")
        self.bound.append(installation.id)
        return ("ONCRMDEALADD",)

    def connected(self, installation: int) -> None:
        self.back.append(installation)

    def disconnected(self, installation: int) -> None:
        raise AssertionError(installation)

    def rules_changed(self) -> None:
        self.again += 1

    def check(self, rule: Rule) -> None:
        raise AssertionError(rule)

    async def attempt(self, rule: Rule, event: ReceivedEvent) -> RuleTrial:
        raise AssertionError(rule, event)

    def synchronise(self, installation: int) -> SyncProgress:
        raise AssertionError(installation)

    def progress(self, installation: int) -> SyncProgress | None:
        raise AssertionError(installation)


class Neighbour:
    """What a test holds: the door, the store behind it, and the portal's voice."""

    def __init__(
        self, hosts: tuple[str, ...] = (), inbox: EventInbox | None = None, store: Store | None = None
    ) -> None:
        self.clock = HandClock()
        self.sealer = Sealer(b"k" * 32)
        self.store = store or MemoryStore(self.clock, self.sealer)
        self.oauth = OAuthServer()
        self.ports = ConnectedPorts(
            clock=self.clock,
            apps=self.store.apps,
            events=self.store.events,
            secrets=self.sealer,
            installations=self.store.installations,
            inbox=inbox or self.store.event_inbox,
            portals=self.oauth,
            strangers=Strangers(self.clock, lambda: 50),
            hosts=lambda: hosts,
        )
        transport = httpx2.ASGITransport(app=ConnectedDoor(self.ports), raise_app_exceptions=False)
        self.client = httpx2.AsyncClient(transport=transport, base_url="https://push.test")

    async def connect(self, **fields: Any) -> Installation:
        """Connect a portal as an operator does."""
        known: dict[str, Any] = {
            "name": NAME,
            "access": ApplicationAccess(client_id=CLIENT, client_secret="client-secret"),
            "client_endpoint": PORTAL,
            "prefix": BY_MEMBER_ID,
        }
        app = (await some_app(self.store)).id
        self.number = (
            await self.store.installations.create(Installation(**{"id": 0, "app": app, **known, **fields}))
        ).id
        return self.now

    @property
    def now(self) -> Installation:
        """The installation as it is kept."""
        found = self.store.installations.by_id(self.number)
        assert found is not None
        return found

    @property
    def tokens(self) -> Tokens | None:
        """The tokens in force."""
        assert isinstance(self.now.access, ApplicationAccess)
        return self.now.access.tokens

    def token(self, access: str, **whose: Any) -> str:
        """Have the OAuth server know an access token."""
        self.oauth.tokens[access] = Whose(**whose)
        return access

    async def post(self, form: dict[str, Any], name: str = NAME, **more: Any) -> httpx2.Response:
        """Post a form to the address of an installation."""
        headers = {"content-type": "application/x-www-form-urlencoded"}
        return await self.client.post(
            f"/bitrix24/events/{name}", content=php_form.build_query(form), headers=headers, **more
        )

    async def event(
        self, event: str = "ONCRMDEALADD", data: Any = None, *, ts: int = 1_795_000_000, **auth: Any
    ) -> Any:
        """Post an event as the portal does, but for what `auth` says otherwise (None: leaves it out)."""
        said = {"domain": "acme.bitrix24.test", "member_id": MEMBER, "application_token": TOKEN, **auth}
        form = {"event": event, "event_handler_id": "1", "data": data or {"FIELDS": {"ID": "7405"}}, "ts": str(ts)}
        return await self.post({**form, "auth": said})

    async def install(self, access: str = "access-1", *, event: str = "ONAPPINSTALL", **auth: Any) -> Any:
        """Post ONAPPINSTALL with a pair of tokens."""
        said = {"access_token": access, "refresh_token": f"refresh-{access}", "expires_in": "3600", "user_id": "1"}
        return await self.event(event, {"VERSION": "1"}, **{**said, "server_endpoint": OAUTH, **auth})

    async def launch(self, access: str = "access-1", **fields: Any) -> httpx2.Response:
        """Open the application in the portal."""
        form = {
            "AUTH_ID": access,
            "AUTH_EXPIRES": "3600",
            "REFRESH_ID": f"refresh-{access}",
            "SERVER_ENDPOINT": OAUTH,
            "APPLICATION_TOKEN": TOKEN,
            "member_id": MEMBER,
            "PLACEMENT": "DEFAULT",
        }
        return await self.post({**form, **fields}, params={"DOMAIN": "acme.bitrix24.test", "PROTOCOL": "1"})

    async def events(self) -> list[ReceivedEvent]:
        """Return what lies in the inbox, newest first."""
        return await self.store.event_inbox.recorded(limit=100_000)


async def opened(
    *, hosts: tuple[str, ...] = (), inbox: EventInbox | None = None, store: Store | None = None, **fields: Any
) -> Neighbour:
    """Return a portal that is connected by an application, which is not installed yet."""
    made = Neighbour(hosts, inbox, store)
    made.token("access-1")
    await made.connect(**fields)
    return made


async def installed(**more: Any) -> Neighbour:
    """Return a portal on which our application is installed."""
    made = await opened(**more)
    assert (await made.install()).status_code == 200
    return made


def webhook() -> dict[str, Any]:
    """Return what an installation by webhooks is, whose operator typed in the token of the outgoing one."""
    return {
        "access": WebhookAccess(url=f"{PORTAL}1/code0123456789ab/"),
        "application_token": TOKEN,
        "state": InstallationState.ACTIVE,
    }
