"""What a delivery is while it waits: derived from its job, because what waits is not written.

A store of a million waiting deliveries keeps two thousand jobs and no row more; the states below cost nothing to change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from wakeline.model.delivery import DeliveryState, NewJob
from wakeline.model.notification import Counts
from wakeline.model.route import Hold
from wakeline.wire.outcomes import Refusal, refusal_of_hold

LIMITED = 914
"""The code of a job that a per-user limit holds back."""

PAUSED = 902
"""The code of what waits because its app is paused or its route held by the operator."""

WRITTEN_STATES: tuple[DeliveryState, ...] = (
    DeliveryState.ACCEPTED,
    DeliveryState.ACKNOWLEDGED,
    DeliveryState.OPENED,
    DeliveryState.FAILED,
    DeliveryState.EXPIRED,
    DeliveryState.CANCELLED,
    DeliveryState.SUPERSEDED,
    DeliveryState.SKIPPED,
    DeliveryState.UNKNOWN,
)
"""The states that are counted when they are written; every other state is derived."""

_WRITTEN = frozenset(WRITTEN_STATES)


class Waiting(NamedTuple):
    """The state of a waiting delivery, the code that says why it does not move (0: it does), and what holds it."""

    state: DeliveryState
    code: int
    held_by: str = ""


def waiting(job: NewJob, *, leased: bool, hold: Hold | None, paused: bool, now: int) -> Waiting:
    """Derive the state of a job's deliveries. A retry that is not due yet is queued: only its first time is a schedule."""
    if leased:
        return Waiting(DeliveryState.SENDING, 0)
    if job.code == LIMITED:
        return Waiting(DeliveryState.HELD, LIMITED)
    if job.due > now and job.attempt == 1:
        return Waiting(DeliveryState.SCHEDULED, job.code)
    if hold is not None:
        return Waiting(DeliveryState.HELD, hold.code, refusal_of_hold(hold))
    if paused:
        return Waiting(DeliveryState.HELD, PAUSED, Refusal.PAUSED)
    return Waiting(DeliveryState.QUEUED, job.code)


def is_written(state: DeliveryState) -> bool:
    """Tell whether deliveries in this state are counted as they are written."""
    return state in _WRITTEN


def counts(written: Mapping[DeliveryState, int], waits: Iterable[tuple[DeliveryState, int]]) -> Counts:
    """Join what was counted when it was written with what waits now."""
    held = scheduled = 0
    pending = written.get(DeliveryState.UNKNOWN, 0)
    for state, number in waits:
        match state:
            case DeliveryState.HELD:
                held += number
            case DeliveryState.SCHEDULED:
                scheduled += number
            case _:
                pending += number
    acknowledged = written.get(DeliveryState.ACKNOWLEDGED, 0)
    opened = written.get(DeliveryState.OPENED, 0)
    return Counts(
        accepted=written.get(DeliveryState.ACCEPTED, 0) + acknowledged + opened,
        acknowledged=acknowledged,
        opened=opened,
        failed=written.get(DeliveryState.FAILED, 0),
        pending=pending,
        held=held,
        scheduled=scheduled,
        expired=written.get(DeliveryState.EXPIRED, 0),
        cancelled=written.get(DeliveryState.CANCELLED, 0),
        superseded=written.get(DeliveryState.SUPERSEDED, 0),
        skipped=written.get(DeliveryState.SKIPPED, 0),
    )
