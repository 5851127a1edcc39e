"""The queue as a whole: how much waits where, and releasing everything that is held."""

from __future__ import annotations

from datetime import datetime

from wakeline.edges.rest.moments import moment_or_none
from wakeline.edges.rest.operations import Answer, Call, Idempotent, Operation, Reach
from wakeline.edges.rest.routes import views
from wakeline.edges.rest.shapes import Slug, Strict, View
from wakeline.model.errors import NotFound
from wakeline.model.key import Scope


class LaneView(View, frozen=True, kw_only=True):
    """What waits on one route and lane; `leased` deliveries are at a provider. Route 0: audiences being walked."""

    route: int
    lane: str
    jobs: int
    deliveries: int
    leased: int
    oldest: datetime | None


class QueueView(View, frozen=True, kw_only=True):
    """What waits in all; beyond `max_pending` callers get 503."""

    pending: int
    max_pending: int
    lanes: tuple[LaneView, ...]


class ReleaseBody(Strict, frozen=True, kw_only=True):
    """Which routes: those of this app, or all."""

    app: Slug | None = None


class ReleasedView(View, frozen=True, kw_only=True):
    """The routes that were held and go on now."""

    released: tuple[int, ...]


async def show(call: Call) -> Answer:
    """Say how much waits."""
    lanes = tuple(
        LaneView(
            route=depth.route,
            lane=depth.lane.name.lower(),
            jobs=depth.jobs,
            deliveries=depth.deliveries,
            leased=depth.leased,
            oldest=moment_or_none(depth.oldest),
        )
        for depth in await call.ports.queue.depth()
    )
    limit = call.ports.settings.queue.max_pending
    return Answer(body=QueueView(pending=await call.ports.queue.pending(), max_pending=limit, lanes=lanes))


async def release(call: Call) -> Answer:
    """Release every held route, of one app or of all that the caller sees."""
    body: ReleaseBody = call.body
    if body.app is not None and (not call.caller.sees(body.app) or call.ports.apps.get(body.app) is None):
        raise NotFound(f"there is no app {body.app!r}", pointer="/app")
    held = [
        route.id
        for route in await views(call)
        if route.hold is not None and (body.app is None or route.app == body.app)
    ]
    for route in held:
        await call.ports.pipeline.release(route)
    return Answer(body=ReleasedView(released=tuple(held)))


OPERATIONS = (
    Operation(
        name="queue.show",
        method="GET",
        path="/v1/queue",
        handler=show,
        summary="Say how much waits on each route and lane",
        reach=Reach.INSTALLATION,
        scopes=(Scope.READ,),
        response=QueueView,
    ),
    Operation(
        name="queue.release",
        method="POST",
        path="/v1/queue/release",
        handler=release,
        summary="Release every held route",
        reach=Reach.FILTERED,
        scopes=(Scope.ADMIN,),
        request=ReleaseBody,
        response=ReleasedView,
        idempotent=Idempotent.STORED,
        problems=(NotFound,),
    ),
)
