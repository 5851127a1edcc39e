"""Events in mesibo's envelope, version 2, for receivers that were written for mesibo.

    {"server": "mesibo", "id": 15, "v": 2, "aid": 1, "ts": <ms>,
     "events": [{"type": "push", "user": {"uid": 0, "address": "alice"}, "status": "failed",
                 "request": {...}, "response": {"code": 410, ...}, ...}]}

`response.code` is what such a receiver looks at: the push service's HTTP status, or a number above 900 where the gateway itself
refused. Our ids and `outcome` stand beside. mesibo has no types for what is about no push: those keep ours, and have `data`.

Source: mesibo, "Real-time Webhooks" (envelope) and "Troubleshooting push notifications" (the push event and its codes).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from wakeline.model.event import Event, EventData, EventType, ReceivedResponse
from wakeline.model.outcome import Outcome
from wakeline.wire.event_json import EventDataView, SentRequestView, sent_view, view

_PUSH = "push."
_OK = 200
_encode = msgspec.json.Encoder().encode


class User(msgspec.Struct, frozen=True, kw_only=True):
    """Whose push it was; `uid` is mesibo's own number, which nobody here has."""

    address: str
    uid: int = 0


class PushEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="push"):
    """What became of one push. `status`: accepted, failed, expired, cancelled, superseded, skipped, acknowledged or opened."""

    user: User
    status: str
    response: ReceivedResponse
    request: SentRequestView | None = None
    users: tuple[str, ...] = ()
    notification: str = ""
    delivery: str = ""
    device: str = ""
    target: str = ""
    kind: str = ""
    outcome: Outcome | None = None
    attempts: int = 0
    note: str = ""


class OtherEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What is about no push."""

    type: EventType
    data: EventDataView


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """A message. `id`: the event's number in the journal; `aid`: the app's number, 0 for what belongs to none; `ts`: Unix ms."""

    server: str = "mesibo"
    id: int
    v: int = 2
    aid: int
    ts: int
    events: Sequence[PushEvent | OtherEvent]


def write(event: Event, *, aid: int, credential: str) -> bytes:
    """Write an event in the envelope; `aid` is the app's number, `credential` as for `event_json.view`."""
    told = (
        _push(event.type.removeprefix(_PUSH), event.data) if event.type.startswith(_PUSH) else _other(event, credential)
    )
    return _encode(Envelope(id=max(event.seq, 0), aid=aid, ts=event.at, events=(told,)))


def _push(status: str, data: EventData) -> PushEvent:
    return PushEvent(
        user=User(address=data.users[0] if data.users else ""),
        status=status,
        response=data.response or _response(data.outcome),
        request=None if data.request is None else sent_view(data.request),
        users=data.users[1:] and data.users,
        notification=data.notification,
        delivery=data.delivery,
        device=data.device,
        target=data.target,
        kind=data.kind,
        outcome=data.outcome,
        attempts=data.attempts,
        note=data.note,
    )


def _response(outcome: Outcome | None) -> ReceivedResponse:
    """Return the answer of a push whose exchange was not recorded: its status and reason are known all the same."""
    if outcome is None:
        return ReceivedResponse(code=0)
    return ReceivedResponse(
        code=outcome.status or outcome.code or (_OK if outcome.accepted else 0), reason=outcome.reason
    )


def _other(event: Event, credential: str) -> OtherEvent:
    return OtherEvent(type=event.type, data=view(event, credential).data)
