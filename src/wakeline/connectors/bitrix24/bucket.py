"""When a portal may be asked next: its limit kept on our side, and the wait after it said "too many".

Rule (Bitrix24: "Limits"): each request adds 1 to a counter, 2 leak out each second, above 50 a request is refused with 503. The
counter is the portal's for our address, so others may share it: after a 503 it counts as full, and nothing is asked for a second,
then two, up to half a minute.
"""

from __future__ import annotations

BURST = 50
PER_SECOND = 2.0
SPARE = 25
"""What work that nobody waits for leaves of the burst."""

_FIRST_REST = 1.0
_LONGEST_REST = 30.0


class Bucket:
    """One portal's. Times in seconds of the monotonic clock."""

    def __init__(self) -> None:
        self._level = 0.0
        self._at = 0.0
        self._rest = 0.0
        self._until = 0.0

    def take(self, now: float, *, bulk: bool) -> float:
        """Count a request, and return how long it has to wait; `bulk`: nobody waits for it."""
        self._leak(now)
        self._level += 1
        room = BURST - SPARE if bulk else BURST
        return max(0.0, (self._level - room) / PER_SECOND, self.resting(now))

    def resting(self, now: float) -> float:
        """Return how long nothing may be asked."""
        return max(0.0, self._until - now)

    def refused(self, now: float) -> None:
        """Note a 503. Those of requests that were under way together are one."""
        if now < self._until:
            return
        self._leak(now)
        self._level = max(self._level, BURST)
        self._rest = min(2 * self._rest or _FIRST_REST, _LONGEST_REST)
        self._until = now + self._rest

    def served(self, now: float) -> None:
        """Note that the portal takes requests."""
        if now >= self._until:
            self._rest = 0.0

    def _leak(self, now: float) -> None:
        self._level = max(0.0, self._level - PER_SECOND * (now - self._at))
        self._at = now
