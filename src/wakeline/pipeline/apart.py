"""A batch of results that the store chokes on: taken apart by notification, so that one defect holds nobody else up.

It is not the disk that fails (that is tried again as it is) but something in a result that cannot be written. Whoever is
not to blame is written as they are; of the one to blame, the numbers and states are, without the words and the events.
"""

from __future__ import annotations

from collections.abc import Iterator

from wakeline.model.delivery import Attempt
from wakeline.pipeline.batch import Batch
from wakeline.pipeline.load import Load
from wakeline.ports import Settlement
from wakeline.wire.outcomes import Refusal


def by_notification(batch: Batch) -> Iterator[Settlement]:
    """Cut the settlement of a batch that is fixed (`Batch.cut`) into one for each notification, or parcel, without events."""
    whole = batch.settlement
    # Who was tried again has left the parcel, which may be in this batch for the sake of others.
    alone = {load.notification.key for load in batch.loads.values() if not load.keys}
    units: dict[tuple[int, int], list[Load]] = {}
    for load in batch.loads.values():
        # The members of a parcel share its job, which ends in the same commit as the rows that say why.
        unit = (0, load.job.id) if load.keys else (load.notification.key, 0)
        units.setdefault(unit, []).append(load)
    for loads in units.values():
        jobs = {load.job.id for load in loads}
        chunks = {load.job.chunk for load in loads}
        keys = {load.notification.key for load in loads if not load.keys}
        keys.update(key for load in loads for key in load.keys if key not in alone)
        yield Settlement(
            finished=[job for job in whole.finished if job in jobs],
            progress=[item for item in whole.progress if item.job in jobs],
            again=[job for job in whole.again if job.notification in keys],
            rows=[row for row in whole.rows if row.notification in keys],
            accepted=[run for run in whole.accepted if run.notifications[0] in keys],
            ended=[key for key in whole.ended if key in keys],
            bulk=[result for result in whole.bulk if result.chunk in chunks],
            counts={counted: number for counted, number in whole.counts.items() if counted[0] in keys},
            quiet=whole.quiet,
        )


def plainly(settlement: Settlement) -> Settlement:
    """Return a settlement without the words that came from elsewhere."""
    return Settlement(
        finished=settlement.finished,
        progress=settlement.progress,
        again=settlement.again,
        rows=[row._replace(reason=Refusal.DEFECT, provider_id="", attempt=None) for row in settlement.rows],
        accepted=[run._replace(attempt=_bare(run.attempt)) for run in settlement.accepted],
        ended=settlement.ended,
        bulk=settlement.bulk,
        counts=settlement.counts,
        quiet=settlement.quiet,
    )


def _bare(attempt: Attempt) -> Attempt:
    return Attempt(number=attempt.number, at=attempt.at, status=attempt.status, reason=Refusal.DEFECT)
