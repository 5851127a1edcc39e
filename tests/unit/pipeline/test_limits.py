from __future__ import annotations

from copy import deepcopy

from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzing import examples
from wakeline.config import Limits
from wakeline.model.notification import PushType
from wakeline.pipeline.limits import Charge, UserLimits

NOW = 1_000_000_000
MINUTE = 60_000
LATER = NOW + 86_400_000


def take(
    limits: UserLimits, now: int = NOW, *, latest: int = LATER, collapse: str = "", user: str = "ann"
) -> Charge | int:
    return limits.charge(1, user, PushType.ALERT, collapse, now=now, latest=latest)


def at(charge: Charge | int) -> int:
    assert isinstance(charge, Charge)
    return charge.at


def two_then_one_a_minute() -> UserLimits:
    return UserLimits(Limits(alert_per_hour=60, alert_burst=2))


def test_a_burst_goes_at_once_and_the_rest_one_by_one() -> None:
    limits = two_then_one_a_minute()
    assert [at(take(limits)) - NOW for _ in range(5)] == [0, 0, MINUTE, 2 * MINUTE, 3 * MINUTE]


def test_an_allowance_comes_back_with_time() -> None:
    limits = two_then_one_a_minute()
    for _ in range(2):
        take(limits)
    assert at(take(limits, NOW + MINUTE)) == NOW + MINUTE
    assert at(take(limits, NOW + 10 * MINUTE)) == NOW + 10 * MINUTE


def test_users_apps_and_types_are_counted_apart() -> None:
    limits = UserLimits(Limits(alert_per_hour=60, alert_burst=1, call_per_minute=1))
    assert at(take(limits)) == NOW
    assert at(take(limits, user="bob")) == NOW
    assert at(limits.charge(2, "ann", PushType.ALERT, "", now=NOW, latest=LATER)) == NOW
    assert at(limits.charge(1, "ann", PushType.CALL, "", now=NOW, latest=LATER)) == NOW


def test_what_would_come_too_late_takes_nothing_and_names_the_time() -> None:
    limits = two_then_one_a_minute()
    for _ in range(2):
        take(limits)
    assert take(limits, latest=NOW + 30_000) == NOW + MINUTE
    assert at(take(limits)) == NOW + MINUTE


def test_a_newer_push_of_a_collapse_name_takes_the_slot_of_the_waiting_one() -> None:
    limits = two_then_one_a_minute()
    waits = [at(take(limits, collapse="score")) - NOW for _ in range(5)]
    assert waits == [0, 0, MINUTE, MINUTE, MINUTE]
    assert at(take(limits, collapse="chat")) == NOW + 2 * MINUTE


def test_a_refund_gives_the_slot_to_the_next() -> None:
    limits = two_then_one_a_minute()
    charge = take(limits)
    assert isinstance(charge, Charge)
    limits.refund(charge)
    assert [at(take(limits)) - NOW for _ in range(3)] == [0, 0, MINUTE]


def test_a_refunded_slot_is_not_taken_over() -> None:
    limits = two_then_one_a_minute()
    for _ in range(2):
        take(limits)
    held = take(limits, collapse="score")
    assert isinstance(held, Charge)
    limits.refund(held)
    again = take(limits, collapse="score")
    assert isinstance(again, Charge)
    assert not again.taken_over


def test_only_some_types_are_limited_and_the_switch_lifts_all() -> None:
    limits = UserLimits(Limits())
    assert limits.applies(PushType.ALERT)
    assert not limits.applies(PushType.LIVEACTIVITY)
    assert not UserLimits(Limits(per_user=False)).applies(PushType.ALERT)


def test_counters_of_rested_users_are_forgotten() -> None:
    limits = two_then_one_a_minute()
    take(limits)
    take(limits, user="bob", now=NOW + 10 * MINUTE)
    assert limits.forget(NOW + 5 * MINUTE) == 1


@settings(max_examples=examples(60), deadline=None)
@given(
    burst=st.integers(1, 3),
    steps=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 90), st.booleans()), max_size=40),
)
def test_whoever_would_have_to_wait_is_named_and_nobody_else(burst: int, steps: list[tuple[str, int, bool]]) -> None:
    limits = UserLimits(Limits(alert_per_hour=60, alert_burst=burst))
    now = NOW
    for user, seconds, refunded in steps:
        now += 1000 * seconds
        charge = take(limits, now, user=user)
        if refunded and isinstance(charge, Charge):
            limits.refund(charge)
        named = {one.subject: one.until for one in limits.among(limits.subjects(), now)}
        for each in "abc":
            assert named.get(each, now) == at(take(deepcopy(limits), now, user=each))
