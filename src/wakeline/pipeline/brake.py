"""Too many tokens look dead at once: rather a wrong setting than so many removed apps (promise 2). Pure.

The brake closes when, of a route's last 100 judged answers, at least 25 % were doubtful, from at least 20 distinct targets,
and that is at least three times the route's usual share over seven days. Only doubt counts (BadDeviceToken, a wrong topic):
a 410 that says since when is proof, and proof in numbers calls for an alert, not for a stop.
"""

from __future__ import annotations

from collections import deque

WINDOW = 100
DISTINCT = 20
SHARE = 0.25
FACTOR = 3.0

_DAY = 86_400_000
_DAYS = 7


class Brake:
    """The brake of one route. Times in Unix ms."""

    def __init__(self) -> None:
        self._last: deque[int] = deque(maxlen=WINDOW)
        self._days: dict[int, list[int]] = {}

    def good(self, count: int, now: int) -> None:
        """Count answers that did not doubt the token."""
        self._last.extend([0] * min(count, WINDOW))
        self._day(now)[1] += count

    def doubtful(self, target: int, now: int) -> bool:
        """Count an answer that doubts this target; returns whether the brake closes by it."""
        self._last.append(target)
        day = self._day(now)
        usual = self._usual(now)
        day[0] += 1
        day[1] += 1
        doubts = [target for target in self._last if target]
        enough = len(set(doubts)) >= DISTINCT and len(doubts) >= SHARE * len(self._last)
        return enough and len(doubts) >= FACTOR * usual * len(self._last)

    def forget(self) -> None:
        """Start the window anew, once an operator has released the route."""
        self._last.clear()

    def _usual(self, now: int) -> float:
        """Return the doubtful share of the days before today, of the last seven."""
        today = now // _DAY
        doubts = answers = 0
        for day, (doubtful, all_of_them) in self._days.items():
            if today - _DAYS <= day < today:
                doubts, answers = doubts + doubtful, answers + all_of_them
        return doubts / answers if answers else 0.0

    def _day(self, now: int) -> list[int]:
        """Return today's [doubtful, all], dropping days that are too old."""
        today = now // _DAY
        if today not in self._days:
            self._days = {day: counts for day, counts in self._days.items() if day >= today - _DAYS}
            self._days[today] = [0, 0]
        return self._days[today]
