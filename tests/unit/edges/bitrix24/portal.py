"""A whole portal in memory behind its door: real pipeline, memory store, users, an application, a webhook.

portal = await opened()
answer = await portal.call("profile")                       by the administrator's access token
answer = await portal.call("profile", token=portal.member)  by that of user 7, who is no administrator
answer = await portal.hook("profile")                       by an incoming webhook
rows = portal.result(answer)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2
import msgspec
from starlette.types import ASGIApp

from unit.edges.rest.gateway import Gateway
from wakeline.config import Settings
from wakeline.edges.bitrix24 import secrets
from wakeline.edges.bitrix24.call import BitrixPorts
from wakeline.edges.bitrix24.delivering import EventDeliveries
from wakeline.edges.bitrix24.door import Door
from wakeline.model.bitrix24.access import Grant, IncomingWebhook, PortalApplication, PortalState, PortalUser
from wakeline.model.errors import TransportError
from wakeline.model.key import Scope
from wakeline.ports import HttpAnswer

ADMIN, MEMBER = 1, 7
ADMIN_TOKEN, MEMBER_TOKEN = "a" * 32, "m" * 32
CODE = "hook0123456789ab"
SCOPES = ("pull", "pull_channel", "user", "im", "mobile", "crm", "task", "tasks", "telephony")
HOUR = 3_600_000


class World:
    """What is outside: every POST is kept, and answered as a test says (`answers`: by URL; else 200)."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, bytes, dict[str, str]]] = []
        self.answers: dict[str, HttpAnswer | TransportError] = {}

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> HttpAnswer:
        self.posts.append((url, body, dict(headers)))
        answer = self.answers.get(url, HttpAnswer(status=200, headers={}, body=b""))
        if isinstance(answer, TransportError):
            raise answer
        return answer


class Portal:
    """What a test holds: the parts, and callers of every kind."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.gateway = Gateway(settings)
        self.clock = self.gateway.clock
        self.store = self.gateway.store
        self.world = World()
        self.ports = BitrixPorts(
            clock=self.clock,
            apps=self.store.apps,
            devices=self.store.devices,
            secrets=self.gateway.sealer,
            access=self.store.portal_access,
            events=self.store.portal_events,
            records=self.store.portal_records,
            calls=self.store.portal_calls,
            pipeline=self.gateway.pipeline,
            settings=self.gateway.settings,
            http=self.world,
            hook=self.world,
            deliveries=EventDeliveries(self.world, self.clock, self.gateway.ports.metrics),
        )
        self.admin, self.member = ADMIN_TOKEN, MEMBER_TOKEN
        self.door = Door(self.ports)
        self.serve(self.door)

    def serve(self, app: ASGIApp) -> None:
        """Put another application behind the client."""
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        self.client = httpx2.AsyncClient(transport=transport, base_url="https://portal.test")

    async def fill(self, *, scopes: tuple[str, ...] = SCOPES, name: str = "Sales") -> None:
        """Make app `acme-chat` with a device of user 7, two users, an application with a token for each, a webhook."""
        await self.gateway.with_app()
        app = self.store.apps.get("acme-chat")
        assert app is not None
        access = self.store.portal_access
        await access.put_user(PortalUser(id=ADMIN, login="anna", admin=True, name="Anna", last_name="Adler"))
        await access.put_user(PortalUser(id=MEMBER, login="max", name="Max", last_name="Muster"))
        self.application = await access.create_application(
            PortalApplication(
                id=0,
                client_id="local.test",
                secret=secrets.digest("client-secret"),
                name=name,
                app=app.id,
                redirect_uri="https://app.test/back",
                scopes=scopes,
                application_token="t" * 32,
            )
        )
        for user, token in ((ADMIN, ADMIN_TOKEN), (MEMBER, MEMBER_TOKEN)):
            await self.grant(user, token, scopes)
        self.webhook = await access.create_webhook(
            IncomingWebhook(id=0, user=ADMIN, digest=secrets.digest(CODE), scopes=scopes)
        )

    async def grant(self, user: int, token: str, scopes: tuple[str, ...] = SCOPES) -> Grant:
        """Give a user an access token of the application, good for an hour."""
        now = self.clock.now()
        return await self.store.portal_access.issue(
            Grant(
                id=0,
                application=self.application.id,
                user=user,
                scopes=scopes,
                access=secrets.digest(token),
                access_expires=now + HOUR,
                refresh=secrets.digest(f"refresh-{token}"),
                refresh_expires=now + 24 * HOUR,
            )
        )

    async def change(self, **fields: Any) -> None:
        """Change the application."""
        self.application = msgspec.structs.replace(self.application, **fields)
        await self.store.portal_access.change_application(self.application)

    async def put(self, user: PortalUser, **fields: Any) -> None:
        """Change a user."""
        await self.store.portal_access.put_user(msgspec.structs.replace(user, **fields))

    async def set(self, **fields: Any) -> None:
        """Change the portal."""
        state: PortalState = msgspec.structs.replace(self.store.portal_access.portal(), **fields)
        await self.store.portal_access.set_portal(state)

    async def call(
        self, method: str, params: dict[str, Any] | None = None, *, token: str | None = None
    ) -> httpx2.Response:
        """Call a method as an application does, JSON in a POST; by the administrator's token unless told otherwise."""
        auth = {"auth": ADMIN_TOKEN if token is None else token}
        return await self.client.post(f"/rest/{method}.json", json={**(params or {}), **auth})

    async def hook(self, method: str, params: dict[str, Any] | None = None, *, code: str = CODE) -> httpx2.Response:
        """Call a method through the incoming webhook."""
        return await self.client.post(f"/rest/{ADMIN}/{code}/{method}", json=params or {})

    def result(self, answer: httpx2.Response) -> Any:
        """Return what a success answers."""
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]

    def refusal(self, answer: httpx2.Response) -> tuple[int, str, str]:
        """Return status, code and text of a refusal."""
        body = answer.json()
        return answer.status_code, body["error"], body["error_description"]


async def opened(settings: Settings | None = None, **filled: Any) -> Portal:
    """Return a portal with users, an application and a webhook."""
    portal = Portal(settings)
    portal.gateway.admin = await portal.gateway.key(Scope.ADMIN)
    await portal.fill(**filled)
    return portal
