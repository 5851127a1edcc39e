from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from wakeline.model.delivery import Job, pack, pack_all
from wakeline.model.device import Recipient
from wakeline.model.notification import Content, Notification
from wakeline.model.route import Lane
from wakeline.pipeline.agenda import REFRESH, Agenda
from wakeline.pipeline.load import Load, check, load_of
from wakeline.ports import Due, JobProgress

ALERTS, CALLS = (1, Lane.ALERT), (1, Lane.CALL)


def test_calls_are_due_first() -> None:
    agenda = Agenda()
    agenda.call(ALERTS, 5)
    agenda.call(CALLS, 9)
    assert agenda.due(10) == [CALLS, ALERTS]
    assert agenda.due(5) == [ALERTS]


def test_the_queue_is_read_again_after_a_claim_but_not_all_the_time() -> None:
    agenda = Agenda()
    assert agenda.unread(0.0)
    agenda.read([Due(route=1, lane=Lane.ALERT, at=5)])
    assert not agenda.unread(100.0)
    agenda.exhausted(ALERTS)
    assert agenda.due(10) == []
    assert agenda.unread(100.0)
    agenda.exhausted(ALERTS)
    assert not agenda.unread(100.0 + REFRESH / 2)
    assert agenda.next(0, 100.0) == REFRESH
    agenda.spoil()
    assert agenda.unread(100.0)


def test_what_is_called_during_a_reading_is_not_lost() -> None:
    agenda = Agenda()
    assert agenda.unread(0.0)
    agenda.call(CALLS, 7)
    agenda.read([Due(route=1, lane=Lane.ALERT, at=50)])
    assert agenda.due(10) == [CALLS]
    assert agenda.next(10, 0.0) == 0.04


def loaded(*recipients: int, chunk: bytes | None = None) -> Load:
    notification = Notification(key=1, app=1, content=Content(), lane=Lane.BULK, due=0, expires=9, created=0)
    job = Job(
        id=1, notification=1, app=1, route=1, lane=Lane.BULK, due=0, expires=9, recipients=pack_all(list(recipients))
    )
    load = load_of(job, {1: notification}, chunk)
    assert load is not None
    return load


def recipient(target: int, generation: int = 1, state: str = "active") -> Recipient:
    return Recipient(target, f"t{target}", generation, state, "", target)


def test_what_must_not_go_any_more_is_told_apart() -> None:
    load = loaded(pack(1), pack(2, 1), pack(3, 1), pack(4), pack(5), pack(6))
    found = {1: recipient(1), 2: recipient(2), 3: recipient(3, 2), 4: recipient(4, state="retired")}
    found[5] = recipient(5, state="quarantined")
    refused = [(number, outcome.reason) for number, outcome in check(load, found)]
    assert refused == [(2, "user_changed"), (3, "token_retired"), (4, "token_quarantined"), (5, "no_target")]
    assert list(load.take(10)) == [0, 1]


def test_an_answer_counts_once_and_what_remains_is_known() -> None:
    load = loaded(pack(1), pack(2), pack(3))
    assert load.settle([0, 2]) == [0, 2]
    assert load.settle([0]) == []
    assert load.remaining() == JobProgress(job=1, remaining=pack_all([pack(2)]))
    assert not load.finished
    load.settle([1])
    assert load.finished


def test_positions_in_a_chunk_survive_a_partial_job() -> None:
    chunk = pack_all([pack(number) for number in range(1, 6)])
    assert list(loaded(pack(4), pack(2), chunk=chunk).places) == [3, 1]
    assert list(loaded(pack(4), pack(2)).places) == [0, 1]


def parcel(*pairs: tuple[int, int], known: Sequence[int]) -> Load | None:
    job = Job(
        id=1,
        notification=0,
        app=1,
        route=1,
        lane=Lane.ALERT,
        due=0,
        expires=9,
        recipients=pack_all([pack(target, 1) for _, target in pairs]),
        members=pack_all([key for key, _ in pairs]),
    )
    whole = Notification(key=0, app=1, content=Content(), lane=Lane.ALERT, due=0, expires=9, created=0)
    return load_of(job, {key: structs.replace(whole, key=key) for key in known}, None)


def test_a_parcel_knows_whose_push_each_is() -> None:
    load = parcel((10, 1), (11, 2), (12, 3), known=[10, 11, 12])
    assert load is not None

    assert [load.key(index) for index in range(3)] == [10, 11, 12]
    assert load.notification_of(1).key == 11
    assert load.of(12) == [2]


def test_what_is_forgotten_of_a_parcel_is_left_out() -> None:
    load = parcel((10, 1), (11, 2), (12, 3), known=[10, 12])
    assert load is not None

    assert [load.key(index) for index in range(len(load.packed))] == [10, 12]
    assert load.packed == [pack(1, 1), pack(3, 1)]
    assert parcel((10, 1), (11, 2), known=[]) is None


def test_one_of_a_parcel_is_taken_out_of_what_may_go() -> None:
    load = parcel((10, 1), (11, 2), (12, 3), known=[10, 11, 12])
    assert load is not None
    assert check(load, {1: recipient(1), 2: recipient(2), 3: recipient(3)}) == []
    load.take(1)

    assert load.drop_of(10) == []
    assert load.drop_of(12) == [2]

    assert list(load.take(9)) == [1]
    load.settle([0, 2])
    assert load.remaining() == JobProgress(job=1, remaining=pack_all([pack(2, 1)]), members=pack_all([11]))


def test_what_ended_before_it_was_looked_at_is_not_sent() -> None:
    load = parcel((10, 1), (11, 2), known=[10, 11])
    assert load is not None
    load.settle([0])

    assert check(load, {1: recipient(1), 2: recipient(2)}) == []

    assert list(load.ready) == [1]
