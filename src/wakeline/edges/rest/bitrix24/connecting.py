"""Connecting other people's Bitrix24 portals: by an incoming webhook of theirs, or as an application installed there.

A webhook is tried before it is kept. An application is kept first and waits for its installation, which the portal tells us.
"""

from __future__ import annotations

import secrets
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from wakeline.edges.rest.bitrix24 import way_in
from wakeline.edges.rest.bitrix24.connected import ConnectedView, found, view
from wakeline.edges.rest.operations import Answer, Call, Idempotent, Operation, Reach
from wakeline.edges.rest.shapes import PRINTABLE, Name, Slug, Strict, View
from wakeline.model.bitrix24.installation import (
    BY_MEMBER_ID,
    ApplicationAccess,
    Installation,
    InstallationState,
    WebhookAccess,
)
from wakeline.model.errors import Conflict, InvalidRequest, NotFound, PortalError, PortalUnreachable
from wakeline.model.key import Scope
from wakeline.wire.bitrix24.endpoints import host_of

Url = Annotated[str, msgspec.Meta(max_length=1000, pattern=PRINTABLE)]
Secret = Annotated[str, msgspec.Meta(max_length=255, pattern=r"^[A-Za-z0-9._~-]*(?!\n)$")]
Prefix = Annotated[
    str,
    msgspec.Meta(max_length=100, pattern=PRINTABLE, description="what stands before a portal's number of a user"),
]


class NewConnection(Strict, frozen=True, kw_only=True):
    """A portal to be connected: `url` of an incoming webhook, or `domain`, `client_id` and `client_secret` of an application.

    `app`: the app through which its rules send. `application_token`: what the portal shows beside an outgoing webhook; events
    are proven by it, and an application's comes with its installation. `prefix` null: the portal's member id and a colon.
    `mirror`: its users and records are kept in our own portal, of one connected portal at most. `telephony`: calls of its users
    are registered there.
    """

    app: Slug
    url: Url = ""
    domain: Url = ""
    client_id: Secret = ""
    client_secret: Secret = ""
    application_token: Secret = ""
    title: Name = ""
    prefix: Prefix | None = None
    mirror: bool = False
    telephony: bool = False


class ConnectionPatch(Strict, frozen=True, kw_only=True):
    """What to change of a connected portal; what is absent stays. `prefix` null: the portal's member id and a colon.

    A new `url` is tried before it takes the place of the webhook that was there.
    """

    app: Slug | UnsetType = UNSET
    title: Name | UnsetType = UNSET
    prefix: Prefix | UnsetType | None = UNSET
    mirror: bool | UnsetType = UNSET
    telephony: bool | UnsetType = UNSET
    url: Url | UnsetType = UNSET
    client_secret: Secret | UnsetType = UNSET
    application_token: Secret | UnsetType = UNSET


class VerifiedView(View, frozen=True, kw_only=True):
    """A connected portal that answered, and the events that it posts to us; with a webhook it cannot be asked for any."""

    portal: ConnectedView
    bound: tuple[str, ...]


async def connect(call: Call) -> Answer:
    """Connect a portal."""
    new: NewConnection = call.body
    access, endpoint = way_in.read(call, new)
    way_in.only_one(call, access, endpoint)
    if new.mirror:
        way_in.no_other_mirror(call, None)
    installation = Installation(
        id=0,
        name=secrets.token_hex(12),
        app=_app(call, new.app),
        access=access,
        client_endpoint=endpoint,
        application_token=new.application_token,
        prefix=BY_MEMBER_ID if new.prefix is None else new.prefix,
        title=new.title,
        mirror=new.mirror,
        telephony=new.telephony,
        created=call.now,
    )
    way_in.users_of_its_own(call, installation)
    if isinstance(access, WebhookAccess):
        installation = await call.ports.connected.portals.verify(installation)
    kept = await call.ports.connected.installations.create(installation)
    call.ports.connected.portals.connected(kept.id)
    return Answer(status=201, body=view(call, kept))


