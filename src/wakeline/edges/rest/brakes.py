"""Brakes: why a route was stopped because too many of its tokens looked dead, letting it go on, and undoing what doubt did."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from wakeline.edges.rest import routes
from wakeline.edges.rest.moments import Moment, milliseconds, moment, moment_or_none
from wakeline.edges.rest.operations import Answer, Call, Idempotent, Operation, Reach
from wakeline.edges.rest.routes import HoldView, RouteView
from wakeline.edges.rest.shapes import Limit, Slug, Strict, View
from wakeline.model.brake import BrakeEpisode
from wakeline.model.errors import NotFound
from wakeline.model.key import Scope
from wakeline.model.route import Environment, ProviderKind


class BrakeState(StrEnum):
    """How a brake stands."""

    CLOSED = "closed"
    RELEASED = "released"
    UNDONE = "undone"


class BrakeQuery(Strict, frozen=True, kw_only=True):
    """Whose brakes, and how many of them, the newest first."""

    app: Slug = ""
    limit: Limit = 50


class ReasonView(View, frozen=True, kw_only=True):
    """How many answers gave a reason."""

    reason: str
    count: int


class BrakeView(View, frozen=True, kw_only=True):
    """One closing of a route's brake.

    Of the `answers` from `began` to `closed_at`, `doubtful` doubted their token, of `distinct` targets; `share` is that as a
    fraction, `usual_share` that of the week before. `repaired` targets were active again as it closed, `restored` more by an
    undo. `hold` is what stops the route now, `waiting` the deliveries that wait on it.
    """

    id: int
    app: str
    route: int
    provider: ProviderKind
    environment: Environment
    topic: str
    state: BrakeState
    began: datetime
    closed_at: datetime
    released_at: datetime | None
    undone_at: datetime | None
    answers: int
    doubtful: int
    distinct: int
    share: float
    usual_share: float
    reasons: tuple[ReasonView, ...]
    repaired: int
    restored: int
    hold: HoldView | None
    waiting: int


class BrakeList(View, frozen=True, kw_only=True):
    """Brakes, the newest first."""

    brakes: tuple[BrakeView, ...]


class UndoBody(Strict, frozen=True, kw_only=True):
    """What to undo: what doubt felled from the first of the answers that closed the brake until its release.

    `since` and `until` give other times; `all` takes proof (410, FCM's UNREGISTERED) back as well.
    """

    since: Moment | None = None
    until: Moment | None = None
    all: bool = False


class UndoneView(View, frozen=True, kw_only=True):
    """How many targets are active again, and the brake."""

    restored: int
    brake: BrakeView


async def list_some(call: Call) -> Answer:
    """List brakes, the newest first."""
    query: BrakeQuery = call.query
    if query.app and (call.ports.apps.get(query.app) is None or not call.caller.sees(query.app)):
        raise NotFound(f"there is no app {query.app!r}", pointer="/query/app")
    known = await _routes(call)
    shown = [
        view
        for episode in call.ports.pipeline.undo.episodes()
        if (view := _view(episode, known)) is not None and query.app in ("", view.app)
    ]
    return Answer(body=BrakeList(brakes=tuple(shown[: query.limit])))


async def release(call: Call) -> Answer:
    """Let a braked route go on; its window begins anew."""
    episode = await call.ports.pipeline.undo.release(await _existing(call))
    return Answer(body=_view(episode, await _routes(call)))


async def undo(call: Call) -> Answer:
    """Make active again what doubt felled, and let the route go on."""
    body: UndoBody = call.body
    episode, restored = await call.ports.pipeline.undo.undo(
        await _existing(call),
        since=None if body.since is None else milliseconds(body.since),
        until=None if body.until is None else milliseconds(body.until),
        everything=body.all,
    )
    view = _view(episode, await _routes(call))
    if view is None:
        raise _unknown(call)
    return Answer(body=UndoneView(restored=restored, brake=view))


async def _routes(call: Call) -> dict[int, RouteView]:
    """Return the routes of the apps that the caller sees, by id."""
    return {view.id: view for view in await routes.views(call)}


def _view(episode: BrakeEpisode, known: Mapping[int, RouteView]) -> BrakeView | None:
    """Return an episode as the world sees it; None if its app is not the caller's to see."""
    route = known.get(episode.route)
    if route is None:
        return None
    return BrakeView(
        id=episode.id,
        app=route.app,
        route=episode.route,
        provider=episode.provider,
        environment=episode.environment,
        topic=episode.topic,
        state=_state(episode),
        began=moment(episode.began),
        closed_at=moment(episode.closed_at),
        released_at=moment_or_none(episode.released_at),
        undone_at=moment_or_none(episode.undone_at),
        answers=episode.answers,
        doubtful=episode.doubtful,
        distinct=episode.distinct,
        share=round(episode.share, 4),
        usual_share=round(episode.usual, 4),
        reasons=tuple(ReasonView(reason=one.reason, count=one.count) for one in episode.reasons),
        repaired=episode.repaired,
        restored=episode.restored,
        hold=route.hold,
        waiting=route.waiting,
    )


def _state(episode: BrakeEpisode) -> BrakeState:
    if episode.undone_at is not None:
        return BrakeState.UNDONE
    return BrakeState.CLOSED if episode.released_at is None else BrakeState.RELEASED


async def _existing(call: Call) -> int:
    """Return the id of the path, of an episode that the caller may see. Raises NotFound."""
    wanted = call.path["brake"]
    if wanted.isascii() and wanted.isdigit() and len(wanted) < 19:
        known = await _routes(call)
        for episode in call.ports.pipeline.undo.episodes():
            if episode.id == int(wanted) and episode.route in known:
                return episode.id
    raise _unknown(call)


def _unknown(call: Call) -> NotFound:
    return NotFound(f"there is no brake {call.path['brake'][:64]!r}", fix="`wakeline brake list` shows them.")


OPERATIONS = (
    Operation(
        name="brake.list",
        method="GET",
        path="/v1/brakes",
        handler=list_some,
        summary="List brakes that closed: why, and what became of it",
        reach=Reach.FILTERED,
        scopes=(Scope.READ,),
        query=BrakeQuery,
        response=BrakeList,
        problems=(NotFound,),
    ),
    Operation(
        name="brake.release",
        method="POST",
        path="/v1/brakes/{brake}/release",
        handler=release,
        summary="Let a braked route go on: what waits on it goes out",
        reach=Reach.FILTERED,
        scopes=(Scope.ADMIN,),
        response=BrakeView,
        idempotent=Idempotent.STORED,
    ),
    Operation(
        name="brake.undo",
        method="POST",
        path="/v1/brakes/{brake}/undo",
        handler=undo,
        summary="Make active again what doubt felled around a brake, and let its route go on",
        reach=Reach.FILTERED,
        scopes=(Scope.ADMIN,),
        request=UndoBody,
        response=UndoneView,
        idempotent=Idempotent.STORED,
    ),
)
