"""What the operations on connected portals share: finding one, and showing one without what opens its door."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from wakeline.edges.bitrix24.addresses import public
from wakeline.edges.bitrix24.connected import state
from wakeline.edges.bitrix24.connected.state import authorization_url
from wakeline.edges.rest import cursors
from wakeline.edges.rest.moments import moment, moment_or_none
from wakeline.edges.rest.operations import Call
from wakeline.edges.rest.shapes import View
from wakeline.model.bitrix24.installation import (
    Access,
    Installation,
    InstallationState,
    Tokens,
    WebhookAccess,
)
from wakeline.model.bitrix24.rule import Rule
from wakeline.model.errors import NotFound
from wakeline.wire.bitrix24.endpoints import host_of

ANY_EVENT = "*"

MIRRORED = [
    f"{kind}{change}"
    for kind in ("ONCRMDEAL", "ONCRMLEAD", "ONCRMCONTACT", "ONCRMACTIVITY", "ONTASK")
    for change in ("ADD", "UPDATE", "DELETE")
]
"""Events that keep a mirror in step."""


class ConnectedView(View, frozen=True, kw_only=True):
    """A connected portal without its secrets.

    `handler` is the address that the portal posts its events to; `proven`: events of it can be proven, since its
    `application_token` is known. `events` are those that its rules and the mirror wish for. User 7 of it is our user `<prefix>7`.
    `cause` says why it is not active. `authorize` is where an administrator of the portal lets our application in, within half an
    hour; empty: no need. Everything that happened there before `reached` is known here.
    """

    id: int
    title: str
    host: str
    app: str
    access: Literal["webhook", "application"]
    client_id: str
    user: int
    scopes: tuple[str, ...]
    member_id: str
    client_endpoint: str
    server_endpoint: str
    handler: str
    proven: bool
    events: tuple[str, ...]
    prefix: str
    mirror: bool
    telephony: bool
    offline: bool
    state: InstallationState
    cause: str
    authorize: str
    reached: datetime | None
    created: datetime


def found(call: Call, wanted: str | None = None) -> Installation:
    """Return the connected portal of the path, or the one with this number or member id. Raises NotFound."""
    wanted = call.path["installation"] if wanted is None else wanted
    known = call.ports.connected.installations
    by_number = known.by_id(int(wanted)) if wanted.isascii() and wanted.isdigit() and len(wanted) < 18 else None
    one = by_number or next((each for each in known.all() if wanted in (each.name, each.member_id)), None)
    if one is None:
        raise NotFound(
            f"there is no connected portal {wanted[:64]!r}", fix="`GET /v1/bitrix24/installations` lists them."
        )
    return one


def view(call: Call, one: Installation) -> ConnectedView:
    """Return a connected portal as the world sees it."""
    app = call.ports.apps.by_id(one.app)
    way_in = _way_in(one.access)
    return ConnectedView(
        id=one.id,
        title=one.title,
        host=host_of(one.client_endpoint),
        app=app.slug if app is not None else "",
        access=way_in.access,
        client_id=way_in.client_id,
        user=way_in.user,
        scopes=way_in.scopes,
        member_id=one.member_id,
        client_endpoint=one.client_endpoint,
        server_endpoint=one.server_endpoint,
        handler=handler(call, one),
        proven=bool(one.application_token),
        events=wanted_events(one, call.ports.connected.rules.all()),
        prefix=one.prefix,
        mirror=one.mirror,
        telephony=one.telephony,
        offline=one.offline,
        state=one.state,
        cause=one.cause,
        authorize=_authorize(call, one),
        reached=moment_or_none(one.reached),
        created=moment(one.created),
    )


def handler(call: Call, one: Installation) -> str:
    """Return where a portal posts its events, and where its application is installed."""
    settings = call.ports.settings
    origin = settings.server.public_url.rstrip("/") or public(settings, call.ports.portal.portal()).portal
    return f"{origin}/bitrix24/events/{one.name}"


def wanted_events(one: Installation, rules: Iterable[Rule]) -> tuple[str, ...]:
    """Return the events that rules and the mirror wish for from a portal, each once."""
    wanted = [rule.event for rule in rules if rule.enabled and rule.installation in (0, one.id)]
    return tuple(dict.fromkeys(wanted + (MIRRORED if one.mirror else [])))


def list_key(call: Call) -> bytes:
    """Return the key that signs cursors."""
    return call.ports.secrets.derive(cursors.PURPOSE)


def _authorize(call: Call, one: Installation) -> str:
    active = one.state is InstallationState.ACTIVE
    return "" if active else authorization_url(one, call.ports.secrets.derive(state.PURPOSE), call.now)


class _WayIn(msgspec.Struct, frozen=True, kw_only=True):
    """How we get in, as far as it may be told."""

    access: Literal["webhook", "application"]
    client_id: str = ""
    user: int = 0
    scopes: tuple[str, ...] = ()


def _way_in(access: Access) -> _WayIn:
    if isinstance(access, WebhookAccess):
        return _WayIn(access="webhook", user=_user_of(access.url))
    tokens = access.tokens or Tokens(access="", refresh="", access_expires=0)
    return _WayIn(access="application", client_id=access.client_id, user=tokens.user, scopes=tokens.scopes)


def _user_of(url: str) -> int:
    """Return the user in whose name a webhook works: the first number in its path."""
    return next((int(part) for part in urlsplit(url).path.split("/") if part.isdigit() and len(part) < 18), 0)
