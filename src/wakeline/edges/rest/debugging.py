"""The debug window of an app: open it, look at it, close it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from wakeline.edges.rest.moments import moment_or_none
from wakeline.edges.rest.operations import Answer, Call, Operation
from wakeline.edges.rest.shapes import Strict, View
from wakeline.model.debug import DebugWindow
from wakeline.model.errors import Conflict
from wakeline.model.key import Scope

_LONGEST = 30 * 86_400


class DebugBody(Strict, frozen=True, kw_only=True):
    """For how long; without `seconds`, as long as `[debug]` allows."""

    seconds: Annotated[int, msgspec.Meta(ge=1, le=_LONGEST, description="closes earlier if [debug] says so")] | None = (
        None
    )


class DebugView(View, frozen=True, kw_only=True):
    """How the debug window of an app is.

    `since` and `until` are of the present window, or of the last one; `until` is null while it is open without end. `next_at`:
    when it may be opened again, null if it may now. `recorded` requests took `spent_ms` milliseconds of processor time.
    """

    open: bool
    since: datetime | None
    until: datetime | None
    next_at: datetime | None
    recorded: int
    spent_ms: float


def view(window: DebugWindow) -> DebugView:
    """Return a window as the world sees it."""
    return DebugView(
        open=window.open,
        since=moment_or_none(window.since),
        until=moment_or_none(window.until),
        next_at=moment_or_none(window.next_at),
        recorded=window.recorded,
        spent_ms=window.spent,
    )


async def show(call: Call) -> Answer:
    """Show the debug window of an app."""
    return Answer(body=view(call.ports.pipeline.debug.state(call.app)))


async def begin(call: Call) -> Answer:
    """Open the debug window of an app."""
    body: DebugBody = call.body
    return Answer(body=view(await call.ports.pipeline.debug.open(call.app, seconds=body.seconds)))


async def end(call: Call) -> Answer:
    """Close the debug window of an app."""
    return Answer(body=view(await call.ports.pipeline.debug.close(call.app)))


OPERATIONS = (
    Operation(
        name="app.debug",
        method="GET",
        path="/v1/apps/{app}/debug",
        handler=show,
        summary="Show an app's debug window, and what it cost",
        scopes=(Scope.READ,),
        response=DebugView,
    ),
    Operation(
        name="app.debug_on",
        method="PUT",
        path="/v1/apps/{app}/debug",
        handler=begin,
        summary="Open an app's debug window: events carry the request and the answer of every push",
        scopes=(Scope.ADMIN,),
        request=DebugBody,
        response=DebugView,
        problems=(Conflict,),
    ),
    Operation(
        name="app.debug_off",
        method="DELETE",
        path="/v1/apps/{app}/debug",
        handler=end,
        summary="Close an app's debug window",
        scopes=(Scope.ADMIN,),
        response=DebugView,
    ),
)
