"""`wakeline queue`: how much waits, and letting go what is held."""

from __future__ import annotations

from rich.console import Group, RenderableType

from wakeline.cli.context import Ctx
from wakeline.cli.noun import noun
from wakeline.cli.printing import facts, table
from wakeline.edges.rest.queue import QueueView, ReleaseBody, ReleasedView

app = noun("queue", "What waits to be sent.")


def _view(shown: QueueView) -> RenderableType:
    return Group(
        facts([("waiting", f"{shown.pending} of at most {shown.max_pending} deliveries")]),
        table(
            ("route", "lane", "jobs", "deliveries", "at a provider", "oldest due"),
            [(one.route, one.lane, one.jobs, one.deliveries, one.leased, one.oldest) for one in shown.lanes],
        ),
    )


@app.command
async def show(*, context: Ctx) -> None:
    """Show how much waits on each route and lane."""
    async with context.gateway() as gateway:
        shown: QueueView = await gateway.call("queue.show")
    context.printer.result(shown, lambda: _view(shown))


@app.command
async def release(*, app: str | None = None, context: Ctx) -> None:
    """Release every held route: what waits on them goes out.

    Parameters
    ----------
    app
        Only the routes of this app.
    """
    async with context.gateway() as gateway:
        released: ReleasedView = await gateway.call("queue.release", body=ReleaseBody(app=app))
    context.printer.result(released, lambda: f"{len(released.released)} routes are released.")
