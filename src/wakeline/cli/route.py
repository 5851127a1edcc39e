"""`wakeline route`: provider, environment and topic of an app: what waits there, and an operator's hold on it."""

from __future__ import annotations

from wakeline.cli.context import Ctx
from wakeline.cli.noun import noun
from wakeline.cli.printing import table
from wakeline.edges.rest.routes import HoldBody, RouteList, RouteView

app = noun("route", "Routes and the holds on them.")
_COLUMNS = (
    "route",
    "app",
    "provider",
    "environment",
    "topic",
    "waiting",
    "held by",
    "code",
    "cause",
    "fix",
    "rests until",
)


def _row(route: RouteView) -> tuple[object, ...]:
    hold = route.hold
    held = (hold.reason, hold.code, hold.cause, hold.fix) if hold else ("", "", "", "")
    rest = route.resting_until or route.next_probe or ""
    return (route.id, route.app, route.provider, route.environment, route.topic, route.waiting, *held, rest)


@app.command(name="list")
async def list_(*, context: Ctx) -> None:
    """List routes and why they wait."""
    async with context.gateway() as gateway:
        found: RouteList = await gateway.call("route.list")
    context.printer.result(found, lambda: table(_COLUMNS, [_row(one) for one in found.routes]))


@app.command
async def hold(route: int, /, *, cause: str = "", context: Ctx) -> None:
    """Hold a route: its pushes wait until it is released, its calls fail at once.

    Parameters
    ----------
    route
        Its number, from `wakeline route list`.
    cause
        Why, for whoever looks next.
    """
    async with context.gateway() as gateway:
        held: RouteView = await gateway.call("route.hold", body=HoldBody(cause=cause), route=str(route))
    context.printer.result(held, lambda: table(_COLUMNS, [_row(held)]))


@app.command
async def release(route: int, /, *, context: Ctx) -> None:
    """Release a route, whatever it waited for: what waits on it goes out.

    Parameters
    ----------
    route
        Its number, from `wakeline route list`.
    """
    async with context.gateway() as gateway:
        released: RouteView = await gateway.call("route.release", route=str(route))
    context.printer.result(released, lambda: table(_COLUMNS, [_row(released)]))
