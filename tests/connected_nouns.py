"""What tests of connected Bitrix24 portals are made of: builders that fill in what a test does not care about."""

from __future__ import annotations

import msgspec

from storing import NOW, Store
from wakeline.model.bitrix24.inbox import EventState, Origin, ReceivedEvent, identity_of, subject_of
from wakeline.model.bitrix24.installation import (
    Access,
    ApplicationAccess,
    Installation,
    InstallationState,
    Tokens,
    WebhookAccess,
)
from wakeline.model.bitrix24.outbox import PortalWrite, WriteState
from wakeline.model.bitrix24.rule import Rule

HOOK_CODE = "hookcode0123456789"
CLIENT_SECRET = "clientsecret0123456789"
APPLICATION_TOKEN = "applicationtoken0123456789"
WEBHOOK = WebhookAccess(url=f"https://acme.bitrix24.example/rest/1/{HOOK_CODE}/")


def pair(name: str = "first", *, expires: int = NOW + 3_600_000) -> Tokens:
    """Return tokens; the refresh token is `<name>-refresh`."""
    return Tokens(
        access=f"{name}-access", refresh=f"{name}-refresh", access_expires=expires, user=1, scopes=("crm", "user")
    )


def application(tokens: Tokens | None = None) -> ApplicationAccess:
    return ApplicationAccess(client_id="local.acme", client_secret=CLIENT_SECRET, tokens=tokens)


def installation(
    name: str = "acme", *, access: Access = WEBHOOK, app: int = 1, prefix: str = "", mirror: bool = False
) -> Installation:
    return Installation(
        id=0,
        name=name,
        app=app,
        access=access,
        client_endpoint="https://acme.bitrix24.example/rest/",
        server_endpoint="https://oauth.bitrix24.example/rest/",
        member_id="0123456789abcdef0123456789abcdef",
        application_token=APPLICATION_TOKEN,
        prefix=prefix,
        title="Acme",
        mirror=mirror,
        telephony=True,
        state=InstallationState.ACTIVE,
        created=NOW,
    )


async def connected(store: Store, name: str = "acme") -> Installation:
    """Return the installation with this name, made at the first use."""
    return store.installations.by_name(name) or await store.installations.create(installation(name))


def rule(name: str = "won", *, of: int = 0) -> Rule:
    return Rule(
        id=0,
        name=name,
        event="ONCRMDEALUPDATE",
        recipients=("record.ASSIGNED_BY_ID", "7"),
        installation=of,
        condition="record.STAGE_ID == 'WON'",
        title="{{ record.TITLE }}",
        data={"deal": "{{ record.ID }}"},
        ttl=600,
        created=NOW,
    )


def event(
    number: int = 1,
    *,
    of: int = 1,
    named: str = "ONCRMDEALUPDATE",
    at: int = NOW,
    received: int = NOW,
    due: int = 0,
    origin: Origin = Origin.POSTED,
    state: EventState = EventState.WAITING,
) -> ReceivedEvent:
    """Return an event about deal `number`."""
    data = msgspec.json.encode({"FIELDS": {"ID": str(number)}})
    subject = subject_of(named, data)
    return ReceivedEvent(
        id=0,
        installation=of,
        event=named,
        data=data,
        at=at,
        received=received,
        identity=identity_of(subject, at),
        subject=subject,
        record=number,
        user=1,
        origin=origin,
        state=state,
        due=due,
    )


def write(
    key: str = "",
    *,
    of: int = 1,
    after: str = "",
    at: int = NOW,
    due: int = 0,
    state: WriteState = WriteState.WAITING,
    params: bytes = b'{"id":1}',
) -> PortalWrite:
    return PortalWrite(
        id=0,
        installation=of,
        method="crm.deal.update",
        params=params,
        key=key,
        after=after,
        repeatable=True,
        at=at,
        due=due,
        state=state,
    )
