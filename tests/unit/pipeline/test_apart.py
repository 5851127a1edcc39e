from __future__ import annotations

from storing import NOW, job, notification, row
from wakeline.model.delivery import DeliveryState, Job, pack, pack_all
from wakeline.pipeline.apart import by_notification
from wakeline.pipeline.batch import Batch
from wakeline.pipeline.load import Load, load_of


def load(number: int, *keys: int) -> Load:
    """Return a load: a parcel, or one notification on its own."""
    given = job(0 if len(keys) > 1 else keys[0], 1, keys, due=NOW)
    values = {name: getattr(given, name) for name in given.__struct_fields__}
    values["members"] = pack_all(list(keys)) if len(keys) > 1 else b""
    values["recipients"] = pack_all([pack(key) for key in keys])
    made = load_of(Job(id=number, **values), {key: notification(key) for key in keys}, None)
    assert made is not None
    return made


def test_who_left_a_parcel_is_written_once_though_the_parcel_is_there_too() -> None:
    parcel, alone = load(5, 10, 11), load(9, 10)
    parcel.settle((0,))  # in a batch before: it was tried again, as job 9
    parcel.settle((1,))
    alone.settle((0,))
    batch = Batch(loads={5: parcel, 9: alone}, size=2)
    for key in (10, 11):
        batch.settlement.rows.append(row(key, key, DeliveryState.FAILED))
        batch.settlement.counts[key, DeliveryState.FAILED] = 1
    batch.settlement.ended.append(11)
    batch.cut()
    batch.settlement.again.append(job(10, 1, [10], attempt=3))

    pieces = list(by_notification(batch))

    assert sorted((row.notification, piece.finished) for piece in pieces for row in piece.rows) == [
        (10, [9]),
        (11, [5]),
    ]
    assert [key for piece in pieces for key, _ in piece.counts] == [11, 10]
    assert [again.notification for piece in pieces for again in piece.again] == [10]
    assert [key for piece in pieces for key in piece.ended] == [11]
