"""The timer wheel: nothing early, nothing more than a slot late, nothing lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wakeline.wire.sip.timers import NEVER, Timers, TimerWheel


def test_an_empty_wheel_waits_for_nothing() -> None:
    wheel: TimerWheel[str] = TimerWheel()
    wheel.put(NEVER, "never")
    assert wheel.next == NEVER
    assert wheel.pop(1e12) == []


@given(dues=st.lists(st.floats(0, 5000)), step=st.floats(0.001, 700))
def test_each_item_comes_out_once_and_in_time(dues: list[float], step: float) -> None:
    wheel: TimerWheel[int] = TimerWheel()
    for number, due in enumerate(dues):
        wheel.put(due, number)
    came: dict[int, float] = {}
    now = 0.0
    while wheel.next != NEVER:
        now = max(now + step, wheel.next)
        for number in wheel.pop(now):
            assert number not in came
            came[number] = now
    assert len(came) == len(dues)
    assert all(came[number] >= due for number, due in enumerate(dues))


@given(due=st.floats(0, 100_000))
def test_the_next_moment_is_at_most_a_slot_late(due: float) -> None:
    wheel: TimerWheel[str] = TimerWheel()
    wheel.put(due, "it")
    assert due <= wheel.next <= due + 1 / 128
    assert wheel.pop(wheel.next) == ["it"]


def test_timers_are_those_of_table_4() -> None:
    timers = Timers()
    assert (timers.t1, timers.t2, timers.t4, timers.patience) == (0.5, 4.0, 5.0, 32.0)
    assert timers.late_trying == 3.5
