"""Too many tokens look dead at once: rather a wrong setting than so many removed apps (promise 2). Pure.

The brake closes when, of a route's last 100 judged answers, at least 25 % were doubtful, from at least 20 distinct targets,
and that is at least three times the route's usual share over seven days. Only doubt counts (BadDeviceToken, a wrong topic):
a 410 that says since when is proof, and proof in numbers calls for an alert, not for a stop; the same figures raise it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import NamedTuple

WINDOW = 100
DISTINCT = 20
SHARE = 0.25
FACTOR = 3.0

_DAY = 86_400_000
_DAYS = 7


class Against(NamedTuple):
    """An answer that speaks against a target, by doubt or by proof; `at` in Unix ms."""

    target: int
    reason: str
    at: int
    proof: bool


class Findings(NamedTuple):
    """What stands in the window: of `answers` since `began` (Unix ms), `against` spoke against `distinct` targets."""

    began: int
    answers: int
    against: int
    distinct: int
    usual: float
    reasons: tuple[tuple[str, int], ...]

    @property
    def excessive(self) -> bool:
        """Tell whether that is more than removed apps explain."""
        share = self.answers * max(SHARE, FACTOR * self.usual)
        return self.distinct >= DISTINCT and self.against >= share


class DayCount(NamedTuple):
    """What was answered on one day (days since 1970): how much in all, how much of it was doubt, how much proof."""

    day: int
    answers: int
    doubts: int
    proofs: int


class _Day:
    """What is being answered on one day."""

    __slots__ = ("against", "answers")

    def __init__(self) -> None:
        self.answers = 0
        self.against = {False: 0, True: 0}


class Brake:
    """The brake of one route. Times in Unix ms; in the window an answer that speaks against nobody is only its time."""

    def __init__(self) -> None:
        self._last: deque[int | Against] = deque(maxlen=WINDOW)
        self._days: dict[int, _Day] = {}
        self._alerted = 0

    def good(self, count: int, now: int) -> None:
        """Count answers that did not speak against the token."""
        self._last.extend([now] * min(count, WINDOW))
        self._day(now).answers += count

    def doubtful(self, target: int, reason: str, now: int) -> bool:
        """Count an answer that doubts this target; returns whether the brake closes by it."""
        return self._count(Against(target, reason, now, proof=False))

    def gone(self, target: int, reason: str, now: int) -> bool:
        """Count proof that this target is gone; returns whether that calls for an alert: at most one a day."""
        if not self._count(Against(target, reason, now, proof=True)) or now // _DAY == self._alerted:
            return False
        self._alerted = now // _DAY
        return True

    def findings(self, now: int, *, proof: bool = False) -> Findings:
        """Return what stands in the window, and the usual share of the days before today, of the last seven."""
        found = [entry for entry in self._last if isinstance(entry, Against) and entry.proof is proof]
        oldest = self._last[0] if self._last else now
        return Findings(
            began=oldest.at if isinstance(oldest, Against) else oldest,
            answers=len(self._last),
            against=len(found),
            distinct=len({entry.target for entry in found}),
            usual=self._usual(now, proof=proof),
            reasons=tuple(Counter(entry.reason for entry in found).most_common()),
        )

    def forget(self) -> None:
        """Start the window anew, once an operator has released the route."""
        self._last.clear()

    def days(self, now: int) -> tuple[DayCount, ...]:
        """Return the days before today, of the last seven, if they knew doubt or proof: what has to outlive a restart."""
        found = tuple(
            DayCount(day, counted.answers, counted.against[False], counted.against[True])
            for day, counted in sorted(self._days.items())
            if now // _DAY - _DAYS <= day < now // _DAY
        )
        return found if any(one.doubts or one.proofs for one in found) else ()

    def recall(self, days: Iterable[DayCount]) -> None:
        """Take over what was counted before a restart."""
        for kept in days:
            day = self._days[kept.day] = _Day()
            day.answers, day.against = kept.answers, {False: kept.doubts, True: kept.proofs}

    def _count(self, entry: Against) -> bool:
        self._last.append(entry)
        day = self._day(entry.at)
        day.answers += 1
        day.against[entry.proof] += 1
        return self.findings(entry.at, proof=entry.proof).excessive

    def _usual(self, now: int, *, proof: bool) -> float:
        today = now // _DAY
        days = [counted for day, counted in self._days.items() if today - _DAYS <= day < today]
        answers = sum(day.answers for day in days)
        return sum(day.against[proof] for day in days) / answers if answers else 0.0

    def _day(self, now: int) -> _Day:
        """Return today's counts, dropping days that are too old."""
        today = now // _DAY
        found = self._days.get(today)
        if found is None:
            self._days = {day: counts for day, counts in self._days.items() if day >= today - _DAYS}
            found = self._days[today] = _Day()
        return found
