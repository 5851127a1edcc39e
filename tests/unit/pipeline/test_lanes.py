from __future__ import annotations

from collections import Counter

from wakeline.model.route import Lane
from wakeline.pipeline.lanes import Turns

LOWER = (Lane.ALERT, Lane.BACKGROUND, Lane.BULK)


def share(waiting: tuple[Lane, ...], turns: int = 4000, size: int = 10) -> Counter[Lane]:
    counters, sent = Turns(), Counter[Lane]()
    for _ in range(turns):
        lane = counters.pick(waiting)
        counters.sent(lane, size, waiting)
        sent[lane] += size
    return sent


def test_the_better_lane_goes_first() -> None:
    assert Turns().pick([Lane.BULK, Lane.ALERT]) is Lane.ALERT


def test_each_waiting_lower_lane_gets_a_twentieth() -> None:
    sent = share(LOWER)
    total = sent.total()
    for lane in (Lane.BACKGROUND, Lane.BULK):
        assert 0.05 * total <= sent[lane] <= 0.06 * total
    assert sent[Lane.ALERT] == total - sent[Lane.BACKGROUND] - sent[Lane.BULK]


def test_a_lane_that_is_alone_gets_everything() -> None:
    assert share((Lane.BULK,))[Lane.BULK] == 40_000


def test_a_lane_that_had_no_work_is_owed_nothing() -> None:
    turns = Turns()
    for _ in range(1000):
        turns.sent(Lane.ALERT, 100, [Lane.ALERT])
    assert turns.pick(LOWER) is Lane.ALERT
