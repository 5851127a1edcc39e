"""API keys: made once and shown once, listed, revoked."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from wakeline.edges.rest.auth import new_key
from wakeline.edges.rest.moments import Moment, milliseconds, moment, moment_or_none
from wakeline.edges.rest.operations import Answer, Call, Idempotent, Operation, Reach
from wakeline.edges.rest.shapes import Name, Slug, Strict, View
from wakeline.model import ids
from wakeline.model.errors import InvalidRequest, NotFound
from wakeline.model.key import ApiKey, Scope


class NewKey(Strict, frozen=True, kw_only=True):
    """A key to be made. `apps`: the apps it is bound to; none means every app. `per_hour`: notifications it may send."""

    scopes: Annotated[tuple[Scope, ...], msgspec.Meta(min_length=1)]
    name: Name = ""
    apps: tuple[Slug, ...] = ()
    expires: Moment | None = None
    per_hour: Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)] | None = None


class KeyView(View, frozen=True, kw_only=True):
    """A key without its secret; `prefix` is how its text begins."""

    id: str
    name: str
    prefix: str
    scopes: tuple[Scope, ...]
    apps: tuple[str, ...]
    created: datetime
    expires: datetime | None
    revoked: datetime | None
    last_used: datetime | None
    per_hour: int | None


class MadeKey(KeyView, frozen=True, kw_only=True):
    """A new key. `key` is its text, shown this once."""

    key: str


class KeyList(View, frozen=True, kw_only=True):
    """All keys, revoked ones too."""

    keys: tuple[KeyView, ...]


def id_of(key: ApiKey) -> str:
    """Return the id by which the world knows a key."""
    return ids.uuid_at(key.created, key.id)


def view(key: ApiKey) -> KeyView:
    """Return a key as the world sees it."""
    return KeyView(
        id=id_of(key),
        name=key.name,
        prefix=key.prefix,
        scopes=key.scopes,
        apps=key.apps,
        created=moment(key.created),
        expires=moment_or_none(key.expires),
        revoked=moment_or_none(key.revoked),
        last_used=moment_or_none(key.last_used),
        per_hour=key.per_hour or None,
    )


async def create(call: Call) -> Answer:
    """Make a key; its text is in this answer and nowhere else."""
    new: NewKey = call.body
    _check(call, new)
    text, prefix, digest = new_key()
    key = await call.ports.keys.create(
        ApiKey(
            id=0,
            name=new.name,
            prefix=prefix,
            digest=digest,
            scopes=tuple(dict.fromkeys(new.scopes)),
            apps=tuple(dict.fromkeys(new.apps)),
            created=call.now,
            expires=None if new.expires is None else milliseconds(new.expires),
            per_hour=new.per_hour or 0,
        )
    )
    shown = MadeKey(**msgspec.structs.asdict(view(key)), key=text)
    return Answer(status=201, body=shown, secret=True, resource=id_of(key))


async def list_all(call: Call) -> Answer:
    """List keys."""
    return Answer(body=KeyList(keys=tuple(view(key) for key in call.ports.keys.all())))


async def revoke(call: Call) -> Answer:
    """Make a key useless, at once."""
    wanted = call.path["key"]
    for key in call.ports.keys.all():
        if wanted.lower() in (id_of(key), str(key.id)):
            await call.ports.keys.revoke(key.id, call.now)
            return Answer(status=204)
    raise NotFound(f"there is no key {wanted[:64]!r}", fix="`GET /v1/keys` lists them.")


def _check(call: Call, new: NewKey) -> None:
    for at, slug in enumerate(new.apps):
        if call.ports.apps.get(slug) is None:
            raise InvalidRequest(f"there is no app {slug!r}", pointer=f"/apps/{at}", fix="Make the app first.")
    if new.expires is not None and milliseconds(new.expires) <= call.now:
        raise InvalidRequest("this time is over", pointer="/expires")


OPERATIONS = (
    Operation(
        name="key.create",
        method="POST",
        path="/v1/keys",
        handler=create,
        summary="Make an API key; its text is shown once",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        request=NewKey,
        response=MadeKey,
        status=(201,),
        idempotent=Idempotent.STORED,
    ),
    Operation(
        name="key.list",
        method="GET",
        path="/v1/keys",
        handler=list_all,
        summary="List API keys",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        response=KeyList,
    ),
    Operation(
        name="key.revoke",
        method="DELETE",
        path="/v1/keys/{key}",
        handler=revoke,
        summary="Revoke an API key",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        status=(204,),
    ),
)