async def change(call: Call) -> Answer:
    """Change a connected portal."""
    one, patch = found(call), call.body
    given: dict[str, Any] = {name: value for name, value in msgspec.structs.asdict(patch).items() if value is not UNSET}
    if "app" in given:
        given["app"] = _app(call, given["app"])
    if "prefix" in given:
        given["prefix"] = _prefix(one, given["prefix"])
    if given.get("mirror"):
        way_in.no_other_mirror(call, one)
    access = way_in.changed(call, one, given.pop("url", None), given.pop("client_secret", None))
    changed = msgspec.structs.replace(one, **given, access=access)
    if given.keys() & {"app", "prefix"}:
        way_in.users_of_its_own(call, changed)
    if isinstance(access, WebhookAccess) and access != one.access:
        changed = _same_portal(one, await call.ports.connected.portals.verify(changed))
    await call.ports.connected.installations.change(changed, of=one)
    call.ports.connected.portals.connected(one.id)
    call.ports.connected.portals.rules_changed()
    return Answer(body=view(call, found(call, str(one.id))))


async def verify(call: Call) -> Answer:
    """Ask a portal who it is, and have it post the events that rules wish for."""
    one = found(call)
    portals = call.ports.connected.portals
    if isinstance(one.access, ApplicationAccess) and one.access.tokens is None:
        raise Conflict(
            f"the application is not installed on {host_of(one.client_endpoint)}",
            fix=f"Install it there: its handler, and the address of its installation, is {view(call, one).handler}.",
        )
    verified = _same_portal(one, await portals.verify(one))
    await call.ports.connected.installations.change(verified, of=one)
    bound = await portals.bind(found(call, str(one.id)))
    return Answer(body=VerifiedView(portal=view(call, found(call, str(one.id))), bound=bound))


def _same_portal(one: Installation, verified: Installation) -> Installation:
    """Return what a portal said of itself. Raises Conflict if it is another portal than it was."""
    if one.member_id and verified.member_id != one.member_id:
        raise Conflict(
            f"the portal says that it is {verified.member_id or 'nobody'}, and it was {one.member_id}",
            fix="Remove the connection and connect that portal anew: its users are others.",
        )
    return msgspec.structs.replace(verified, state=InstallationState.ACTIVE, cause="")


def _prefix(one: Installation, wanted: str | None) -> str:
    if wanted is not None:
        return wanted
    return f"{one.member_id}:" if one.member_id else BY_MEMBER_ID


def _app(call: Call, slug: str) -> int:
    app = call.ports.apps.get(slug)
    if app is None:
        raise InvalidRequest(f"there is no app {slug!r}", pointer="/app", fix="Make it: `wakeline app create`.")
    return app.id


OPERATIONS = (
    Operation(
        name="bitrix24.installation.connect",
        method="POST",
        path="/v1/bitrix24/installations",
        handler=connect,
        summary="Connect a Bitrix24 portal, by an incoming webhook of it or as an application of it",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        request=NewConnection,
        response=ConnectedView,
        status=(201,),
        idempotent=Idempotent.STORED,
        problems=(NotFound, PortalError, PortalUnreachable),
    ),
    Operation(
        name="bitrix24.installation.change",
        method="PATCH",
        path="/v1/bitrix24/installations/{installation}",
        handler=change,
        summary="Change a connected Bitrix24 portal: what it is for, or how to get in",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        request=ConnectionPatch,
        response=ConnectedView,
        problems=(Conflict, PortalError, PortalUnreachable),
    ),
    Operation(
        name="bitrix24.installation.verify",
        method="POST",
        path="/v1/bitrix24/installations/{installation}/verify",
        handler=verify,
        summary="Ask a connected Bitrix24 portal who it is, and have it post the events that rules wish for",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        response=VerifiedView,
        idempotent=Idempotent.STORED,
        problems=(PortalError, PortalUnreachable),
    ),
)
