"""Buckets and run times: how they fill, how they empty, and that strangers cannot fill the memory."""

from __future__ import annotations

from wakeline.edges.bitrix24 import limits
from wakeline.edges.bitrix24.limits import Buckets, Operating

MINUTE = 60_000


def test_a_bucket_leaks_at_its_rate_and_refusals_add_nothing() -> None:
    buckets = Buckets()
    assert [buckets.take("a", 0.0, burst=3, per_second=2) for _ in range(6)] == [True] * 4 + [False] * 2
    assert buckets.take("a", 0.4, burst=3, per_second=2) is False
    assert buckets.take("a", 0.5, burst=3, per_second=2) is True
    assert buckets.take("a", 0.5, burst=3, per_second=2) is False
    assert [buckets.take("a", 60.0, burst=3, per_second=2) for _ in range(5)] == [True] * 4 + [False]


def test_the_documented_limit_lets_51_through_and_two_more_each_second() -> None:
    buckets = Buckets()
    taken = [buckets.take("a", number / 1000, burst=50, per_second=2) for number in range(52)]
    assert taken == [True] * 51 + [False]
    assert [buckets.take("a", 1.051, burst=50, per_second=2) for _ in range(3)] == [True, True, False]


def test_each_has_his_own_bucket() -> None:
    buckets = Buckets()
    assert buckets.take("a", 0.0, burst=1, per_second=2)
    assert buckets.take("b", 0.0, burst=1, per_second=2)


def test_buckets_that_have_run_dry_are_forgotten() -> None:
    buckets = Buckets()
    for number in range(3 * limits._MOST_KEYS):
        buckets.take(number, number / 1000, burst=50, per_second=2)
    assert len(buckets._levels) <= limits._MOST_KEYS


def test_a_flood_of_keys_at_once_ends_too() -> None:
    buckets = Buckets()
    for number in range(2 * limits._MOST_KEYS):
        buckets.take(number, 0.0, burst=50, per_second=2)
    assert len(buckets._levels) <= limits._MOST_KEYS


def test_run_times_count_for_ten_minutes() -> None:
    operating = Operating()
    now = 1_000 * MINUTE
    operating.add("a", 2.0, now)
    operating.add("a", 3.0, now + 5 * MINUTE)
    assert operating.load("a", now + 5 * MINUTE).seconds == 5.0
    resets = operating.load("a", now).resets
    assert resets == (now + 10 * MINUTE) // 1000
    assert operating.load("a", resets * 1000).seconds == 3.0
    assert operating.load("a", now + 15 * MINUTE).seconds == 0


def test_calls_of_a_tenth_of_a_second_are_not_counted() -> None:
    operating = Operating()
    operating.add("a", 0.1, 0)
    assert operating.load("a", 0).seconds == 0


def test_run_times_of_long_ago_are_forgotten() -> None:
    operating = Operating()
    for number in range(2 * limits._MOST_KEYS):
        operating.add(number, 1.0, number * 100)
    assert len(operating._minutes) <= limits._MOST_KEYS


def test_run_times_of_a_clock_that_is_set_back_do_not_count_for_longer() -> None:
    operating = Operating()
    operating.add("a", 500.0, 5_000 * MINUTE)
    assert operating.load("a", 1_000 * MINUTE).seconds == 0
