"""A provider that does not answer is asked only now and then. Pure: clock readings in, permission out.

Closed: everything goes. After a row of failures without one answer: open, and after a wait one shipment may go as a probe.
It answers: closed. It fails: open again, for twice as long, from 1 s up to 5 min. A connection that hangs makes the probe
itself hang; a probe that is lost is replaced after the longest wait.
"""

from __future__ import annotations

THRESHOLD = 10
"""Failures in a row that open it."""

FIRST_WAIT = 1.0
LONGEST_WAIT = 300.0


class Breaker:
    """The breaker of one route. Times are seconds on the monotonic clock."""

    def __init__(self) -> None:
        self._failures = 0
        self._wait = FIRST_WAIT
        self._probe_at: float | None = None
        self._probing = False

    @property
    def open(self) -> bool:
        """Tell whether the provider counts as silent."""
        return self._probe_at is not None

    @property
    def probe_at(self) -> float | None:
        """Say when the next probe may go (None: closed)."""
        return self._probe_at

    def trip(self, now: float) -> None:
        """Open it for a probe at once: it was open when the process ended."""
        self._failures = THRESHOLD
        self._probe_at = now

    def may_probe(self, now: float) -> bool:
        """Tell whether one shipment may go out to see whether the provider answers again."""
        return self._probe_at is not None and now >= self._probe_at

    def probing(self, now: float) -> None:
        """Note that a probe has gone; the next is due when it fails, or after the longest wait if it is lost."""
        self._probe_at = now + LONGEST_WAIT
        self._probing = True

    def answered(self) -> bool:
        """Count an answer, whatever it says; returns whether the breaker closes by it."""
        closes = self._probe_at is not None
        self._failures, self._wait, self._probe_at, self._probing = 0, FIRST_WAIT, None, False
        return closes

    def failed(self, count: int, now: float) -> bool:
        """Count failures; returns whether the breaker opens by them.

        What was under way when it opened fails one by one; only a probe's failure makes the wait longer.
        """
        self._failures += count
        if self._failures < THRESHOLD:
            return False
        opens = self._probe_at is None
        if opens or self._probing:
            self._probe_at = now + self._wait
            self._wait = min(self._wait * 2, LONGEST_WAIT)
            self._probing = False
        return opens
