"""What a receipt makes of a delivery. Pure, so that every store answers alike.

Rule: only `model.states.may` allows a change, so a repeated receipt, and `acknowledged` after `opened`, change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from wakeline.model.delivery import Delivery, DeliveryRow, DeliveryState, Job, NewJob, pack_all, unpack, unpack_all
from wakeline.model.event import Event, EventData, EventType
from wakeline.model.ids import delivery_id, uuid_of
from wakeline.model.notification import Content, Notification, PushType
from wakeline.model.outcome import Action, Outcome, OutcomeClass
from wakeline.model.receipt import Receipt, ReceiptKind
from wakeline.model.states import FINAL_DELIVERY, may
from wakeline.ports.receipts import Heard
from wakeline.storage.rows import Whose
from wakeline.wire.outcomes import Refusal, ours

_D = DeliveryState
_STATES = {ReceiptKind.ACKNOWLEDGED: _D.ACKNOWLEDGED, ReceiptKind.OPENED: _D.OPENED}
EVENTS = {ReceiptKind.ACKNOWLEDGED: EventType.PUSH_ACKNOWLEDGED, ReceiptKind.OPENED: EventType.PUSH_OPENED}
"""The event of each kind of receipt."""

_KNOWN = frozenset({_D.ACKNOWLEDGED, _D.OPENED})
NOT_IN_INBOX = _KNOWN | {_D.CANCELLED, _D.SUPERSEDED, _D.SKIPPED}
"""Deliveries that their device knows of, or need not know of."""

_ARRIVED = Outcome(
    outcome_class=OutcomeClass.ACCEPTED,
    action=Action.DONE,
    code=0,
    cause="The device itself reported the push: it arrived.",
    fix="Nothing.",
)
_UNNEEDED = ours(Refusal.ACKNOWLEDGED)


class Known(NamedTuple):
    """What is written of a delivery when a receipt comes: its state (None: nothing), since when, after how many attempts."""

    state: DeliveryState | None
    at: int = 0
    tries: int = 0

    @property
    def is_settled(self) -> bool:
        """Tell whether nothing of it waits or is under way."""
        return self.state in FINAL_DELIVERY


def state_of(kind: ReceiptKind) -> DeliveryState:
    """Return what a delivery is after a receipt."""
    return _STATES[kind]


def changes(state: DeliveryState | None, kind: ReceiptKind) -> bool:
    """Tell whether a receipt changes a delivery that is in this state; None: nothing is written, it waits."""
    return state is None or may(state, _STATES[kind])


def heard(receipt: Receipt, target: int, known: Known, *, waits: bool) -> Heard:
    """Return the answer to a receipt about a delivery of which this was known; `waits`: it was still to be sent."""
    fresh = waits or changes(known.state, receipt.kind)
    accepted_at = known.at if known.state is _D.ACCEPTED and not waits else None
    state = _STATES[receipt.kind] if fresh else known.state
    return Heard(receipt=receipt, state=state, fresh=fresh, target=target, accepted_at=accepted_at)


def distance(known: Known, *, waits: bool) -> int:
    """Say how far a delivery is from having brought its push: of several to one device, a receipt is about the nearest."""
    if known.state in {_D.ACCEPTED, *_KNOWN}:
        return 0
    return 1 if waits else 3 if known.state in NOT_IN_INBOX else 2


def unheard(receipt: Receipt) -> Heard:
    """Return the answer to a receipt about what was never sent to its device."""
    return Heard(receipt=receipt, state=None, fresh=False)


def in_inbox(
    notification: Notification, deliveries: Sequence[Delivery], *, held_since: int, now: int
) -> Delivery | None:
    """Return the delivery by which a notification stands in the inbox of a device; None: it does not.

    `deliveries` are all that it has to the device. Left out is what the device has said of, what was withdrawn, what is not due
    yet, calls that ring no more, what bears no content (any more), and what was for those who held the device before.
    """
    content = notification.content
    late = content.type is PushType.CALL and notification.expires <= now
    if late or notification.due > now or notification.created < held_since or not _says_something(content):
        return None
    if any(delivery.state in _KNOWN for delivery in deliveries):
        return None
    return next((delivery for delivery in deliveries if delivery.state not in NOT_IN_INBOX), None)


def _says_something(content: Content) -> bool:
    overrides = (content.apns, content.fcm, content.webpush)
    return bool(
        content.alert
        or content.call
        or content.liveactivity
        or content.data
        or any(one.payload or one.raw is not None for one in overrides)
    )


def left_of(job: Job, notification: int, target: int) -> NewJob:
    """Return what is left of a job when a delivery leaves it."""
    if job.members:
        return job.without(notification)
    left = [recipient for recipient in unpack_all(job.recipients) if unpack(recipient)[0] != target]
    return msgspec.structs.replace(job, recipients=pack_all(left))


def unneeded_row(receipt: Receipt, target: int, tries: int) -> DeliveryRow:
    """Return the ledger's row of a delivery that needs no push any more."""
    return DeliveryRow(
        notification=receipt.notification,
        target=target,
        state=_STATES[receipt.kind],
        code=0,
        status=0,
        reason=_UNNEEDED.reason,
        outcome_class=_UNNEEDED.outcome_class.value,
        provider_id="",
        tries=tries,
        at=receipt.at,
    )


def event(receipt: Receipt, target: int, *, app: str, whose: Whose, tries: int, unneeded: bool) -> Event:
    """Say that a device has it; `unneeded`: no push had to be sent."""
    return Event(
        type=EVENTS[receipt.kind],
        at=receipt.at,
        app=app,
        data=EventData(
            notification=uuid_of(receipt.notification),
            delivery=delivery_id(receipt.notification, target),
            device=whose.device_id,
            users=receipt.users,
            target=str(target),
            kind=whose.kind,
            outcome=_UNNEEDED if unneeded else _ARRIVED,
            attempts=tries,
        ),
    )
