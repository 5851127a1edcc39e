"""Webhook endpoints: who is told of events, and how each telling went.

Words: an *endpoint* is a URL of somebody's program; a *message* is one event for one endpoint. Its id is the same for every
try and every replay, so that a receiver that remembers ids takes each event once (Standard Webhooks, "webhook-id").
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from wakeline.model.event import Event, EventType
from wakeline.model.ids import uuid_at


class Shape(StrEnum):
    """How a message is written."""

    STANDARD = "standard"
    """`{"type","timestamp","data"}` (Standard Webhooks)."""
    MESIBO = "mesibo"
    """mesibo's envelope: `{"server","id","v","aid","ts","events":[{"type":"push",...}]}`."""


class Disabled(StrEnum):
    """Why an endpoint is told nothing more."""

    OPERATOR = "operator"
    GONE = "gone"
    """It answered 410 (Standard Webhooks: the receiver wants no more)."""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook endpoint as it was made. `id` is given by the store (0: not kept yet); times in Unix ms.

    `events`: the types it is told of, empty means all; `apps`: slugs, empty means all, and then also what belongs to no app.
    """

    url: str
    events: tuple[EventType, ...] = ()
    apps: tuple[str, ...] = ()
    shape: Shape = Shape.STANDARD
    name: str = ""
    id: int = 0
    created: int = 0
    disabled: Disabled | None = None

    @property
    def public_id(self) -> str:
        """Return the id by which the world knows it."""
        return uuid_at(self.created, self.id)

    def wants(self, event_type: EventType, app: str) -> bool:
        """Tell whether it is told of events of this type of this app (a slug; "" for those of the installation)."""
        if self.disabled is not None or (self.apps and app not in self.apps):
            return False
        return not self.events or event_type in self.events

    def message_id(self, seq: int) -> str:
        """Return the `webhook-id` of the event with this number in the journal: the same for every try and replay."""
        return f"msg_{self.public_id.replace('-', '')}_{seq}"


class EndpointSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A signing secret, 24 to 64 bytes. `until` (Unix ms): one that was rotated out signs beside the new one until then."""

    value: bytes
    until: int | None = None

    def __repr__(self) -> str:
        """Leave the secret out: a repr ends in logs and tracebacks."""
        return f"EndpointSecret(until={self.until})"


class MessageState(StrEnum):
    """Where a message is."""

    WAITING = "waiting"
    """Set aside to be tried (again) at `due`: it failed, waits behind one of its device that failed, or is replayed."""
    TAKEN = "taken"
    """The endpoint answered 2xx."""
    GIVEN_UP = "given_up"
    """It was tried for as long as [webhooks] retry_for says, or the endpoint was disabled."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One event for one endpoint as the delivery log keeps it: one row for (endpoint, seq).

    `seq`: the event's number in the journal (0 or less: a test event). `lane`: what keeps its order, `EventData.device` with the
    app, or empty. `status`: HTTP status of the last answer (0: none came); `detail`: why, in words, never the answer's body.
    `at`: last change, `first`: first try, `due`: next try, all Unix ms; `duration`: ms of the last try.
    """

    endpoint: int
    seq: int
    type: EventType
    state: MessageState
    app: str = ""
    lane: str = ""
    tries: int = 0
    status: int = 0
    detail: str = ""
    duration: int = 0
    at: int = 0
    first: int = 0
    due: int = 0


class EndpointHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How the telling goes. `cursor`: all events up to this number are taken, given up or set aside. Times in Unix ms.

    `failing_since`: the first of the failures in a row, None while it goes well; `retry_at`: when it is asked next;
    `tried_since`: like `failing_since`, but begun anew where the gateway stood still or the clock leapt, so that this counts the
    time in which it was tried; `stopped`: when it was disabled, None while it is told.
    """

    cursor: int = 0
    failures: int = 0
    failing_since: int | None = None
    tried_since: int | None = None
    retry_at: int | None = None
    status: int = 0
    detail: str = ""
    taken_at: int | None = None
    stopped: int | None = None


class MessagePage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the delivery log, the newest first; `cursor` continues (None: the end)."""

    messages: tuple[Message, ...]
    cursor: int | None


def lane_of(event: Event) -> str:
    """Return what keeps the order of a message: its app and device; empty for what is about no device."""
    return f"{event.app}/{event.data.device}" if event.data.device else ""
