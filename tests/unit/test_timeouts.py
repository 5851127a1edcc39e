"""The time limit of tests themselves."""

from __future__ import annotations

import signal

import pytest


@pytest.mark.timeout(15)
def test_a_timeout_strikes_until_the_test_ends() -> None:
    left, again = signal.getitimer(signal.ITIMER_REAL)
    assert 0 < left <= 15
    assert 0 < again <= 10
