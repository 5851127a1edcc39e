"""How notifications and deliveries are shown."""

from __future__ import annotations

from datetime import datetime

import msgspec

from wakeline.doctor.meaning import of_delivery
from wakeline.edges.rest.moments import moment, moment_or_none
from wakeline.edges.rest.shapes import View
from wakeline.model.delivery import Attempt, Delivery, DeliveryState
from wakeline.model.ids import delivery_id, uuid_of
from wakeline.model.notification import Counts, Notification, NotificationState, PushType
from wakeline.model.outcome import Outcome, OutcomeClass


class OutcomeView(View, frozen=True, kw_only=True, rename={"outcome_class": "class"}):
    """What an answer means. `code` is 0 or one of 901-905, 911-914; `status` and `reason` are the provider's own words."""

    outcome_class: OutcomeClass
    code: int
    status: int
    reason: str
    cause: str
    fix: str


class AttemptView(View, frozen=True, kw_only=True, rename={"outcome_class": "class"}):
    """One request to a provider and its answer; `duration` in milliseconds."""

    number: int
    at: datetime
    duration: int
    status: int
    reason: str
    outcome_class: str
    code: int
    retry_at: datetime | None


class DeliveryView(View, frozen=True, kw_only=True):
    """One notification to one target. `target` is its kind; `due` is when it is to be tried (again)."""

    id: str
    device: str
    target: str
    state: DeliveryState
    outcome: OutcomeView | None
    attempts: tuple[AttemptView, ...]
    tries: int
    at: datetime | None
    due: datetime | None


class DeliveryList(View, frozen=True, kw_only=True):
    """A page of deliveries; `next_cursor` is null at the end."""

    deliveries: tuple[DeliveryView, ...]
    next_cursor: str | None


class NotificationView(View, frozen=True, kw_only=True):
    """A notification: where it is as a whole, how many deliveries are in which state, and the first 50 of them."""

    id: str
    app: str
    state: NotificationState
    type: PushType
    lane: str
    created: datetime
    due: datetime
    expires: datetime
    recipients: int
    counts: Counts
    deliveries: tuple[DeliveryView, ...]
    next_cursor: str | None


def outcome(shown: Outcome | None) -> OutcomeView | None:
    """Return an outcome as the world sees it."""
    if shown is None:
        return None
    return OutcomeView(
        outcome_class=shown.outcome_class,
        code=shown.code,
        status=shown.status,
        reason=shown.reason,
        cause=shown.cause,
        fix=shown.fix,
    )


def delivery(shown: Delivery) -> DeliveryView:
    """Return a delivery as the world sees it."""
    known = of_delivery(shown)
    if known is not None and shown.code:
        known = msgspec.structs.replace(known, code=shown.code)
    return DeliveryView(
        id=delivery_id(shown.notification, shown.target),
        device=shown.device_id,
        target=shown.kind,
        state=shown.state,
        outcome=outcome(known),
        attempts=tuple(_attempt(one) for one in shown.attempts),
        tries=shown.tries,
        at=moment_or_none(shown.at),
        due=moment_or_none(shown.due),
    )


def notification(
    shown: Notification, app: str, counts: Counts, deliveries: tuple[Delivery, ...], cursor: str | None
) -> NotificationView:
    """Return a notification as the world sees it."""
    return NotificationView(
        id=uuid_of(shown.key),
        app=app,
        state=state_of(shown, counts),
        type=shown.content.type,
        lane=shown.lane.name.lower(),
        created=moment(shown.created),
        due=moment(shown.due),
        expires=moment(shown.expires),
        recipients=shown.recipients,
        counts=counts,
        deliveries=tuple(delivery(one) for one in deliveries),
        next_cursor=cursor,
    )


def state_of(shown: Notification, counts: Counts) -> NotificationState:
    """Derive where a notification is as a whole: it waits only as long as nothing of it moves."""
    if shown.cancelled:
        return NotificationState.CANCELLED
    if counts.pending:
        return NotificationState.RUNNING
    if counts.held:
        return NotificationState.HELD
    if counts.scheduled:
        return NotificationState.SCHEDULED
    return NotificationState.DONE if shown.walked else NotificationState.RUNNING


def _attempt(shown: Attempt) -> AttemptView:
    return AttemptView(
        number=shown.number,
        at=moment(shown.at),
        duration=shown.duration,
        status=shown.status,
        reason=shown.reason,
        outcome_class=shown.outcome_class,
        code=shown.code,
        retry_at=moment_or_none(shown.retry_at),
    )
