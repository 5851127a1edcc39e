"""Events that connected portals had: recorded with what became of them, and taken once more if an operator wants it."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from wakeline.edges.rest import cursors
from wakeline.edges.rest.bitrix24.connected import found, list_key
from wakeline.edges.rest.bitrix24.shapes import number_in
from wakeline.edges.rest.moments import moment, moment_or_none
from wakeline.edges.rest.operations import Answer, Call, Idempotent, Operation, Reach
from wakeline.edges.rest.shapes import PageQuery, View
from wakeline.model.bitrix24.inbox import EventState, Origin, ReceivedEvent
from wakeline.model.errors import Conflict, NotFound
from wakeline.model.key import Scope

EventName = Annotated[
    str, msgspec.Meta(pattern=r"^[A-Za-z][A-Za-z0-9_:.]{0,99}(?!\n)$", description="such as ONCRMDEALUPDATE")
]


class ReceivedQuery(PageQuery, frozen=True, kw_only=True):
    """Which events: of this name, in this state."""

    event: EventName | UnsetType = UNSET
    state: EventState | UnsetType = UNSET


class ReceivedView(View, frozen=True, kw_only=True):
    """An event. `raised`: when it happened there; `record` and `user`: numbers of the portal, 0: none.

    `origin` says how it became known, `cause` why nothing came of it, `notifications` what it became.
    """

    id: int
    event: str
    data: Any
    record: int
    user: int
    origin: Origin
    state: EventState
    attempts: int
    raised: datetime
    received: datetime
    due: datetime | None
    cause: str
    notifications: tuple[str, ...]


class ReceivedList(View, frozen=True, kw_only=True):
    """Events, the newest first."""

    events: tuple[ReceivedView, ...]
    next_cursor: str | None


def view(event: ReceivedEvent) -> ReceivedView:
    """Return an event as the world sees it."""
    return ReceivedView(
        id=event.id,
        event=event.event,
        data=msgspec.json.decode(event.data) if event.data else None,
        record=event.record,
        user=event.user,
        origin=event.origin,
        state=event.state,
        attempts=event.attempts,
        raised=moment(event.at),
        received=moment(event.received),
        due=moment_or_none(event.due) if event.state is EventState.WAITING else None,
        cause=event.cause,
        notifications=event.notifications,
    )


async def list_some(call: Call) -> Answer:
    """List recorded events, the newest first."""
    one, query = found(call), call.query
    name = None if query.event is UNSET else query.event.upper()
    state = None if query.state is UNSET else query.state
    of = f"received {one.id} {name or ''} {state or ''}"
    events = await call.ports.connected.inbox.recorded(
        installation=one.id,
        event=name,
        state=state,
        before=cursors.read(query.cursor, of, list_key(call)) or None,
        limit=query.limit,
    )
    more = events[-1].id if len(events) == query.limit else None
    shown = tuple(view(event) for event in events)
    return Answer(body=ReceivedList(events=shown, next_cursor=cursors.make(more, of, list_key(call))))


async def show(call: Call) -> Answer:
    """Show a recorded event."""
    return Answer(body=view(await recorded(call)))


async def resend(call: Call) -> Answer:
    """Take a recorded event as if it came once more: rules as they are now are applied to the record as it is now."""
    event = await recorded(call)
    if event.state is EventState.WAITING:
        raise Conflict(
            f"the event {event.id} still waits", fix="It is tried by itself; `due` says when. Nothing has to be done."
        )
    inbox, identity = call.ports.connected.inbox, _anew(event, call.now)
    again = msgspec.structs.replace(
        event,
        id=0,
        identity=identity,
        origin=Origin.RESENT,
        state=EventState.WAITING,
        received=call.now,
        due=call.now,
        attempts=0,
        cause="",
        notifications=(),
    )
    await inbox.put([again])
    call.ports.connected.portals.ring(event.installation)
    kept = await inbox.by_identity(event.installation, identity)
    if kept is None:
        raise NotFound("the portal was removed meanwhile", fix="Connect it anew.")
    return Answer(status=202, body=view(kept))


async def recorded(call: Call) -> ReceivedEvent:
    """Return the event of the path. Raises NotFound."""
    one = found(call)
    event = await call.ports.connected.inbox.by_id(number_in(call.path["event"]))
    if event is None or event.installation != one.id:
        raise NotFound(
            f"the portal {one.id} has no recorded event {call.path['event'][:64]!r}",
            fix=f"`GET /v1/bitrix24/installations/{one.id}/events` lists them; old ones are forgotten.",
        )
    return event


def _anew(event: ReceivedEvent, now: int) -> bytes:
    """Return an identity that the same event has if it is taken once more at this moment."""
    return hashlib.sha256(event.identity + event.id.to_bytes(8) + now.to_bytes(8)).digest()[:16]


_ALL = "/v1/bitrix24/installations/{installation}/events"
_ONE = f"{_ALL}/{{event}}"

OPERATIONS = (
    Operation(
        name="bitrix24.received.list",
        method="GET",
        path=_ALL,
        handler=list_some,
        summary="List events of a connected Bitrix24 portal, and what became of them",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        query=ReceivedQuery,
        response=ReceivedList,
    ),
    Operation(
        name="bitrix24.received.show",
        method="GET",
        path=_ONE,
        handler=show,
        summary="Show an event of a connected Bitrix24 portal",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        response=ReceivedView,
    ),
    Operation(
        name="bitrix24.received.resend",
        method="POST",
        path=f"{_ONE}/resend",
        handler=resend,
        summary="Take an event of a connected Bitrix24 portal once more",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        response=ReceivedView,
        status=(202,),
        idempotent=Idempotent.STORED,
    ),
)
