from __future__ import annotations

from wakeline.pipeline.brake import DISTINCT, WINDOW, Brake
from wakeline.pipeline.breaker import LONGEST_WAIT, THRESHOLD, Breaker

DAY = 86_400_000
NOW = 20_000 * DAY


def opened() -> Breaker:
    breaker = Breaker()
    assert breaker.failed(THRESHOLD, 0.0)
    return breaker


def test_a_row_of_failures_opens_and_one_answer_closes() -> None:
    breaker = Breaker()
    assert not breaker.failed(THRESHOLD - 1, 0.0)
    assert breaker.failed(1, 0.0)
    assert breaker.open
    assert breaker.answered()
    assert not breaker.open
    assert not breaker.answered()


def test_an_answer_between_failures_starts_the_count_anew() -> None:
    breaker = Breaker()
    breaker.failed(THRESHOLD - 1, 0.0)
    breaker.answered()
    assert not breaker.failed(THRESHOLD - 1, 0.0)


def test_one_probe_at_a_time_and_ever_longer_waits() -> None:
    breaker = opened()
    waits, now = [], 0.0
    for _ in range(12):
        assert breaker.probe_at is not None
        assert not breaker.may_probe(breaker.probe_at - 0.01)
        waits.append(breaker.probe_at - now)
        now = breaker.probe_at
        assert breaker.may_probe(now)
        breaker.probing(now)
        assert not breaker.may_probe(now)
        assert not breaker.failed(1, now)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


def test_what_was_under_way_when_it_opened_does_not_make_the_wait_longer() -> None:
    breaker = opened()
    for _ in range(40):
        assert not breaker.failed(1, 0.5)
    assert breaker.probe_at == 1


def test_a_lost_probe_is_replaced() -> None:
    breaker = opened()
    breaker.probing(1.0)
    assert breaker.may_probe(1.0 + LONGEST_WAIT)


def test_a_breaker_found_open_at_start_probes_at_once() -> None:
    breaker = Breaker()
    breaker.trip(5.0)
    assert breaker.may_probe(5.0)


def doubts(brake: Brake, count: int, *, distinct: int | None = None, now: int = NOW) -> bool:
    closes = [brake.doubtful(1 + number % (distinct or count), now) for number in range(count)]
    return any(closes)


def test_twenty_distinct_doubtful_targets_close_the_brake() -> None:
    assert not doubts(Brake(), DISTINCT - 1)
    assert doubts(Brake(), DISTINCT)


def test_one_target_that_is_tried_often_does_not() -> None:
    assert not doubts(Brake(), 90, distinct=DISTINCT - 1)


def test_less_than_a_quarter_of_the_last_hundred_does_not() -> None:
    brake = Brake()
    brake.good(WINDOW, NOW)
    assert not doubts(brake, 24)
    assert brake.doubtful(99, NOW)


def test_a_route_that_always_had_many_is_not_stopped_for_being_as_usual() -> None:
    brake = Brake()
    brake.good(700, NOW - DAY)
    for number in range(300):
        brake.doubtful(number + 1, NOW - DAY)
    brake.forget()
    brake.good(70, NOW)
    assert not doubts(brake, 30)
    brake.forget()
    assert doubts(brake, 95)


def test_the_usual_share_is_forgotten_after_a_week() -> None:
    brake = Brake()
    for number in range(300):
        brake.doubtful(number + 1, NOW - 9 * DAY)
    brake.forget()
    brake.good(70, NOW)
    assert doubts(brake, 30)


def test_a_release_starts_anew() -> None:
    brake = Brake()
    doubts(brake, DISTINCT)
    brake.forget()
    assert not brake.doubtful(1, NOW)
