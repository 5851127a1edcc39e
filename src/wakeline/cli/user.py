"""`wakeline user`: the devices of a person, what limits them, and forgetting them."""

from __future__ import annotations

from rich.console import Group, RenderableType

from wakeline.cli.choosing import AppOption, chosen
from wakeline.cli.context import Ctx
from wakeline.cli.device import COLUMNS, row
from wakeline.cli.noun import noun
from wakeline.cli.printing import facts, table
from wakeline.edges.rest.limits import LimitsView
from wakeline.edges.rest.users import ErasedView, UserView

app = noun("user", "Users: the callers' own ids of people.")


def _view(shown: UserView) -> RenderableType:
    rows = [(*row(device), device.connected_until) for device in shown.devices]
    devices = table((*COLUMNS, "connected until"), rows, title=shown.user)
    if not shown.limited:
        return devices
    return Group(devices, table(("limited", "until"), [(one.type, one.until) for one in shown.limited]))


def _limits_view(shown: LimitsView) -> RenderableType:
    known = facts(
        [
            ("limits", "on" if shown.enabled else "off"),
            ("alerts", f"{shown.alert_per_hour} an hour, {shown.alert_burst} at once"),
            ("background", f"{shown.background_per_hour} an hour"),
            ("calls", f"{shown.call_per_minute} a minute"),
        ]
    )
    rows = [(one.user, one.type, one.until) for one in shown.limited]
    return Group(
        known,
        table(("user", "limited", "until"), rows),
        f"more: --cursor {shown.next_cursor}" if shown.next_cursor else "",
    )


@app.command
async def show(user: str, /, *, app: AppOption = None, context: Ctx) -> None:
    """Show the devices of a user, and what limits them."""
    async with context.gateway() as gateway:
        shown: UserView = await gateway.call("user.show", app=await chosen(gateway, app), user=user)
    context.printer.result(shown, lambda: _view(shown))


@app.command
async def limits(*, app: AppOption = None, cursor: str = "", limit: int = 50, context: Ctx) -> None:
    """Show what users of an app may get, and who may have no more for now.

    Parameters
    ----------
    cursor
        Where to go on, as the page before said.
    limit
        Users of a page.
    """
    async with context.gateway() as gateway:
        page = {"cursor": cursor, "limit": limit}
        shown: LimitsView = await gateway.call("app.limits", app=await chosen(gateway, app), query=page)
    context.printer.result(shown, lambda: _limits_view(shown))


@app.command
async def erase(user: str, /, *, app: AppOption = None, context: Ctx) -> None:
    """Forget a user and the devices that are only theirs."""
    async with context.gateway() as gateway:
        erased: ErasedView = await gateway.call("user.erase", app=await chosen(gateway, app), user=user)
    context.printer.result(erased, lambda: f"{user} is forgotten; {erased.devices} devices were theirs.")
