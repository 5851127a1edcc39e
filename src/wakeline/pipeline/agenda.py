"""When which route and lane has work: what the queue says, and what it calls out after each commit.

The queue's call names the earliest due time of a commit only; whatever it does not name is found by reading the whole
agenda anew, four times a second at most.
"""

from __future__ import annotations

from collections.abc import Iterable

from wakeline.model.route import Lane
from wakeline.ports import Due

REFRESH = 0.25
"""Seconds between two readings of the queue's agenda."""

Spot = tuple[int, Lane]
"""A route and a lane."""


class Agenda:
    """Due times, Unix ms, by route and lane; readings in seconds on the monotonic clock."""

    def __init__(self) -> None:
        self._at: dict[Spot, int] = {}
        self._called: dict[Spot, int] = {}
        self._stale = True
        self._read_at = float("-inf")

    def call(self, spot: Spot, due: int) -> None:
        """Note that work was put there."""
        for book in (self._at, self._called):
            book[spot] = min(due, book.get(spot, due))

    def exhausted(self, spot: Spot) -> None:
        """Note that a claim took all that is due there; more may be due later."""
        self._at.pop(spot, None)
        self._stale = True

    def spoil(self) -> None:
        """Have the agenda read at the next opportunity: leases were given back."""
        self._stale = True
        self._read_at = float("-inf")

    def unread(self, monotonic: float) -> bool:
        """Tell whether it is time to read the queue's agenda; what is called from now on is newer than that reading."""
        if not self._stale or monotonic - self._read_at < REFRESH:
            return False
        self._stale = False
        self._read_at = monotonic
        self._called = {}
        return True

    def read(self, work: Iterable[Due]) -> None:
        """Take over a reading."""
        self._at = {(entry.route, entry.lane): entry.at for entry in work}
        for spot, due in self._called.items():
            self._at[spot] = min(due, self._at.get(spot, due))

    def due(self, now: int) -> list[Spot]:
        """Return where work is due: calls first, and what has waited longest first within a lane."""
        return sorted((spot for spot, at in self._at.items() if at <= now), key=lambda spot: (spot[1], self._at[spot]))

    def next(self, now: int, monotonic: float) -> float | None:
        """Return the seconds until something becomes due or the agenda may be read again; None: nothing is known to come."""
        waits = [max(0.0, (at - now) / 1000) for at in self._at.values() if at > now]
        if self._stale:
            waits.append(max(0.0, self._read_at + REFRESH - monotonic))
        return min(waits, default=None)
