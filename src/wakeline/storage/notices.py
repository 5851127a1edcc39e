"""The events a store makes itself, in the commit that makes them true."""

from __future__ import annotations

from collections.abc import Mapping

from wakeline.model.delivery import DeliveryRow, DeliveryState
from wakeline.model.event import Event, EventData, EventType
from wakeline.model.ids import delivery_id, uuid_of
from wakeline.model.outcome import Outcome
from wakeline.wire.outcomes import Refusal, ours

_WITHDRAWN: Mapping[DeliveryState, tuple[EventType, Outcome]] = {
    DeliveryState.CANCELLED: (EventType.PUSH_CANCELLED, ours(Refusal.CANCELLED)),
    DeliveryState.SUPERSEDED: (EventType.PUSH_SUPERSEDED, ours(Refusal.SUPERSEDED)),
}


def completed(notification: int, app: str, written: Mapping[DeliveryState, int], at: int) -> Event:
    """Say that nothing of a notification waits any more; the note counts what became of it, most frequent first."""
    ranked = sorted([(number, state.value) for state, number in written.items() if number], reverse=True)
    note = ", ".join(f"{state} {number}" for number, state in ranked)
    return Event(
        type=EventType.NOTIFICATION_COMPLETED,
        at=at,
        app=app,
        data=EventData(notification=uuid_of(notification), note=note),
    )


def withdrawn(
    notification: int, target: int, state: DeliveryState, *, app: str, device: str, kind: str, tries: int, at: int
) -> Event:
    """Say that a delivery was taken out of the queue: `state` is cancelled or superseded."""
    event_type, outcome = _WITHDRAWN[state]
    return Event(
        type=event_type,
        at=at,
        app=app,
        data=EventData(
            notification=uuid_of(notification),
            delivery=delivery_id(notification, target),
            device=device,
            kind=kind,
            outcome=outcome,
            attempts=tries,
        ),
    )


def withdrawn_row(notification: int, target: int, state: DeliveryState, *, tries: int, at: int) -> DeliveryRow:
    """Return the ledger's row of a delivery that was taken out of the queue."""
    outcome = _WITHDRAWN[state][1]
    return DeliveryRow(
        notification=notification,
        target=target,
        state=state,
        code=outcome.code,
        status=0,
        reason=outcome.reason,
        outcome_class=outcome.outcome_class.value,
        provider_id="",
        tries=tries,
        at=at,
    )
