"""`wakeline bitrix24 application`: who works on the portal in its users' names, and through which app it sends."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from msgspec import UNSET
from rich.console import RenderableType

from wakeline.cli.bitrix24.lists import Words, numbers, words
from wakeline.cli.choosing import AppOption, chosen
from wakeline.cli.context import Ctx
from wakeline.cli.noun import noun
from wakeline.cli.printing import facts, table
from wakeline.edges.rest.bitrix24.applications import (
    ApplicationList,
    ApplicationPatch,
    ApplicationView,
    MadeApplication,
    NewApplication,
)
from wakeline.model.errors import ConfigError

application = noun("application", "Applications of the portal.")


def _facts(one: ApplicationView) -> list[tuple[str, object]]:
    return [
        ("client id", one.client_id),
        ("name", one.name),
        ("app", one.app),
        ("redirect uri", one.redirect_uri),
        ("scopes", one.scopes),
        ("users", one.users or "all"),
        ("manifest", one.manifest),
        ("created", one.created),
    ]


def _drawn(one: ApplicationView) -> RenderableType:
    return facts(_facts(one))


@application.command
async def create(
    *,
    name: str,
    app: AppOption = None,
    redirect_uri: str = "",
    scope: Words = None,
    users: Words = None,
    context: Ctx,
) -> None:
    """Make an application; its secret is shown this once.

    Parameters
    ----------
    name
        What people call it, and the title of its pushes.
    redirect_uri
        Where users come back after signing in, letter by letter: https://... or the scheme of a mobile app, myapp://...
    scope
        What it may use, such as crm,pull; all if not given.
    users
        The only users who may use it, such as 1,7; everyone if not given.
    """
    async with context.gateway() as gateway:
        new = NewApplication(
            name=name,
            app=await chosen(gateway, app),
            redirect_uri=redirect_uri,
            scopes=words(scope) if scope else None,
            users=numbers(users, "--users"),
        )
        made: MadeApplication = await gateway.call("bitrix24.application.create", body=new)
    context.printer.result(
        {"client_id": made.client_id, "client_secret": made.client_secret},
        lambda: facts(
            [
                *_facts(made),
                ("client secret", made.client_secret),
                ("application token", made.application_token),
                ("", "Keep them now: they are not shown again."),
            ]
        ),
    )


@application.command(name="list")
async def list_(*, context: Ctx) -> None:
    """List the applications; their secrets are not kept."""
    async with context.gateway() as gateway:
        found: ApplicationList = await gateway.call("bitrix24.application.list")
    columns = ("client id", "name", "app", "redirect uri", "scopes", "users", "manifest", "created")
    rows = [[value for _, value in _facts(one)] for one in found.applications]
    context.printer.result(found, lambda: table(columns, rows))


@application.command(name="set")
async def set_(
    application: str,
    /,
    *,
    name: str | None = None,
    app: Annotated[str | None, Parameter(name="--app")] = None,
    redirect_uri: str | None = None,
    scope: Words = None,
    users: Words = None,
    everyone: bool = False,
    manifest: Annotated[bool | None, Parameter(negative="--no-manifest")] = None,
    context: Ctx,
) -> None:
    """Change an application; what is not given stays.

    Parameters
    ----------
    application
        Its client id.
    name
        What people call it; without a name it cannot send pushes.
    app
        The app through which it sends.
    redirect_uri
        Where users come back after signing in.
    scope
        What it may use; a token that is out loses what is taken away when it is renewed.
    users
        The only users who may use it.
    everyone
        It is open to all users again.
    manifest
        Whether its manifest is available.
    """
    if everyone and users:
        raise ConfigError("--everyone and --users exclude each other.", fix="Give one of them.")
    patch = ApplicationPatch(
        name=UNSET if name is None else name,
        app=UNSET if app is None else app,
        redirect_uri=UNSET if redirect_uri is None else redirect_uri,
        scopes=words(scope) if scope else UNSET,
        users=numbers(users, "--users") if users or everyone else UNSET,
        manifest=UNSET if manifest is None else manifest,
    )
    async with context.gateway() as gateway:
        changed: ApplicationView = await gateway.call(
            "bitrix24.application.change", body=patch, application=application
        )
    context.printer.result(changed, lambda: _drawn(changed))


@application.command
async def delete(application: str, /, *, context: Ctx) -> None:
    """Forget an application; its tokens are useless at once.

    Parameters
    ----------
    application
        Its client id.
    """
    async with context.gateway() as gateway:
        await gateway.call("bitrix24.application.delete", application=application)
    context.printer.result({"deleted": application}, lambda: f"The application {application} is forgotten.")
