from __future__ import annotations

import random
import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzing import examples
from wakeline.pipeline.quota import FEW, MOST_FOLLOWED, MOST_RESTING, PER_HOUR, PER_MINUTE, DeviceQuota, Rests
from wakeline.pipeline.ramp import BURST, FIRST, RISE, Ramp

NOW = 1_000_000
NEVER = 2**62
MINUTE, HOUR = 60_000, 3_600_000


def packed(target: int) -> int:
    return target << 16 | 7


def booked(quota: DeviceQuota, target: int, now: int, latest: int = NEVER) -> int:
    return quota.charge([packed(target)], now, latest).get(0, now)


def most_in(times: list[int], window: int) -> int:
    """The most of these times that any window of this length holds."""
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= window:
            first += 1
        most = max(most, last - first + 1)
    return most


# --- devices --------------------------------------------------------------------------------------------------------------


def test_240_go_at_once_and_the_next_waits_for_the_minutes_end() -> None:
    quota = DeviceQuota()
    waits = quota.charge([packed(5)] * (PER_MINUTE + 2), NOW, NEVER)
    assert waits == {PER_MINUTE: NOW + MINUTE, PER_MINUTE + 1: NOW + MINUTE}


def test_each_that_waits_has_a_slot_of_its_own() -> None:
    quota = DeviceQuota()
    times = [booked(quota, 5, NOW) for _ in range(6_000)]
    assert most_in(times, MINUTE) == PER_MINUTE
    assert most_in(times, HOUR) == PER_HOUR
    assert times[-1] >= NOW + HOUR


def test_another_device_does_not_notice() -> None:
    quota = DeviceQuota()
    quota.charge([packed(5)] * 500, NOW, NEVER)
    assert quota.charge([packed(6)], NOW, NEVER) == {}


def test_what_comes_too_late_takes_no_slot() -> None:
    quota = DeviceQuota()
    quota.charge([packed(5)] * PER_MINUTE, NOW, NEVER)
    assert booked(quota, 5, NOW, NOW + 30_000) == NOW + MINUTE
    assert [booked(quota, 5, NOW) for _ in range(PER_MINUTE)] == [NOW + MINUTE] * PER_MINUTE
    assert booked(quota, 5, NOW) == NOW + 2 * MINUTE


@settings(max_examples=examples(5), deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_no_minute_and_no_hour_has_more_than_google_allows(seed: int) -> None:
    """A device that is reached in bursts and trickles over hours; what it had before it was followed is counted too."""
    chance = random.Random(seed)  # noqa: S311 - moments, not secrets
    quota, now = DeviceQuota(), NOW
    times: list[int] = []
    while len(times) < 12_000:
        now += chance.choice((0, 100, 1_000, 20_000, 400_000))
        times += [booked(quota, 9, now) for _ in range(chance.choice((1, 20, 100, 400)))]
    times.sort()
    assert most_in(times, MINUTE) <= PER_MINUTE
    # Before it was followed it may have had just under FEW in each minute of an hour.
    assert most_in(times, HOUR) <= PER_HOUR + 60 * FEW


def test_a_broadcast_leaves_nothing_behind() -> None:
    quota = DeviceQuota()
    tracemalloc.start()
    try:
        for first in range(0, 300_000, 50_000):
            assert quota.charge(range(first << 16, (first + 50_000) << 16, 1 << 16), NOW, NEVER) == {}
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3_000_000


def test_the_followed_are_few_and_forgotten_after_an_hour() -> None:
    quota = DeviceQuota()
    for target in range(MOST_FOLLOWED + 10):
        quota.charge([packed(target)] * (FEW + 1), NOW, NEVER)
    assert len(quota._followed) == MOST_FOLLOWED
    quota.charge([packed(1)], NOW + HOUR + MINUTE, NEVER)
    assert not quota._followed


def test_a_device_at_rest_lets_what_waits_go_one_by_one_and_is_forgotten() -> None:
    rests = Rests()
    rests.note(5, NOW + 500, NOW)
    assert rests.book([packed(4), packed(5), packed(5)], NOW, NEVER) == {1: NOW + 1_500, 2: NOW + 2_500}
    assert rests.book([packed(5)], NOW, NOW + 1_000) == {0: NOW + 3_500}, "too late: it takes no time from others"
    assert rests.book([packed(5)], NOW, NEVER) == {0: NOW + 3_500}
    assert rests.book([packed(5)], NOW + 3_500, NEVER) == {}
    assert not rests


def test_the_resting_are_bounded() -> None:
    rests = Rests()
    for target in range(MOST_RESTING + 5):
        rests.note(target, NOW + 500, NOW)
    assert rests.book([packed(MOST_RESTING)], NOW, NEVER) == {}
    rests.note(MOST_RESTING, NOW + 2_000, NOW + 1_000)
    assert rests.book([packed(MOST_RESTING)], NOW + 1_000, NEVER) == {0: NOW + 3_000}


# --- bulk -----------------------------------------------------------------------------------------------------------------


START = 1_000.0
"""Seconds."""


def flow(ramp: Ramp, start: float, seconds: int, step: float = 0.05) -> list[int]:
    """Send as much as may go; how much that was in each second."""
    sent = []
    for second in range(seconds):
        count = 0
        for tick in range(round(1 / step)):
            now = start + second + tick * step
            room = ramp.room(now)
            ramp.sent(room, now)
            count += room
        sent.append(count)
    return sent


def test_bulk_rises_to_the_usual_quota_within_a_minute_and_goes_on() -> None:
    sent = flow(Ramp(), START, 130)
    assert BURST <= sent[0] <= BURST + FIRST + RISE
    assert all(abs(sent[second] - (FIRST + RISE * second)) < RISE for second in range(2, 130))
    assert 9_800 < sent[60] < 10_300
    assert sum(sent[:60]) < 400_000, "the usual quota of a minute is 600,000"


def test_a_minute_of_rest_begins_anew_and_less_does_not() -> None:
    ramp = Ramp()
    flow(ramp, START, 30)
    assert ramp.rate(START + 60) > 9_000
    ramp.room(START + 60)
    assert ramp.rate(START + 60) > 9_000
    assert ramp.room(START + 130) == BURST
    assert ramp.rate(START + 130) == FIRST


def test_a_refusal_begins_anew_after_the_pause_and_stays_below_what_was_too_much() -> None:
    ramp = Ramp()
    flow(ramp, START, 100)
    too_much = ramp.rate(START + 100)
    for _ in range(5):
        ramp.refused(START + 100, START + 160)
    assert ramp.room(START + 160) == 0
    sent = flow(ramp, START + 160, 200)
    assert sent[0] < FIRST + RISE
    assert max(sent) < 0.9 * too_much
    assert sent[-1] > 0.7 * too_much
    assert ramp.rate(START + 160 + 3600) > 1.5 * too_much


def test_a_clock_that_stands_still_gives_nothing_twice() -> None:
    ramp = Ramp()
    assert ramp.room(START) == BURST
    ramp.sent(BURST, START)
    assert [ramp.room(START) for _ in range(3)] == [0, 0, 0]
