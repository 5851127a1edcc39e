"""The inbox of a phone: what was sent to it and it has not acknowledged, in order, so that it misses nothing.

A push service may keep only the last push for a phone that is off (Apple, "Viewing the status of push notifications": one is
stored for an app). An app asks here when it is opened, and acknowledges what it shows: that is what takes it off the list.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec

from wakeline.edges.rest.moments import moment
from wakeline.edges.rest.operations import Answer, Call, Operation, Reach
from wakeline.edges.rest.shapes import Strict, View
from wakeline.model import ids
from wakeline.model.app import App
from wakeline.model.delivery import DeliveryState
from wakeline.model.device import Device
from wakeline.model.errors import Conflict, InvalidRequest, NotAllowed, NotFound
from wakeline.model.key import Scope
from wakeline.model.notification import Alert, LiveActivity, PushType
from wakeline.model.notification import Call as Ringing
from wakeline.model.receipt import InboxItem

MOST = 100
"""Notifications on a page."""


class InboxQuery(Strict, frozen=True, kw_only=True):
    """Where the list goes on: behind the notification with the id `after`. With an API key, `app` and `device` say whose it is."""

    after: str = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST)] = 50
    app: str = ""
    device: str = ""


class InboxEntry(View, frozen=True, kw_only=True):
    """A notification as it was asked for, and what became of its push so far."""

    id: str
    type: PushType
    created: datetime
    expires: datetime
    state: DeliveryState
    call: Ringing | None
    alert: Alert | None
    liveactivity: LiveActivity | None
    data: dict[str, Any]
    collapse_id: str


class InboxView(View, frozen=True, kw_only=True):
    """A page, the oldest first; `next_after` continues, null at the end. A page may be short, or empty, and yet go on."""

    notifications: tuple[InboxEntry, ...]
    next_after: str | None


async def show(call: Call) -> Answer:
    """Show what a device has not acknowledged."""
    query: InboxQuery = call.query
    app, device_id = _whose(call, query)
    device = await call.ports.devices.get(app.id, device_id)
    if device is None:
        raise NotFound("there is no such device", fix="Have the app register it first.")
    _check_holder(call, device)
    if not app.settings.keep_content:
        raise Conflict(
            f"app {app.slug} keeps no content, so it has no inbox", fix=f"`wakeline app set {app.slug} --keep-content`."
        )
    page = await call.ports.pipeline.receiving.inbox(device, after=_after(query), limit=query.limit)
    following = None if page.cursor is None else ids.uuid_of(page.cursor)
    return Answer(body=InboxView(notifications=tuple(map(_entry, page.items)), next_after=following))


def _whose(call: Call, query: InboxQuery) -> tuple[App, str]:
    """Return app and device. Raises InvalidRequest, NotAllowed, NotFound."""
    grant = call.caller.grant
    if grant is None:
        if not query.app or not query.device:
            raise InvalidRequest(
                "whose inbox it is says a device token",
                pointer="/query",
                fix="With an API key give `app` and `device`.",
            )
        app = call.ports.apps.get(query.app) if call.caller.sees(query.app) else None
    else:
        app = call.ports.apps.by_id(grant.app)
        if query.device not in ("", grant.device_id) or query.app not in ("", app.slug if app is not None else ""):
            raise NotAllowed("this device token is for another device")
    if app is None:
        raise NotFound("there is no such app")
    return app, query.device or (grant.device_id if grant is not None else "")


def _check_holder(call: Call, device: Device) -> None:
    """Refuse a device token that was made for other people than those who hold the device now."""
    grant = call.caller.grant
    if grant is not None and set(grant.users) != set(device.users):
        raise NotAllowed(
            "the device is held by others now", fix="Ask your backend for a device token of the present user."
        )


def _after(query: InboxQuery) -> int:
    try:
        return ids.parse_key(query.after) if query.after else 0
    except NotFound:
        raise InvalidRequest(
            "`after` is the id of a notification", pointer="/query/after", fix="Use `next_after`, or leave it out."
        ) from None


def _entry(item: InboxItem) -> InboxEntry:
    notification, content = item.notification, item.notification.content
    return InboxEntry(
        id=ids.uuid_of(notification.key),
        type=content.type,
        created=moment(notification.created),
        expires=moment(notification.expires),
        state=item.delivery.state,
        call=content.call,
        alert=content.alert,
        liveactivity=content.liveactivity,
        data=content.data,
        collapse_id=content.collapse_id,
    )


OPERATIONS = (
    Operation(
        name="inbox.show",
        method="GET",
        path="/v1/inbox",
        handler=show,
        summary="Show what a phone has not acknowledged, in order",
        reach=Reach.FILTERED,
        scopes=(Scope.READ,),
        query=InboxQuery,
        response=InboxView,
        problems=(NotFound, Conflict),
        device_token=True,
    ),
)
