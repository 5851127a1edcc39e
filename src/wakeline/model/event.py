"""Events: facts for webhooks, the live feed and the log."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from wakeline.model.outcome import Outcome


class EventType(StrEnum):
    """Every kind of fact that leaves the gateway (DESIGN 5.7)."""

    PUSH_ACCEPTED = "push.accepted"
    PUSH_FAILED = "push.failed"
    PUSH_EXPIRED = "push.expired"
    PUSH_CANCELLED = "push.cancelled"
    PUSH_SUPERSEDED = "push.superseded"
    PUSH_SKIPPED = "push.skipped"
    PUSH_ACKNOWLEDGED = "push.acknowledged"
    PUSH_OPENED = "push.opened"
    NOTIFICATION_COMPLETED = "notification.completed"
    TARGET_RETIRED = "target.retired"
    TARGET_QUARANTINED = "target.quarantined"
    TARGET_MOVED = "target.moved"
    TARGETS_DYING = "targets.dying"
    CREDENTIAL_EXPIRING = "credential.expiring"
    CREDENTIAL_EXPIRED = "credential.expired"
    CREDENTIAL_FAILED = "credential.failed"
    CREDENTIAL_RECOVERED = "credential.recovered"
    CHANGE_TAKEN_BACK = "change.taken_back"
    BRAKE_CLOSED = "brake.closed"
    BRAKE_RELEASED = "brake.released"
    QUEUE_STALLED = "queue.stalled"
    PORTAL_MOVED = "portal.moved"
    PORTAL_CLOSED = "portal.closed"
    SILENCE_SUSPECTED = "silence.suspected"
    SILENCE_ENDED = "silence.ended"
    WEBHOOK_TEST = "webhook.test"


class SentRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The request that was sent to a push service: authorization redacted, token masked; `body` as written."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: str


class ReceivedResponse(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came back. `code`: the HTTP status, or one of 901 to 914 where the gateway itself refused; `body` as received."""

    code: int
    reason: str = ""
    body: str = ""


class EventData(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an event is about; only what applies is filled. Never a token; message text in a recorded `request` alone.

    `request` and `response` are there where they were recorded: of failures while a webhook is told of them, of successes in a
    debug window.
    """

    notification: str = ""
    delivery: str = ""
    device: str = ""
    users: tuple[str, ...] = ()
    target: str = ""
    kind: str = ""
    outcome: Outcome | None = None
    attempts: int = 0
    credential: int = 0
    route: str = ""
    note: str = ""
    request: SentRequest | None = None
    response: ReceivedResponse | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A fact. `seq` orders events of one store (0: not stored yet); `at` in Unix ms; `app` is a slug, or empty."""

    type: EventType
    at: int
    app: str = ""
    data: EventData = EventData()
    seq: int = 0
