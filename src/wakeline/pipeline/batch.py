"""What is gathered between two flushes, and the forms in which the ledger keeps it."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from wakeline.model.delivery import (
    BULK_ENTRY,
    STATE_NUMBERS,
    Attempt,
    DeliveryRow,
    DeliveryState,
    NewJob,
    pack_all,
)
from wakeline.model.outcome import Outcome
from wakeline.pipeline.exchange import Sent
from wakeline.pipeline.load import Load
from wakeline.ports import BulkResult, Settlement, TargetVerdict

_LATEST = (1 << 32) - 1
_MOST_TRIES = 255


class Report(NamedTuple):
    """An event to be made once the device is looked up; `number` is the recipient's index in the load, `sent` what to record."""

    load: Load
    number: int
    state: DeliveryState
    outcome: Outcome
    tries: int
    at: int
    sent: Sent | None = None


class Doubt(NamedTuple):
    """A verdict to be reached once the target is looked up; `accepted_at`: when its `route` last accepted another token."""

    load: Load
    number: int
    outcome: Outcome
    at: int
    accepted_at: int | None
    route: int


class Batch(msgspec.Struct):
    """What is written together. `apart`: pieces of it still to be written, if the whole could not be; `weight`: see `settle`."""

    settlement: Settlement = msgspec.field(default_factory=Settlement)
    again: dict[NewJob, list[int]] = msgspec.field(default_factory=dict)
    bulk: dict[int, list[tuple[int, bytes]]] = msgspec.field(default_factory=dict)
    loads: dict[int, Load] = msgspec.field(default_factory=dict)
    reports: list[Report] = msgspec.field(default_factory=list)
    doubts: list[Doubt] = msgspec.field(default_factory=list)
    verdicts: list[TargetVerdict] = msgspec.field(default_factory=list)
    apart: list[Settlement] = msgspec.field(default_factory=list)
    size: int = 0
    weight: float = 0.0

    @property
    def empty(self) -> bool:
        """Tell whether nothing was gathered."""
        return not (self.size or self.doubts or self.verdicts)

    def cut(self) -> None:
        """Fix what the loads have come to at this instant."""
        settlement = self.settlement
        for job, load in self.loads.items():
            if load.finished:
                settlement.finished.append(job)
            else:
                settlement.progress.append(load.remaining())
        settlement.bulk = [BulkResult(chunk=chunk, entries=tuple(entries)) for chunk, entries in self.bulk.items()]
        settlement.again = [
            msgspec.structs.replace(job, recipients=pack_all(packed)) for job, packed in self.again.items()
        ]


def entry(load: Load, state: DeliveryState, tries: int, code: int, at: int) -> bytes:
    """Return the 8 bytes of a bulk delivery."""
    seconds = min(max(0, at - load.notification.created) // 1000, _LATEST)
    return BULK_ENTRY.pack(STATE_NUMBERS[state], min(tries, _MOST_TRIES), code, seconds)


def row(
    load: Load, index: int, state: DeliveryState, outcome: Outcome, tries: int, at: int, attempt: Attempt | None
) -> DeliveryRow:
    """Return the row of a delivery; `attempt` if a request was made."""
    return DeliveryRow(
        load.key(index),
        load.packed[index] >> 16,
        state,
        outcome.code,
        outcome.status,
        outcome.reason,
        outcome.outcome_class.value,
        outcome.provider_id,
        tries,
        at,
        attempt,
    )
