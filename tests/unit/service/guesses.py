"""Wrong guesses at the doors of a gateway that runs on the system's clock."""

from __future__ import annotations

from storing import ToldClock
from wakeline.service.wiring import Gateway


def never_forgiven(gateway: Gateway) -> None:
    """Have time stand still for the bucket of guesses, which leaks: how long the guesses of a test take says nothing."""
    gateway._portal._door._strangers._clock = ToldClock()
