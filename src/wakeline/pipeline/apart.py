"""A batch of results that the store chokes on: taken apart by notification, so that one defect holds nobody else up.

It is not the disk that fails (that is tried again as it is) but something in a result that cannot be written. Whoever is
not to blame is written as they are; of the one to blame, the numbers and states are, without the words and the events.
"""

from __future__ import annotations

from collections.abc import Iterator

from wakeline.pipeline.batch import Batch
from wakeline.ports import Settlement
from wakeline.wire.outcomes import Refusal


def by_notification(batch: Batch) -> Iterator[Settlement]:
    """Cut the settlement of a batch that is fixed (`Batch.cut`) into one for each notification, without events."""
    whole = batch.settlement
    for key in dict.fromkeys(load.notification.key for load in batch.loads.values()):
        loads = {job: load for job, load in batch.loads.items() if load.notification.key == key}
        chunks = {load.job.chunk for load in loads.values()}
        yield Settlement(
            finished=[job for job in whole.finished if job in loads],
            progress=[item for item in whole.progress if item.job in loads],
            again=[job for job in whole.again if job.notification == key],
            rows=[row for row in whole.rows if row.notification == key],
            bulk=[result for result in whole.bulk if result.chunk in chunks],
            counts={counted: number for counted, number in whole.counts.items() if counted[0] == key},
        )


def plainly(settlement: Settlement) -> Settlement:
    """Return a settlement without the words that came from elsewhere."""
    return Settlement(
        finished=settlement.finished,
        progress=settlement.progress,
        again=settlement.again,
        rows=[row._replace(reason=Refusal.DEFECT, provider_id="", attempt=None) for row in settlement.rows],
        bulk=settlement.bulk,
        counts=settlement.counts,
    )
