"""Rows of the ledger as a reader sees them: what was written, joined with what still waits."""

from __future__ import annotations

from typing import NamedTuple

from wakeline.model.delivery import Attempt, Delivery, DeliveryRow, DeliveryState
from wakeline.storage.waiting import Waiting


class Whose(NamedTuple):
    """The device behind a target: row id, the app's own id, the target's kind. A forgotten device has no names."""

    device: int
    device_id: str
    kind: str


FORGOTTEN = Whose(0, "", "")


class Pending(NamedTuple):
    """A delivery that still waits in a job: its state, when it is due, how many attempts were made."""

    waiting: Waiting
    due: int
    tries: int


def delivery(
    notification: int,
    target: int,
    whose: Whose,
    row: DeliveryRow | None,
    attempts: tuple[Attempt, ...],
    pending: Pending | None,
) -> Delivery:
    """Join the sources. While a job holds the delivery its state is the job's, except that an unanswered one stays unknown."""
    if row is None and pending is None:
        raise ValueError("A delivery has a row or a job")
    state, code = (row.state, row.code) if row is not None else (DeliveryState.QUEUED, 0)
    held_by = ""
    if pending is not None and not (pending.waiting.state is DeliveryState.QUEUED and state is DeliveryState.UNKNOWN):
        state, code, held_by = pending.waiting
    return Delivery(
        notification=notification,
        target=target,
        device=whose.device,
        device_id=whose.device_id,
        kind=whose.kind,
        state=state,
        code=code or (row.code if row is not None else 0),
        reason=(row.reason if row is not None else "") or held_by,
        status=row.status if row is not None else 0,
        outcome_class=row.outcome_class if row is not None else "",
        provider_id=row.provider_id if row is not None else "",
        attempts=attempts,
        tries=row.tries if row is not None else pending.tries if pending is not None else 0,
        at=row.at if row is not None else 0,
        due=pending.due if pending is not None else 0,
    )
