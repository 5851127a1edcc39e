"""Licence keys of self-hosted Bitrix24 portals: which app a portal's pushes are sent with."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Annotated

import msgspec

from wakeline.edges.rest.moments import moment
from wakeline.edges.rest.operations import Answer, Call, Idempotent, Operation, Reach
from wakeline.edges.rest.shapes import Name, Slug, Strict, View
from wakeline.model.bitrix24.broker import PortalKey, key_digest
from wakeline.model.errors import InvalidRequest, NotFound
from wakeline.model.key import Scope

_ENDING = 6
_SEND = "/bitrix24/send/"
_LONGEST_ID = 18

LicenceKey = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z0-9._~:+/=@-]{16,200}(?!\n)$",
        description="what the portal sends as `?key=`: 16 to 200 letters, digits and `._~:+/=@-`",
    ),
]
Bundle = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{0,155}(?!\n)$", description="a bundle id")]


class NewPortalKey(Strict, frozen=True, kw_only=True):
    """A licence key to be bound. Without `key` one is made; `topic`: the bundle id, if the app has credentials for several."""

    app: Slug
    key: LicenceKey | None = None
    name: Name = ""
    topic: Bundle = ""


class PortalSourceView(View, frozen=True, kw_only=True):
    """From where a portal came: its host as it says it, the address of its connection."""

    host: str
    address: str
    first: datetime
    seen: datetime


class PortalKeyView(View, frozen=True, kw_only=True):
    """A bound licence key without its text, which is not kept; `ending`: its last characters."""

    id: str
    app: str
    name: str
    topic: str
    ending: str
    created: datetime
    sources: tuple[PortalSourceView, ...]


class BoundPortalKey(PortalKeyView, frozen=True, kw_only=True):
    """A key that was bound now. `url` is what the portal's push service URL is set to; it bears the key."""

    key: str
    url: str


class PortalKeyList(View, frozen=True, kw_only=True):
    """All licence keys, oldest first."""

    keys: tuple[PortalKeyView, ...]


def view(call: Call, key: PortalKey) -> PortalKeyView:
    """Return a key as the world sees it."""
    app = call.ports.apps.by_id(key.app)
    return PortalKeyView(
        id=str(key.id),
        app=app.slug if app is not None else "",
        name=key.name,
        topic=key.topic,
        ending=key.ending,
        created=moment(key.created),
        sources=tuple(
            PortalSourceView(host=one.host, address=one.address, first=moment(one.first), seen=moment(one.seen))
            for one in reversed(key.sources)
        ),
    )


async def add(call: Call) -> Answer:
    """Bind a licence key to an app; its text is in this answer and nowhere else."""
    new: NewPortalKey = call.body
    app = call.ports.apps.get(new.app)
    if app is None:
        raise InvalidRequest(f"there is no app {new.app!r}", pointer="/app", fix="Make the app first.")
    text = new.key or secrets.token_hex(16)
    key = await call.ports.portal_keys.bind(
        PortalKey(
            id=0,
            app=app.id,
            digest=key_digest(text),
            ending=text[-_ENDING:],
            name=new.name,
            topic=new.topic,
            created=call.now,
        )
    )
    url = f"{call.ports.settings.server.public_url.rstrip('/')}{_SEND}?key={text}"
    shown = BoundPortalKey(**msgspec.structs.asdict(view(call, key)), key=text, url=url)
    return Answer(status=201, body=shown, secret=True, resource=str(key.id))


async def list_all(call: Call) -> Answer:
    """List licence keys."""
    return Answer(body=PortalKeyList(keys=tuple(view(call, key) for key in call.ports.portal_keys.all())))


async def remove(call: Call) -> Answer:
    """Make a licence key useless, at once."""
    wanted = call.path["key"]
    if not (wanted.isascii() and wanted.isdigit() and len(wanted) <= _LONGEST_ID):
        raise NotFound(f"there is no portal key {wanted[:64]!r}", fix="`GET /v1/bitrix24/keys` lists them.")
    await call.ports.portal_keys.remove(int(wanted))
    return Answer(status=204)


OPERATIONS = (
    Operation(
        name="bitrix24.key.add",
        method="POST",
        path="/v1/bitrix24/keys",
        handler=add,
        summary="Bind the licence key of a self-hosted Bitrix24 portal to an app",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        request=NewPortalKey,
        response=BoundPortalKey,
        status=(201,),
        idempotent=Idempotent.STORED,
    ),
    Operation(
        name="bitrix24.key.list",
        method="GET",
        path="/v1/bitrix24/keys",
        handler=list_all,
        summary="List the licence keys of portals, and from where they were used",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        response=PortalKeyList,
    ),
    Operation(
        name="bitrix24.key.remove",
        method="DELETE",
        path="/v1/bitrix24/keys/{key}",
        handler=remove,
        summary="Make the licence key of a portal useless",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        status=(204,),
    ),
)
