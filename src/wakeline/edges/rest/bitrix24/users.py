"""Users of the portal: who may sign in, and in whose name applications and webhooks work.

A user's number is also the user of our registry: `push.add` to 7 reaches the devices of the user "7".
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from wakeline.edges.bitrix24.secrets import password_hash
from wakeline.edges.rest.bitrix24.shapes import UserId, number_in
from wakeline.edges.rest.moments import moment
from wakeline.edges.rest.operations import Answer, Call, Idempotent, Operation, Reach
from wakeline.edges.rest.shapes import PRINTABLE, Name, Strict, View
from wakeline.model.bitrix24.access import PortalUser
from wakeline.model.errors import Conflict, NotFound
from wakeline.model.key import Scope

Login = Annotated[str, msgspec.Meta(max_length=255, pattern=PRINTABLE)]
Password = Annotated[str, msgspec.Meta(min_length=8, max_length=1024)]
Line = Annotated[str, msgspec.Meta(max_length=255, pattern=PRINTABLE)]
_SAME = ("login", "admin", "name", "last_name", "email")
Gender = Annotated[str, msgspec.Meta(pattern=r"^[MF]?(?!\n)$")]


class NewUser(Strict, frozen=True, kw_only=True):
    """A user to be made. Who has a `login` and a `password` may sign in for an application."""

    id: UserId
    login: Login = ""
    password: Password | None = None
    admin: bool = False
    name: Name = ""
    last_name: Name = ""
    email: Line = ""


class UserPatch(Strict, frozen=True, kw_only=True):
    """What to change of a user; what is absent stays. `password` null takes it away; who is not `active` may do nothing."""

    login: Login | UnsetType = UNSET
    password: Password | UnsetType | None = UNSET
    admin: bool | UnsetType = UNSET
    active: bool | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    last_name: Name | UnsetType = UNSET
    email: Line | UnsetType = UNSET
    gender: Gender | UnsetType = UNSET
    photo: Annotated[str, msgspec.Meta(max_length=2000, pattern=PRINTABLE)] | UnsetType = UNSET
    time_zone: Line | UnsetType = UNSET
    work_position: Line | UnsetType = UNSET
    personal_mobile: Line | UnsetType = UNSET
    inner_phone: Line | UnsetType = UNSET


class PortalUserView(View, frozen=True, kw_only=True):
    """A user of the portal. `signs_in`: login and password are there."""

    id: int
    login: str
    signs_in: bool
    admin: bool
    active: bool
    name: str
    last_name: str
    email: str
    gender: str
    photo: str
    time_zone: str
    work_position: str
    personal_mobile: str
    inner_phone: str
    created: datetime


class PortalUserList(View, frozen=True, kw_only=True):
    """All users of the portal, by id."""

    users: tuple[PortalUserView, ...]


def view(user: PortalUser) -> PortalUserView:
    """Return a user as the world sees it."""
    return PortalUserView(
        id=user.id,
        login=user.login,
        signs_in=bool(user.login and user.password),
        admin=user.admin,
        active=user.active,
        name=user.name,
        last_name=user.last_name,
        email=user.email,
        gender=user.gender,
        photo=user.photo,
        time_zone=user.time_zone,
        work_position=user.work_position,
        personal_mobile=user.personal_mobile,
        inner_phone=user.inner_phone,
        created=moment(user.created),
    )


async def create(call: Call) -> Answer:
    """Make a user; the same one again is answered as it is."""
    new: NewUser = call.body
    there = await call.ports.portal.user(new.id)
    if there is not None and new.password is None and all(getattr(there, name) == getattr(new, name) for name in _SAME):
        return Answer(body=view(there))
    if there is not None:
        raise Conflict(f"the user {new.id} exists and differs", pointer="/id", fix="PATCH changes a user.")
    user = PortalUser(
        id=new.id,
        login=new.login,
        password=await password_hash(new.password) if new.password else "",
        admin=new.admin,
        name=new.name,
        last_name=new.last_name,
        email=new.email,
        created=call.now,
    )
    await _put(call, user)
    return Answer(status=201, body=view(user))


async def list_all(call: Call) -> Answer:
    """List the users."""
    return Answer(body=PortalUserList(users=tuple(view(user) for user in await call.ports.portal.users())))


async def change(call: Call) -> Answer:
    """Change a user."""
    number = number_in(call.path["user"])
    found = await call.ports.portal.user(number)
    if found is None:
        raise NotFound(f"there is no user {number} on the portal", fix="`GET /v1/bitrix24/users` lists them.")
    patch: UserPatch = call.body
    given = {name: value for name, value in msgspec.structs.asdict(patch).items() if value is not UNSET}
    if "password" in given:
        given["password"] = await password_hash(given["password"]) if given["password"] else ""
    changed = msgspec.structs.replace(found, **given)
    await _put(call, changed)
    return Answer(body=view(changed))


async def _put(call: Call, user: PortalUser) -> None:
    try:
        await call.ports.portal.put_user(user)
    except Conflict as error:
        raise Conflict(error.detail, pointer="/login", fix="Choose another login.") from None


OPERATIONS = (
    Operation(
        name="bitrix24.user.create",
        method="POST",
        path="/v1/bitrix24/users",
        handler=create,
        summary="Make a user of the Bitrix24 portal",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        request=NewUser,
        response=PortalUserView,
        status=(201, 200),
        idempotent=Idempotent.STORED,
        problems=(Conflict,),
    ),
    Operation(
        name="bitrix24.user.list",
        method="GET",
        path="/v1/bitrix24/users",
        handler=list_all,
        summary="List the users of the Bitrix24 portal",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        response=PortalUserList,
    ),
    Operation(
        name="bitrix24.user.change",
        method="PATCH",
        path="/v1/bitrix24/users/{user}",
        handler=change,
        summary="Change a user of the Bitrix24 portal",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        request=UserPatch,
        response=PortalUserView,
        problems=(Conflict,),
    ),
)
