"""Which app a command is about: the one named with `--app`, or the only one there is."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from wakeline.cli.client import Client
from wakeline.edges.rest.apps import AppList
from wakeline.model.errors import ConfigError, NotFound

AppOption = Annotated[str | None, Parameter(name="--app", help="The app's id; may be left out if there is only one.")]


async def chosen(gateway: Client, app: str | None) -> str:
    """Return the app that is meant. Raises NotFound if there is none, ConfigError (a usage error) if it has to be named."""
    if app is not None:
        return app
    found: AppList = await gateway.call("app.list")
    match found.apps:
        case (only,):
            return only.id
        case ():
            raise NotFound("There is no app yet.", fix="Make one with `wakeline app create SLUG`.")
        case several:
            names = ", ".join(one.id for one in several)
            raise ConfigError(f"There are several apps ({names}).", fix="Say which with --app.")
