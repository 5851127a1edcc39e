"""`wakeline bitrix24 portal connect` and its like: other people's portals, which we are connected to."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter
from msgspec import UNSET
from rich.console import RenderableType

from wakeline.cli.bitrix24.portal import portal, show_ours
from wakeline.cli.choosing import AppOption, chosen
from wakeline.cli.context import Ctx
from wakeline.cli.printing import facts, table
from wakeline.edges.rest.bitrix24.connected import ConnectedView
from wakeline.edges.rest.bitrix24.connecting import ConnectionPatch, NewConnection, VerifiedView
from wakeline.edges.rest.bitrix24.installations import ConnectedList
from wakeline.model.bitrix24.installation import BY_MEMBER_ID, InstallationState
from wakeline.model.errors import ConfigError

_STDIN = "-"

ClientSecret = Annotated[
    str | None,
    Parameter(env_var="WAKELINE_BITRIX24_CLIENT_SECRET", show_env_var=False, allow_leading_hyphen=True),
]
Secret = Annotated[str | None, Parameter(allow_leading_hyphen=True)]
"""`-` reads it from standard input: others can read a command line."""


def _drawn(one: ConnectedView) -> RenderableType:
    """Return a connected portal as people read it."""
    return facts(
        [
            ("number", one.id),
            ("title", one.title),
            ("portal", one.host),
            ("member id", one.member_id),
            ("state", one.state.value),
            ("cause", one.cause),
            ("access", one.access),
            ("client id", one.client_id),
            ("works as user", one.user or ""),
            ("scopes", one.scopes),
            ("app", one.app),
            ("users", _users(one)),
            ("handler URL", one.handler),
            ("authorize at", one.authorize),
            ("events wanted", one.events),
            ("events proven", one.proven),
            ("events queued", one.offline),
            ("mirrored", one.mirror),
            ("telephony", one.telephony),
            ("known until", one.reached),
            ("connected", one.created),
        ]
    )


def _said(value: str) -> str:
    """Return what a flag says, or the next line of standard input."""
    return sys.stdin.readline().strip() if value == _STDIN else value


def _users(one: ConnectedView) -> str:
    if one.prefix == BY_MEMBER_ID:
        return "its member id, a colon and their number, as soon as the id is known"
    return f"{one.prefix}7 is its user 7"


def _check_application(client_id: str, client_secret: str | None) -> None:
    """Raise ConfigError (a usage error) where what an application needs is not given."""
    if not client_id:
        raise ConfigError(
            "--client-id of the application is missing.",
            fix="Copy it from the portal's page of the application; or give the whole address of an incoming webhook.",
        )
    if not client_secret:
        raise ConfigError(
            "The client secret of the application is missing.",
            fix="Set WAKELINE_BITRIX24_CLIENT_SECRET, or write it to standard input: --client-secret -",
        )


@portal.command
async def connect(
    address: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    app: AppOption = None,
    client_id: str = "",
    client_secret: ClientSecret = None,
    application_token: Secret = None,
    title: str = "",
    prefix: str | None = None,
    mirror: bool = False,
    telephony: bool = False,
    context: Ctx,
) -> None:
    """Connect a Bitrix24 portal, by an incoming webhook of it or as an application of it.

    Parameters
    ----------
    address
        The address of the incoming webhook, https://acme.bitrix24.com/rest/1/.../; - reads it from standard input, where nobody
        sees it. Or the portal's host, with --client-id and --client-secret.
    client_id
        Of the application, from the portal's page of it.
    client_secret
        Of the application. Others can read a command line; better set WAKELINE_BITRIX24_CLIENT_SECRET.
    application_token
        What the portal shows beside the outgoing webhook, - from standard input; its events are proven by it. An application's
        comes by itself.
    title
        To recognise the portal by.
    prefix
        What stands before the number of a user of the portal to make one of our users; its member id and a colon if not given.
    mirror
        Keep its users and records in our own portal too.
    telephony
        Register calls of its users there.
    """
    said = _said(address)
    webhook = "/rest/" in said
    if not webhook:
        _check_application(client_id, client_secret)
    async with context.gateway() as gateway:
        new = NewConnection(
            app=await chosen(gateway, app),
            url=said if webhook else "",
            domain="" if webhook else said,
            client_id=client_id,
            # Set in the environment for another portal, it is not meant for a webhook.
            client_secret="" if webhook and not client_id else _said(client_secret or ""),
            application_token=_said(application_token or ""),
            title=title,
            prefix=prefix,
            mirror=mirror,
            telephony=telephony,
        )
        made: ConnectedView = await gateway.call("bitrix24.installation.connect", body=new)
    context.printer.result(made, lambda: _drawn(made))
    if made.state is InstallationState.WAITING and not context.printer.as_json:
        context.printer.remark("Now install the application on the portal: its handler URL is the one above.")


@portal.command(name="list")
async def list_(*, context: Ctx) -> None:
    """List the connected portals."""
    async with context.gateway() as gateway:
        found: ConnectedList = await gateway.call("bitrix24.installation.list")
    columns = ("number", "title", "portal", "access", "app", "users", "state", "cause", "mirrored", "known until")
    rows = [
        (
            *(one.id, one.title, one.host, one.access, one.app, f"{one.prefix}7"),
            *(one.state.value, one.cause, one.mirror, one.reached),
        )
        for one in found.installations
    ]
    context.printer.result(found, lambda: table(columns, rows))


@portal.command
async def show(portal: str | None = None, /, *, context: Ctx) -> None:
    """Show our own portal, or a connected one.

    Parameters
    ----------
    portal
        The number of a connected portal, from `wakeline bitrix24 portal list`.
    """
    if portal is None:
        await show_ours(context)
        return
    async with context.gateway() as gateway:
        found: ConnectedView = await gateway.call("bitrix24.installation.show", installation=portal)
    context.printer.result(found, lambda: _drawn(found))


@portal.command
async def change(
    portal: str,
    /,
    *,
    app: Annotated[str | None, Parameter(name="--app")] = None,
    title: str | None = None,
    prefix: str | None = None,
    default_prefix: bool = False,
    mirror: Annotated[bool | None, Parameter(negative="--no-mirror")] = None,
    telephony: Annotated[bool | None, Parameter(negative="--no-telephony")] = None,
    url: Secret = None,
    client_secret: Secret = None,
    application_token: Secret = None,
    context: Ctx,
) -> None:
    """Change a connected portal; what is not given stays.

    Parameters
    ----------
    portal
        Its number, from `wakeline bitrix24 portal list`.
    app
        The app through which its rules send.
    title
        To recognise the portal by.
    prefix
        What stands before the number of a user of the portal to make one of our users; may be empty.
    default_prefix
        The portal's member id and a colon again.
    mirror
        Whether its users and records are kept in our own portal too.
    telephony
        Whether calls of its users are registered there.
    url
        A new incoming webhook of the same portal; - reads it from standard input.
    client_secret
        Of the application; - reads it from standard input.
    application_token
        What the portal shows beside the outgoing webhook; - reads it from standard input.
    """
    if prefix is not None and default_prefix:
        raise ConfigError("--prefix and --default-prefix exclude each other.", fix="Give one of them.")
    chosen_prefix = None if default_prefix else UNSET if prefix is None else prefix
    patch = ConnectionPatch(
        app=UNSET if app is None else app,
        title=UNSET if title is None else title,
        prefix=chosen_prefix,
        mirror=UNSET if mirror is None else mirror,
        telephony=UNSET if telephony is None else telephony,
        url=UNSET if url is None else _said(url),
        client_secret=UNSET if client_secret is None else _said(client_secret),
        application_token=UNSET if application_token is None else _said(application_token),
    )
    async with context.gateway() as gateway:
        changed: ConnectedView = await gateway.call("bitrix24.installation.change", body=patch, installation=portal)
    context.printer.result(changed, lambda: _drawn(changed))


@portal.command
async def verify(portal: str, /, *, context: Ctx) -> None:
    """Ask a portal who it is, bring a dead one back, and have it post the events that rules wish for.

    Parameters
    ----------
    portal
        Its number, from `wakeline bitrix24 portal list`.
    """
    async with context.gateway() as gateway:
        found: VerifiedView = await gateway.call("bitrix24.installation.verify", installation=portal)
    context.printer.result(found, lambda: _drawn(found.portal))
    if found.bound and not context.printer.as_json:
        context.printer.remark(f"It posts {', '.join(found.bound)}.")


@portal.command
async def remove(portal: str, /, *, context: Ctx) -> None:
    """Forget a connected portal, with its rules, recorded events and writes.

    Parameters
    ----------
    portal
        Its number, from `wakeline bitrix24 portal list`.
    """
    async with context.gateway() as gateway:
        await gateway.call("bitrix24.installation.remove", installation=portal)
    context.printer.result({"removed": portal}, lambda: f"The portal {portal} is forgotten.")
