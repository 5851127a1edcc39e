from __future__ import annotations

from wakeline.pipeline.accepted import LastAccepted
from wakeline.pipeline.brake import DISTINCT, WINDOW, Brake
from wakeline.pipeline.breaker import LONGEST_WAIT, THRESHOLD, Breaker

DAY = 86_400_000
NOW = 20_000 * DAY
BAD = "BadDeviceToken"


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
    closes = [brake.doubtful(1 + number % (distinct or count), BAD, now) for number in range(count)]
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
    assert brake.doubtful(99, BAD, NOW)


def test_a_route_that_always_had_many_is_not_stopped_for_being_as_usual() -> None:
    brake = Brake()
    brake.good(700, NOW - DAY)
    for number in range(300):
        brake.doubtful(number + 1, BAD, NOW - DAY)
    brake.forget()
    brake.good(70, NOW)
    assert not doubts(brake, 30)
    brake.forget()
    assert doubts(brake, 95)


def test_the_usual_share_is_forgotten_after_a_week() -> None:
    brake = Brake()
    for number in range(300):
        brake.doubtful(number + 1, BAD, NOW - 9 * DAY)
    brake.forget()
    brake.good(70, NOW)
    assert doubts(brake, 30)


def test_a_release_starts_anew() -> None:
    brake = Brake()
    doubts(brake, DISTINCT)
    brake.forget()
    assert not brake.doubtful(1, BAD, NOW)


def test_what_closed_it_can_be_told() -> None:
    brake = Brake()
    brake.good(950, NOW - DAY)
    for number in range(50):
        brake.doubtful(number + 1, BAD, NOW - DAY)
    brake.forget()
    brake.good(80, NOW + 1)
    doubts(brake, 29, distinct=20, now=NOW + 2)
    brake.doubtful(5, "DeviceTokenNotForTopic", NOW + 3)

    found = brake.findings(NOW + 3)

    assert (found.began, found.answers, found.against, found.distinct) == (NOW + 1, 100, 30, 20)
    assert found.usual == 0.05
    assert found.reasons == ((BAD, 29), ("DeviceTokenNotForTopic", 1))
    assert found.excessive


def test_the_window_begins_with_its_oldest_answer_whatever_that_was() -> None:
    brake = Brake()
    assert brake.findings(NOW).began == NOW
    brake.doubtful(1, BAD, NOW + 1)
    brake.good(WINDOW - 1, NOW + 2)
    assert brake.findings(NOW + 9).began == NOW + 1
    brake.good(1, NOW + 3)
    assert brake.findings(NOW + 9).began == NOW + 2


def test_proof_in_numbers_alerts_once_a_day_and_never_closes() -> None:
    brake = Brake()
    alerts = [brake.gone(number + 1, "Unregistered", NOW) for number in range(60)]
    assert [place for place, alert in enumerate(alerts) if alert] == [DISTINCT - 1]
    assert brake.findings(NOW).against == 0
    brake.forget()
    brake.good(1000, NOW + DAY)
    assert not brake.gone(1, "Unregistered", NOW + DAY)


def test_proof_and_doubt_are_counted_apart() -> None:
    brake = Brake()
    for number in range(DISTINCT - 1):
        assert not brake.gone(number + 1, "Unregistered", NOW)
        assert not brake.doubtful(number + 1, BAD, NOW)
    assert brake.gone(99, "Unregistered", NOW)
    assert brake.doubtful(99, BAD, NOW)


def test_days_that_are_over_outlive_a_restart() -> None:
    brake = Brake()
    brake.good(60, NOW - DAY)
    for number in range(40):
        brake.doubtful(number + 1, BAD, NOW - DAY)
    brake.gone(99, "Unregistered", NOW)
    again = Brake()
    again.recall(brake.days(NOW))
    assert again.findings(NOW).usual == brake.findings(NOW).usual == 0.4
    assert brake.days(NOW) == ((NOW // DAY - 1, 100, 40, 0),)


def test_a_route_that_met_nothing_but_good_answers_has_nothing_to_remember() -> None:
    brake = Brake()
    brake.good(1000, NOW - DAY)
    assert brake.days(NOW) == ()


def test_a_route_that_accepted_only_the_same_token_has_accepted_no_other() -> None:
    accepted = LastAccepted()
    assert accepted.of_another(1) is None
    accepted.note(1, 1, NOW)
    accepted.note(1, 1, NOW + 5)
    assert (accepted.of_another(1), accepted.of_another(2)) == (None, NOW + 5)
    accepted.note(2, 2, NOW + 7)
    assert (accepted.of_another(1), accepted.of_another(2)) == (NOW + 7, NOW + 5)
    accepted.note(3, 9, NOW + 8)
    assert (accepted.of_another(3), accepted.of_another(9)) == (NOW + 8, NOW + 8)
