"""How fast a broadcast may go to one FCM project: from little to much over a minute. Pure.

Google asks senders to ramp up "from 0 to the maximum over at least 60 seconds" and gives a project 600,000 messages a minute
unless it asks for more. We know neither what it asked for nor what else uses that quota. So bulk begins with `BURST` at once
(less than a hundredth of the usual quota), goes on at `FIRST` a second and gains `RISE` every second: after a minute it goes
at the 10,000 a second that the usual quota allows, after two at twice that, as long as Google agrees. When Google says 429 for
the project, bulk begins anew after the pause and stays below four fifths of the rate that was too much; that ceiling doubles
every hour. Alerts and calls are not slowed by it: people wait for those, and they are few.

Source: Firebase, "Best practices when sending FCM messages at scale".
"""

from __future__ import annotations

import math

BURST = 5_000
"""Messages that may go at once after a minute of rest."""

FIRST = 1_000.0
"""Messages a second at the beginning."""

RISE = 150.0
"""What the rate gains every second."""

IDLE = 60.0
"""Seconds without bulk after which it begins anew."""

PULSE = 0.05
"""Seconds after which what waits for its turn is looked at again."""

_BELOW = 0.8
_HOUR = 3_600.0
_AHEAD = 0.25


class Ramp:
    """The rate of one project. Readings in seconds on the monotonic clock."""

    def __init__(self) -> None:
        self._began = float("-inf")
        self._used = float("-inf")
        self._at = 0.0
        self._credit = 0.0
        self._ceiling = float("inf")
        self._lowered = 0.0

    def rate(self, now: float) -> float:
        """Return how many messages a second may go now."""
        ceiling = self._ceiling * math.pow(2.0, (now - self._lowered) / _HOUR)
        return min(FIRST + RISE * max(0.0, now - self._began), ceiling)

    def room(self, now: float) -> int:
        """Return how many messages may go now."""
        if now - self._used > IDLE:
            self._began = self._at = self._used = now
            self._credit = float(BURST)
        rate = self.rate(now)
        full = max(self._credit, _AHEAD * rate)
        self._credit = min(full, self._credit + rate * max(0.0, now - self._at))
        self._at = max(self._at, now)
        return int(self._credit)

    def sent(self, count: int, now: float) -> None:
        """Note that messages went."""
        self._credit -= count
        self._used = max(self._used, now)

    def refused(self, now: float, until: float) -> None:
        """Note that Google had too many and wants none before `until`."""
        if now < self._began:  # of what was under way when it said so first
            return
        self._ceiling, self._lowered = max(FIRST, _BELOW * self.rate(now)), until
        self._began = self._at = self._used = until
        self._credit = 0.0
