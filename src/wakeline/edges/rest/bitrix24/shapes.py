"""Rules that the portal's request types share."""

from __future__ import annotations

from typing import Annotated

import msgspec

from wakeline.edges.bitrix24.scopes import ALL
from wakeline.edges.rest.operations import Call
from wakeline.model.bitrix24.access import PortalUser
from wakeline.model.errors import NotFound

UserId = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1, description="a user of the portal")]
ScopeName = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_.]{0,62}(?!\n)$", description="a scope of Bitrix24")]
Scopes = Annotated[tuple[ScopeName, ...], msgspec.Meta(max_length=100)]
Users = Annotated[tuple[UserId, ...], msgspec.Meta(max_length=1000)]


def once(scopes: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return scopes, each once; None means all that methods of ours ask for."""
    return ALL if scopes is None else tuple(dict.fromkeys(scopes))


async def user_for(call: Call, number: int, *, admin: bool) -> PortalUser:
    """Return the user for whom a door is made: made himself if absent; `admin` makes him an administrator."""
    access = call.ports.portal
    found = await access.user(number) or PortalUser(id=number, created=call.now)
    wanted = msgspec.structs.replace(found, admin=found.admin or admin)
    if wanted != await access.user(number):
        await access.put_user(wanted)
    return wanted


def number_in(path: str) -> int:
    """Return the number in a path. Raises NotFound: what is no number names nothing."""
    if path.isascii() and path.isdigit() and len(path) <= 18:
        return int(path)
    raise NotFound(f"there is no {path[:64]!r} here")
