"""`wakeline brake`: routes that were stopped because too many of their tokens looked dead."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from cyclopts import Parameter

from wakeline.cli.client import Client
from wakeline.cli.context import Ctx
from wakeline.cli.moments import utc
from wakeline.cli.noun import noun
from wakeline.cli.printing import table
from wakeline.edges.rest.brakes import BrakeList, BrakeView, UndoBody, UndoneView
from wakeline.model.errors import ConfigError, NotFound

app = noun("brake", "Routes stopped because too many tokens looked dead.")

_COLUMNS = (
    "brake",
    "app",
    "route",
    "provider",
    "environment",
    "topic",
    "state",
    "closed",
    "doubtful",
    "usual",
    "reasons",
    "repaired",
    "waiting",
)

RouteOption = Annotated[int | None, Parameter(name="--route", help="Instead of its number: the latest of this route.")]


def _row(one: BrakeView) -> tuple[object, ...]:
    where = (one.id, one.app, one.route, one.provider, one.environment, one.topic)
    doubtful = f"{one.doubtful} of {one.answers} ({one.distinct} tokens)"
    reasons = [f"{reason.reason} {reason.count}" for reason in one.reasons]
    share = f"{one.usual_share:.1%}"
    return (*where, one.state, one.closed_at, doubtful, share, reasons, one.repaired + one.restored, one.waiting)


@app.command(name="list")
async def list_(
    *,
    app: Annotated[str | None, Parameter(name="--app", help="Only those of this app.")] = None,
    limit: int = 50,
    context: Ctx,
) -> None:
    """List brakes that closed, the newest first: why, and what became of it.

    Parameters
    ----------
    limit
        How many at most, up to 500.
    """
    async with context.gateway() as gateway:
        found: BrakeList = await gateway.call("brake.list", query={"app": app, "limit": limit})
    context.printer.result(found, lambda: table(_COLUMNS, [_row(one) for one in found.brakes]))


@app.command
async def release(brake: int | None = None, /, *, route: RouteOption = None, context: Ctx) -> None:
    """Let a braked route go on: what waits on it goes out, and its answers are counted anew.

    Parameters
    ----------
    brake
        Its number, from `wakeline brake list`.
    """
    async with context.gateway() as gateway:
        released: BrakeView = await gateway.call("brake.release", brake=await _meant(gateway, brake, route))
    context.printer.result(released, lambda: table(_COLUMNS, [_row(released)]))


@app.command
async def undo(
    brake: int | None = None,
    /,
    *,
    route: RouteOption = None,
    since: datetime | None = None,
    until: datetime | None = None,
    all: bool = False,  # noqa: A002 - the name of the flag
    context: Ctx,
) -> None:
    """Make active again the tokens that doubt felled around a brake, and let its route go on.

    Parameters
    ----------
    brake
        Its number, from `wakeline brake list`.
    since
        From when on, instead of the first of the answers that closed it; UTC unless it says otherwise.
    until
        Until when, instead of its release.
    all
        Also what was proven: 410s, and FCM's UNREGISTERED.
    """
    body = UndoBody(since=utc(since), until=utc(until), all=all)
    async with context.gateway() as gateway:
        undone: UndoneView = await gateway.call("brake.undo", body=body, brake=await _meant(gateway, brake, route))
    context.printer.result(undone, lambda: table(_COLUMNS, [_row(undone.brake)]))
    if not context.printer.as_json:
        context.printer.remark(f"{undone.restored} tokens are active again.")


async def _meant(gateway: Client, brake: int | None, route: int | None) -> str:
    """Return the number of the brake that is meant. Raises NotFound, ConfigError (a usage error)."""
    if (brake is None) is (route is None):
        raise ConfigError("Say which brake: its number, or --route.", fix="`wakeline brake list` shows both.")
    if brake is not None:
        return str(brake)
    found: BrakeList = await gateway.call("brake.list", query={"limit": 500})
    for one in found.brakes:
        if one.route == route:
            return str(one.id)
    raise NotFound(f"The brake of route {route} never closed.", fix="`wakeline brake list` shows those that did.")
