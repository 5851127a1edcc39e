"""An event as the world sees it: the one shape of the live feed and of webhooks.

    {"type": "push.failed", "timestamp": "2026-03-01T12:00:00.250Z", "data": {...}}

Rule: never a token and never message text, but for the request that was recorded as it was sent to a push service.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from wakeline.model.event import Event, EventType, ReceivedResponse, SentRequest
from wakeline.model.outcome import Outcome

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_encode = msgspec.json.Encoder().encode


class SentRequestView(msgspec.Struct, frozen=True, kw_only=True):
    """The request that was sent to a push service: authorization redacted, token masked; `body` as written."""

    method: str
    url: str
    headers: dict[str, str]
    body: str


class EventDataView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an event is about; only what applies is there. Never a token; message text in a recorded `request` alone."""

    app: str = ""
    notification: str = ""
    delivery: str = ""
    device: str = ""
    users: tuple[str, ...] = ()
    target: str = ""
    kind: str = ""
    outcome: Outcome | None = None
    attempts: int = 0
    credential: str = ""
    route: str = ""
    note: str = ""
    request: SentRequestView | None = None
    response: ReceivedResponse | None = None


class EventView(msgspec.Struct, frozen=True, kw_only=True):
    """An event, in the shape that webhooks have too."""

    type: EventType
    timestamp: datetime
    data: EventDataView


def sent_view(request: SentRequest) -> SentRequestView:
    """Return a recorded request; of a header that was sent more than once, the values are joined (RFC 9110 section 5.3)."""
    headers: dict[str, str] = {}
    for name, value in request.headers:
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return SentRequestView(method=request.method, url=request.url, headers=headers, body=request.body)


def view(event: Event, credential: str) -> EventView:
    """Return an event as the world sees it; `credential` is the public id of the one it is about."""
    data = event.data
    shown = EventDataView(
        app=event.app,
        notification=data.notification,
        delivery=data.delivery,
        device=data.device,
        users=data.users,
        target=data.target,
        kind=data.kind,
        outcome=data.outcome,
        attempts=data.attempts,
        credential=credential,
        route=data.route,
        note=data.note,
        request=None if data.request is None else sent_view(data.request),
        response=data.response,
    )
    return EventView(type=event.type, timestamp=_EPOCH + timedelta(milliseconds=event.at), data=shown)


def write(event: Event, credential: str) -> bytes:
    """Write an event; `credential` as for `view`."""
    return _encode(view(event, credential))
