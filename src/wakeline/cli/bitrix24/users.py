"""`wakeline bitrix24 user`: users of the portal; their numbers are the users of the apps."""

from __future__ import annotations

from typing import Annotated, TypeVar

from cyclopts import Parameter
from msgspec import UNSET, UnsetType
from rich.console import RenderableType

from wakeline.cli.context import Ctx
from wakeline.cli.noun import noun
from wakeline.cli.printing import facts, table
from wakeline.edges.rest.bitrix24.users import NewUser, PortalUserList, PortalUserView, UserPatch

user = noun("user", "Users of the portal.")

T = TypeVar("T")
Password = Annotated[str | None, Parameter(env_var="WAKELINE_BITRIX24_PASSWORD", show_env_var=False)]

_COLUMNS = ("id", "login", "signs in", "admin", "active", "name", "last name", "created")


def _row(one: PortalUserView) -> tuple[object, ...]:
    return (one.id, one.login, one.signs_in, one.admin, one.active, one.name, one.last_name, one.created)


@user.command
async def create(
    *,
    id: int,  # noqa: A002 - the name of the flag
    admin: bool = False,
    login: str = "",
    password: Password = None,
    name: str = "",
    last_name: str = "",
    email: str = "",
    context: Ctx,
) -> None:
    """Make a user.

    Parameters
    ----------
    id
        Its number, which is also the user of the apps: a push to 7 reaches the devices of user 7.
    admin
        An administrator may send pushes.
    login
        With a password: who signs in so lets applications work in its name.
    password
        Of at least 8 characters. Others can read a command line; better set WAKELINE_BITRIX24_PASSWORD.
    name
        First name.
    last_name
        Last name.
    email
        Address.
    """
    new = NewUser(id=id, admin=admin, login=login, password=password, name=name, last_name=last_name, email=email)
    async with context.gateway() as gateway:
        made: PortalUserView = await gateway.call("bitrix24.user.create", body=new)
    context.printer.result(made, lambda: _drawn(made))


@user.command(name="list")
async def list_(*, context: Ctx) -> None:
    """List the users."""
    async with context.gateway() as gateway:
        found: PortalUserList = await gateway.call("bitrix24.user.list")
    context.printer.result(found, lambda: table(_COLUMNS, [_row(one) for one in found.users]))


@user.command(name="set")
async def set_(
    user: int,
    /,
    *,
    admin: Annotated[bool | None, Parameter(negative="--no-admin")] = None,
    active: Annotated[bool | None, Parameter(negative="--no-active")] = None,
    login: str | None = None,
    password: Password = None,
    name: str | None = None,
    last_name: str | None = None,
    email: str | None = None,
    photo: str | None = None,
    mobile: str | None = None,
    inner_phone: str | None = None,
    context: Ctx,
) -> None:
    """Change a user; what is not given stays.

    Parameters
    ----------
    user
        Its number.
    admin
        Whether it is an administrator.
    active
        Whether it may do anything; its tokens and webhooks are refused if not.
    login
        By which it signs in.
    password
        Of at least 8 characters; empty takes it away. Better set WAKELINE_BITRIX24_PASSWORD.
    name
        First name.
    last_name
        Last name.
    email
        Address.
    photo
        Address of a picture.
    mobile
        Number of a mobile phone.
    inner_phone
        Extension, by which telephony finds the user.
    """
    patch = UserPatch(
        admin=_given(admin),
        active=_given(active),
        login=_given(login),
        password=UNSET if password is None else password or None,
        name=_given(name),
        last_name=_given(last_name),
        email=_given(email),
        photo=_given(photo),
        personal_mobile=_given(mobile),
        inner_phone=_given(inner_phone),
    )
    async with context.gateway() as gateway:
        changed: PortalUserView = await gateway.call("bitrix24.user.change", body=patch, user=str(user))
    context.printer.result(changed, lambda: _drawn(changed))


def _given(value: T | None) -> T | UnsetType:
    return UNSET if value is None else value


def _drawn(one: PortalUserView) -> RenderableType:
    return facts(list(zip(_COLUMNS, _row(one), strict=True)))
