"""The steps of one push in order: accepted, due, each attempt with its answer, what the phone said, the end of its time."""

from __future__ import annotations

from datetime import UTC, datetime

from wakeline.doctor.explanation import Step
from wakeline.doctor.meaning import of_attempt, of_delivery
from wakeline.model.delivery import Delivery, DeliveryState
from wakeline.model.moments import moment, worded
from wakeline.model.notification import Counts, Notification

_S = DeliveryState
_NOBODY = "a device that is forgotten"


def whom(delivery: Delivery) -> str:
    """Return to which device a delivery goes, and by what kind of token."""
    return f"{delivery.device_id} ({delivery.kind})" if delivery.device_id else _NOBODY


def opening(notification: Notification) -> list[Step]:
    """Say when the gateway took it, for whom, and when it is due."""
    size = "for an audience being walked" if not notification.walked else f"for {_number(notification.recipients)}"
    detail = f"{notification.content.type.value}, lane {notification.lane.name.lower()}, {size}"
    if notification.request_id:
        detail += f", request {notification.request_id}"
    steps = [Step(at=moment(notification.created), what="accepted by the gateway", detail=detail)]
    if notification.due > notification.created:
        steps.append(Step(at=moment(notification.due), what="due", detail="It was asked for at this time."))
    if notification.cancelled:
        steps.append(Step(at=None, what="cancelled", detail="What was not sent yet is not sent any more."))
    return steps


def _number(recipients: int) -> str:
    return "1 recipient" if recipients == 1 else f"{recipients} recipients"


def attempts(delivery: Delivery) -> list[Step]:
    """Say what each attempt was answered; without kept attempts, what is known of the last one."""
    to = whom(delivery)
    if not delivery.attempts:
        return [_settled(delivery, to)] if delivery.tries or delivery.reason else []
    steps = []
    for attempt in delivery.attempts:
        known = of_attempt(attempt, delivery.kind)
        answer = " ".join(part for part in (str(attempt.status or ""), attempt.reason) if part) or "no answer"
        again = f" Tried again at {worded(attempt.retry_at)}." if attempt.retry_at else ""
        detail = f"{answer} after {attempt.duration} ms. {known.cause if known else ''}{again}".strip()
        steps.append(Step(at=moment(attempt.at), what=f"attempt {attempt.number} to {to}", detail=detail))
    return steps


def reported(delivery: Delivery) -> list[Step]:
    """Say when the device said that it has it."""
    match delivery.state:
        case _S.ACKNOWLEDGED:
            detail = "The app has it."
        case _S.OPENED:
            detail = "Its user opened it."
        case _:
            return []
    return [
        Step(at=moment(delivery.at), what=f"{delivery.state.value} by {delivery.device_id or _NOBODY}", detail=detail)
    ]


def _settled(delivery: Delivery, to: str) -> Step:
    known = of_delivery(delivery)
    tries = f" after {delivery.tries} attempts" if delivery.tries > 1 else ""
    detail = f"{delivery.state.value}{tries}. {known.cause if known else ''}".strip()
    return Step(at=moment(delivery.at) if delivery.at else None, what=f"delivery to {to}", detail=detail)


def ending(notification: Notification, counts: Counts) -> list[Step]:
    """Say until when what is left may still be sent."""
    if not (counts.pending or counts.held or counts.scheduled):
        return []
    return [
        Step(
            at=moment(notification.expires),
            what="the ttl ends",
            detail="What is not sent by then is not sent any more.",
        )
    ]


def ordered(steps: list[Step]) -> tuple[Step, ...]:
    """Sort by time; what has none comes last, in its order."""
    last = datetime.max.replace(tzinfo=UTC)
    return tuple(sorted(steps, key=lambda step: step.at or last))
