"""Routes: what each waits for, and an operator's hold on it."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Annotated

import msgspec

from wakeline.edges.rest.credentials import id_of
from wakeline.edges.rest.moments import moment
from wakeline.edges.rest.operations import Answer, Call, Idempotent, Operation, Reach
from wakeline.edges.rest.shapes import Strict, View
from wakeline.model.errors import NotFound
from wakeline.model.key import Scope
from wakeline.model.route import Environment, Hold, HoldReason, ProviderKind, Route
from wakeline.pipeline import RouteStatus
from wakeline.ports import SenderStats


class HoldBody(Strict, frozen=True, kw_only=True):
    """Why a route is held, for whoever looks next."""

    cause: Annotated[str, msgspec.Meta(max_length=500)] = ""


class HoldView(View, frozen=True, kw_only=True):
    """Why a route waits, since when, with which code, and what to do."""

    reason: HoldReason
    code: int
    since: datetime
    cause: str
    fix: str


class RouteView(View, frozen=True, kw_only=True):
    """A route: what it is for, what stops it now, how much waits on it (deliveries), and how its connections are.

    `resting_until`: the push service asked for a rest, which calls do not keep; `next_probe`: when one that does not answer is
    asked again. `last_failure` and `last_goaway` say what last went wrong with a connection, perhaps long ago.
    """

    id: int
    app: str
    provider: ProviderKind
    environment: Environment
    topic: str
    credential: str | None
    hold: HoldView | None
    waiting: int
    resting_until: datetime | None
    next_probe: datetime | None
    connections: int
    in_flight: int
    last_failure: str
    last_goaway: str


class RouteList(View, frozen=True, kw_only=True):
    """Routes, held ones too."""

    routes: tuple[RouteView, ...]


def hold_view(hold: Hold | None) -> HoldView | None:
    """Return a hold as the world sees it."""
    if hold is None:
        return None
    return HoldView(reason=hold.reason, code=hold.code, since=moment(hold.since), cause=hold.cause, fix=hold.fix)


async def views(call: Call) -> tuple[RouteView, ...]:
    """Return the routes of the apps that the caller sees."""
    waiting: Counter[int] = Counter()
    for depth in await call.ports.queue.depth():
        waiting[depth.route] += depth.deliveries
    known = {status.route.id: status for status in call.ports.pipeline.routes()}
    return tuple(
        _view(call, route, slug, waiting[route.id], known.get(route.id))
        for route in call.ports.routes.all()
        if (slug := _slug(call, route)) is not None
    )


def _view(call: Call, route: Route, slug: str, waiting: int, status: RouteStatus | None) -> RouteView:
    stats = (status.stats if status else None) or SenderStats()
    credential = call.ports.credentials.get(status.credential) if status and status.credential else None
    return RouteView(
        id=route.id,
        app=slug,
        provider=route.provider,
        environment=route.environment,
        topic=route.topic,
        credential=id_of(credential) if credential else None,
        hold=hold_view(status.hold if status else route.hold),
        waiting=waiting,
        resting_until=_moment(status.resting_until if status else None),
        next_probe=_moment(status.probe_at if status else None),
        connections=stats.connections,
        in_flight=stats.in_flight,
        last_failure=stats.last_failure,
        last_goaway=stats.last_goaway,
    )


def _moment(at: int | None) -> datetime | None:
    return moment(at) if at is not None else None


async def list_all(call: Call) -> Answer:
    """List routes."""
    return Answer(body=RouteList(routes=await views(call)))


async def hold(call: Call) -> Answer:
    """Have a route wait until it is released; calls on it fail at once."""
    body: HoldBody = call.body
    route = _existing(call)
    await call.ports.pipeline.hold(route.id, body.cause)
    return await _shown(call, route)


async def release(call: Call) -> Answer:
    """Let a route go on, whatever it waited for."""
    route = _existing(call)
    await call.ports.pipeline.release(route.id)
    return await _shown(call, route)


def _slug(call: Call, route: Route) -> str | None:
    app = call.ports.apps.by_id(route.app)
    return app.slug if app is not None and call.caller.sees(app.slug) else None


def _existing(call: Call) -> Route:
    wanted = call.path["route"]
    if wanted.isascii() and wanted.isdigit() and len(wanted) < 19:
        route = call.ports.routes.get(int(wanted))
        if route is not None and _slug(call, route) is not None:
            return route
    raise NotFound(f"there is no route {wanted[:64]!r}", fix="`wakeline route list` shows them.")


async def _shown(call: Call, route: Route) -> Answer:
    return Answer(body=next(view for view in await views(call) if view.id == route.id))


OPERATIONS = (
    Operation(
        name="route.list",
        method="GET",
        path="/v1/routes",
        handler=list_all,
        summary="List routes and why they wait",
        reach=Reach.FILTERED,
        scopes=(Scope.READ,),
        response=RouteList,
    ),
    Operation(
        name="route.hold",
        method="POST",
        path="/v1/routes/{route}/hold",
        handler=hold,
        summary="Hold a route: its pushes wait until it is released",
        reach=Reach.FILTERED,
        scopes=(Scope.ADMIN,),
        request=HoldBody,
        response=RouteView,
        idempotent=Idempotent.STORED,
    ),
    Operation(
        name="route.release",
        method="POST",
        path="/v1/routes/{route}/release",
        handler=release,
        summary="Release a route: what waits on it goes out",
        reach=Reach.FILTERED,
        scopes=(Scope.ADMIN,),
        response=RouteView,
        idempotent=Idempotent.STORED,
    ),
)
