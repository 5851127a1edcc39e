"""What a webhook was told: the delivery log, a message to try it out, and telling again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from wakeline.edges.rest import cursors
from wakeline.edges.rest.moments import Moment, milliseconds, moment, moment_or_none
from wakeline.edges.rest.operations import Answer, Call, Idempotent, Operation, Reach
from wakeline.edges.rest.shapes import PageQuery, Strict, View
from wakeline.edges.rest.webhooks.views import found
from wakeline.model.errors import Conflict, InvalidRequest
from wakeline.model.event import EventType
from wakeline.model.key import Scope
from wakeline.model.webhook import Endpoint, Message, MessageState
from wakeline.pipeline.webhooks.journal import MOST_REPLAYED

_SHIFT = 1 << 62
"""Cursors are positive, and numbers of tests are not."""


class WebhookDeliveryQuery(PageQuery, frozen=True, kw_only=True):
    """Which deliveries: those in this state."""

    state: MessageState | UnsetType = UNSET


class WebhookDelivery(View, frozen=True, kw_only=True):
    """A message to an endpoint. `id` is its `webhook-id`, the same for every try; `event` its number in the feed.

    `status` and `detail`: the last answer (0: none came, and why); `duration`: how long it took, in ms; `next_try`: of one
    that waits.
    """

    id: str
    event: int
    type: EventType
    app: str
    device: str
    state: MessageState
    tries: int
    status: int
    detail: str
    duration: int
    first_try: datetime | None
    changed: datetime
    next_try: datetime | None


class WebhookDeliveryList(View, frozen=True, kw_only=True):
    """Deliveries, the newest event first."""

    deliveries: tuple[WebhookDelivery, ...]
    next_cursor: str | None


class TriedView(View, frozen=True, kw_only=True):
    """What the endpoint said to a `webhook.test`: `status` 0 and `detail` if no answer came; `duration` in ms."""

    taken: bool
    status: int
    detail: str
    duration: int


class Replay(Strict, frozen=True, kw_only=True):
    """What to tell again: messages by `ids`, or all events of a range of time; its ends count."""

    ids: Annotated[tuple[str, ...], msgspec.Meta(max_length=MOST_REPLAYED)] = ()
    since: Moment | None = None
    until: Moment | None = None


class ReplayView(View, frozen=True, kw_only=True):
    """How many messages are told again: fewer than were named if the journal has forgotten some, or they were not told yet."""

    messages: int


async def deliveries(call: Call) -> Answer:
    """List what an endpoint was told, the newest first."""
    one, query = found(call), call.query
    state = None if query.state is UNSET else query.state
    of, key = f"deliveries {one.id} {state or ''}", call.ports.secrets.derive(cursors.PURPOSE)
    position = cursors.read(query.cursor, of, key)
    page = await call.ports.endpoints.log(
        one.id, state=state, cursor=position - _SHIFT if position else None, limit=query.limit
    )
    following = None if page.cursor is None else page.cursor + _SHIFT
    shown = tuple(_view(one, message) for message in page.messages)
    return Answer(body=WebhookDeliveryList(deliveries=shown, next_cursor=cursors.make(following, of, key)))


async def test(call: Call) -> Answer:
    """Send a `webhook.test` now, and say what came back."""
    said = await call.ports.pipeline.webhooks.try_now(found(call))
    return Answer(body=TriedView(taken=said.taken, status=said.status, detail=said.detail, duration=said.duration))


async def replay(call: Call) -> Answer:
    """Tell events again, under the ids they had."""
    one, wanted = found(call), call.body
    _check(wanted)
    count = await call.ports.pipeline.webhooks.replay(
        one,
        seqs=tuple(dict.fromkeys(_number(one, text, at) for at, text in enumerate(wanted.ids))),
        since=None if wanted.since is None else milliseconds(wanted.since),
        until=None if wanted.until is None else milliseconds(wanted.until),
    )
    return Answer(status=202, body=ReplayView(messages=count))


def _check(wanted: Replay) -> None:
    """Raise InvalidRequest unless it is said once what to tell again."""
    ranged = wanted.since is not None or wanted.until is not None
    if bool(wanted.ids) is ranged:
        raise InvalidRequest(
            "say which messages: by `ids`, or by `since` and `until`",
            pointer="/ids",
            fix="`ids` are those of the deliveries (`webhook-id`); a range may leave `until` out.",
        )
    if ranged and wanted.since is None:
        raise InvalidRequest("a range needs its beginning", pointer="/since")
    if wanted.since is not None and wanted.until is not None and wanted.until <= wanted.since:
        raise InvalidRequest("the range ends before it begins", pointer="/until")


def _number(one: Endpoint, text: str, at: int) -> int:
    """Return the number of the event that a `webhook-id`, or just a number, stands for. Raises InvalidRequest."""
    head, _, digits = text.rpartition("_")
    number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 19 else 0
    if number < 1 or (head and text != one.message_id(number)):
        raise InvalidRequest(
            f"{text[:80]!r} is no message of this webhook", pointer=f"/ids/{at}", fix="Its deliveries list their ids."
        )
    return number


def _view(one: Endpoint, message: Message) -> WebhookDelivery:
    return WebhookDelivery(
        id=one.message_id(message.seq),
        event=message.seq,
        type=message.type,
        app=message.app,
        device=message.lane.partition("/")[2],
        state=message.state,
        tries=message.tries,
        status=message.status,
        detail=message.detail,
        duration=message.duration,
        first_try=moment_or_none(message.first),
        changed=moment(message.at),
        next_try=moment_or_none(message.due) if message.state is MessageState.WAITING else None,
    )


_ONE = "/v1/webhooks/{webhook}"

OPERATIONS = (
    Operation(
        name="webhook.deliveries",
        method="GET",
        path=f"{_ONE}/deliveries",
        handler=deliveries,
        summary="List what a webhook was told, and what it answered",
        reach=Reach.FILTERED,
        scopes=(Scope.EVENTS,),
        query=WebhookDeliveryQuery,
        response=WebhookDeliveryList,
    ),
    Operation(
        name="webhook.test",
        method="POST",
        path=f"{_ONE}/test",
        handler=test,
        summary="Send a test event to a webhook now, and say what it answered",
        reach=Reach.FILTERED,
        scopes=(Scope.EVENTS,),
        response=TriedView,
        idempotent=Idempotent.STORED,
    ),
    Operation(
        name="webhook.replay",
        method="POST",
        path=f"{_ONE}/replay",
        handler=replay,
        summary="Tell a webhook again: messages by id, or all of a range of time",
        problems=(Conflict,),
        reach=Reach.FILTERED,
        scopes=(Scope.EVENTS,),
        request=Replay,
        response=ReplayView,
        status=(202,),
        idempotent=Idempotent.STORED,
    ),
)
