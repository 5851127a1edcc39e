"""`wakeline user`: the devices of a person, and forgetting them."""

from __future__ import annotations

from wakeline.cli.choosing import AppOption, chosen
from wakeline.cli.context import Ctx
from wakeline.cli.device import COLUMNS, row
from wakeline.cli.noun import noun
from wakeline.cli.printing import table
from wakeline.edges.rest.users import ErasedView, UserView

app = noun("user", "Users: the callers' own ids of people.")


@app.command
async def show(user: str, /, *, app: AppOption = None, context: Ctx) -> None:
    """Show the devices of a user."""
    async with context.gateway() as gateway:
        shown: UserView = await gateway.call("user.show", app=await chosen(gateway, app), user=user)
    context.printer.result(shown, lambda: table(COLUMNS, [row(device) for device in shown.devices], title=user))


@app.command
async def erase(user: str, /, *, app: AppOption = None, context: Ctx) -> None:
    """Forget a user and the devices that are only theirs."""
    async with context.gateway() as gateway:
        erased: ErasedView = await gateway.call("user.erase", app=await chosen(gateway, app), user=user)
    context.printer.result(erased, lambda: f"{user} is forgotten; {erased.devices} devices were theirs.")
