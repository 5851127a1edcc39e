"""Notifications that were taken: where they are, delivery by delivery, why, and stopping what is not sent."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from wakeline.doctor.explanation import Explanation
from wakeline.edges.rest import calls, cursors, explaining, notification_views
from wakeline.edges.rest.notification_views import DeliveryList, NotificationView
from wakeline.edges.rest.operations import Answer, Call, Operation
from wakeline.edges.rest.shapes import PageQuery, View
from wakeline.model import ids
from wakeline.model.delivery import DeliveryState
from wakeline.model.errors import NotFound
from wakeline.model.key import Scope
from wakeline.model.notification import Notification

_READERS = (Scope.READ, Scope.SEND)
_FIRST = 50


class DeliveryQuery(PageQuery, frozen=True, kw_only=True):
    """Which deliveries: those in this state."""

    state: DeliveryState | UnsetType = UNSET


class CancelledView(View, frozen=True, kw_only=True):
    """What a cancel reached: deliveries that are not sent any more, and how many were at a provider already."""

    id: str
    cancelled: int
    in_flight: int


async def show(call: Call) -> Answer:
    """Show where a notification is."""
    notification = await _existing(call)
    counts = await call.ports.ledger.counts(notification.key, call.now)
    page = await call.ports.ledger.deliveries(notification.key, now=call.now, limit=_FIRST)
    cursor = cursors.make(page.cursor, _list(notification, None), _key(call))
    return Answer(body=notification_views.notification(notification, call.app.slug, counts, page.deliveries, cursor))


async def deliveries(call: Call) -> Answer:
    """List the deliveries of a notification."""
    query: DeliveryQuery = call.query
    notification = await _existing(call)
    state = None if query.state is UNSET else query.state
    of = _list(notification, state)
    page = await call.ports.ledger.deliveries(
        notification.key,
        now=call.now,
        state=state,
        cursor=cursors.read(query.cursor, of, _key(call)),
        limit=query.limit,
    )
    shown = tuple(notification_views.delivery(one) for one in page.deliveries)
    return Answer(body=DeliveryList(deliveries=shown, next_cursor=cursors.make(page.cursor, of, _key(call))))


async def explain(call: Call) -> Answer:
    """Say why a notification is where it is."""
    notification = await _existing(call)
    return Answer(body=await explaining.explainer(call).notification(notification, call.app))


async def cancel(call: Call) -> Answer:
    """Stop what is not sent yet; a call is missed with that."""
    notification = await _existing(call)
    done = await call.ports.pipeline.cancel(call.app, notification.key)
    await calls.cancelled(call, notification)
    shown = CancelledView(id=ids.uuid_of(notification.key), cancelled=done.cancelled, in_flight=done.in_flight)
    return Answer(body=shown)


async def _existing(call: Call) -> Notification:
    wanted = call.path["notification"]
    notification = await call.ports.ledger.notification(ids.parse_key(wanted))
    if notification is None or notification.app != call.app.id:
        raise NotFound(
            f"the app {call.app.slug} has no notification {wanted[:64]}", fix="It may be older than the ledger keeps."
        )
    return notification


def _list(notification: Notification, state: DeliveryState | None) -> str:
    return f"deliveries {notification.key} {state or ''}"


def _key(call: Call) -> bytes:
    return call.ports.secrets.derive(cursors.PURPOSE)


_ONE = "/v1/apps/{app}/notifications/{notification}"

OPERATIONS = (
    Operation(
        name="notification.show",
        method="GET",
        path=_ONE,
        handler=show,
        summary="Show where a notification is, with its first 50 deliveries",
        scopes=_READERS,
        response=NotificationView,
    ),
    Operation(
        name="notification.deliveries",
        method="GET",
        path=f"{_ONE}/deliveries",
        handler=deliveries,
        summary="List the deliveries of a notification",
        scopes=_READERS,
        query=DeliveryQuery,
        response=DeliveryList,
    ),
    Operation(
        name="notification.explain",
        method="GET",
        path=f"{_ONE}/explain",
        handler=explain,
        summary="Say why a notification is where it is",
        scopes=_READERS,
        response=Explanation,
    ),
    Operation(
        name="notification.cancel",
        method="DELETE",
        path=_ONE,
        handler=cancel,
        summary="Stop what is not sent yet",
        scopes=(Scope.SEND,),
        response=CancelledView,
    ),
)
