"""What tests of the portal's stores are made of: builders that fill in what a test does not care about."""

from __future__ import annotations

import hashlib

from storing import NOW, Store, some_app
from wakeline.model.bitrix24.access import AuthorizationCode, Grant, IncomingWebhook, PortalApplication
from wakeline.model.bitrix24.events import EventHandler, OfflineEvent
from wakeline.model.bitrix24.records import Condition, Fields, Operator, Record, RecordKind

TOKEN = "0123456789abcdef0123456789abcdef"


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


async def some_application(store: Store, client_id: str = "local.acme", *, app: int | None = None) -> PortalApplication:
    """Return the application with this client id, made at the first use."""
    known = store.portal_access.application_of(client_id)
    return known or await store.portal_access.create_application(
        application(client_id, (await some_app(store)).id if app is None else app)
    )


def application(client_id: str, app: int) -> PortalApplication:
    return PortalApplication(
        id=0,
        client_id=client_id,
        secret=digest(f"secret of {client_id}"),
        name="Acme",
        app=app,
        redirect_uri="https://acme.example/back",
        scopes=("crm", "pull"),
        users=(1, 7),
        application_token=TOKEN,
        created=NOW,
    )


def webhook(code: str, user: int = 7) -> IncomingWebhook:
    return IncomingWebhook(id=0, user=user, digest=digest(code), scopes=("crm",), name="ERP", created=NOW)


def code(text: str, application: int, *, expires: int = NOW + 30_000) -> AuthorizationCode:
    return AuthorizationCode(
        digest=digest(text),
        application=application,
        user=7,
        redirect_uri="https://acme.example/back",
        scopes=("crm",),
        challenge="abc",
        expires=expires,
    )


def grant(name: str, application: int, user: int = 7, *, until: int = NOW + 3_600_000) -> Grant:
    """Return a grant whose tokens are `<name>-access` and `<name>-refresh`."""
    return Grant(
        id=0,
        application=application,
        user=user,
        scopes=("crm",),
        access=digest(f"{name}-access"),
        access_expires=min(until, NOW + 3_600_000),
        refresh=digest(f"{name}-refresh"),
        refresh_expires=until,
        created=NOW,
    )


def handler(application: int, event: str = "ONCRMDEALADD", url: str = "https://acme.example/event") -> EventHandler:
    return EventHandler(id=0, application=application, event=event, handler=url)


def offline(
    application: int, message: str = "m1", *, at: int = NOW, connector: str = "", event: str = "ONCRMDEALUPDATE"
) -> OfflineEvent:
    return OfflineEvent(
        id=0,
        application=application,
        connector=connector,
        event=event,
        message=message,
        data=b'{"FIELDS":{"ID":"1"}}',
        additional=b'{"user_id":7}',
        at=at,
    )


def deal(number: int, **fields: object) -> Record:
    return record(RecordKind.DEAL, number, fields)


def record(kind: RecordKind, number: int, fields: Fields) -> Record:
    return Record(kind=kind, id=number, fields=fields, changed=NOW)


def term(field: str, operator: Operator, *values: str) -> Condition:
    return Condition(field, operator, values)
