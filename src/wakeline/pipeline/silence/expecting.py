"""What share of confirmations is to be expected of a slice in this hour.

It has three parts, on the scale of log-odds, where shares of different height move alike: the slice's own week (the same hour
a week ago counts most, the same hour of other days less, everything a little), what it usually differs by from the app as a
whole, and what the rest of the app does *now*: a holiday, a slow network or a bad hour of a push service that meets everybody
is nobody's silence.

How much a slice usually strays from that (`spread`, a variance over the binomial one) is measured on its own week, too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from wakeline.model.route import Lane
from wakeline.model.silence import WHOLE, Slice
from wakeline.pipeline.silence.tally import DAY, NONE, WEEK, Cell, Hours, Key, Tally, total

FEWEST, FEWEST_DAYS = 100, 3
"""Deliveries of a slice in a lane, and days with any of them, without which nothing is usual for it."""

YOUNGEST = 6 * DAY
"""Hours for which an app must have been watched: fewer may hold no weekend."""

_LOWEST, _HIGHEST = 0.05, 0.97
"""Shares of which something can be said: where nearly nobody confirms nobody can fall silent."""

_OWN, _HOURLY, _REST = 40.0, 20.0, 50.0
"""Deliveries that what is expected beforehand weighs, against those counted: in a slice's hours, the app's, the rest's now."""

_SPREAD, _CALMEST, _WILDEST = 12.0, 1.0, 30.0
"""Hours that a spread of 1 weighs beforehand, and the least and most spread that is believed."""

_MOST_UP, _MOST_DOWN = 0.3, 2.5
"""How far, in log-odds, the rest of the app may move what is expected of a slice."""

_REREAD = 6
"""Hours for which what the week says as a whole stands."""


class Usual(NamedTuple):
    """What is to be expected of a slice in a lane at an hour: the share that is confirmed, and the spread."""

    share: float
    spread: float


class _Hour(NamedTuple):
    """What the week says of a slice in a lane at an hour: its share, and that of the rest of the app (None: there is none)."""

    own: float
    rest: float | None
    spread: float


class _Week(NamedTuple):
    """What the last week says of a slice in a lane: its odds and those of the rest against the whole app, and its spread."""

    own: float
    rest: float
    spread: float


class Expecting:
    """Reads a tally, and remembers what it says as long as nothing changes."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._weeks: dict[Key, tuple[int, _Week | None]] = {}
        self._daily: dict[Lane, tuple[int, list[float]]] = {}
        self._hours: dict[Key, _Hour | None] = {}
        self._usual: dict[Key, Usual | None] = {}
        self._hour = self._changes = self._rewrites = 0

    def usual(self, part: Slice, lane: Lane) -> Usual | None:
        """Return what is to be expected of a slice in this hour; None: nobody can tell."""
        if not self._tally.series(part, lane):  # not remembered: a phone may call itself another model each time
            return None
        self._follow()
        key = part, lane
        if key not in self._usual:
            if key not in self._hours:
                self._hours[key] = self._read_hour(key)
            hour = self._hours[key]
            self._usual[key] = None if hour is None else self._expect(key, hour)
        return self._usual[key]

    def _follow(self) -> None:
        """Forget what was read before the tally changed."""
        tally = self._tally
        if self._changes == tally.changes:
            return
        self._changes = tally.changes
        self._usual.clear()
        if (self._hour, self._rewrites) != (tally.hour, tally.rewrites):
            self._hours.clear()
        if self._rewrites != tally.rewrites:
            self._weeks.clear()
            self._daily.clear()
        self._hour, self._rewrites = tally.hour, tally.rewrites

    def _expect(self, key: Key, hour: _Hour) -> Usual:
        """Move what the week says by what the rest of the app does in this hour and the last."""
        if hour.rest is None:
            return Usual(min(_HIGHEST, hour.own), hour.spread)
        own, whole = self._tally.series(*key), self._tally.series(WHOLE, key[1])
        sent, heard = _REST, _REST * hour.rest
        for at in (self._tally.hour - 1, self._tally.hour):
            all_of, ours = whole.get(at, NONE), own.get(at, NONE)
            sent += all_of[0] - ours[0]
            heard += all_of[1] - ours[1]
        moved = max(-_MOST_DOWN, min(_MOST_UP, _odds(heard / sent) - _odds(hour.rest)))
        return Usual(min(_HIGHEST, _share(_odds(hour.own) + moved)), hour.spread)

    def _read_hour(self, key: Key) -> _Hour | None:
        week = self._week(key)
        if week is None:
            return None
        part, lane = key
        whole = self._tally.series(WHOLE, lane)
        season = self._season(whole, {}, self._daily[lane][1][self._tally.hour % DAY], _HOURLY)
        if part == WHOLE:
            return _Hour(season, None, week.spread)
        own = self._tally.series(*key)
        return _Hour(
            self._season(own, {}, _share(_odds(season) + week.own), _OWN),
            self._season(whole, own, _share(_odds(season) + week.rest), _OWN),
            week.spread,
        )

    def _season(self, hours: Hours, without: Hours, beforehand: float, weight: float) -> float:
        """Return the share that hours like this one had, pulled to what is expected beforehand where they are few."""
        sent, heard = weight, weight * beforehand
        for ago, counts in _ALIKE:
            all_of = hours.get(self._tally.hour - ago)
            if all_of is not None:
                less = without.get(self._tally.hour - ago, NONE)
                sent += counts * (all_of[0] - less[0])
                heard += counts * (all_of[1] - less[1])
        return heard / sent

    def _week(self, key: Key) -> _Week | None:
        """Return what the week says, read anew every few hours, which are not the same for all slices."""
        turn = (self._tally.hour + sum(key[0].value.encode())) // _REREAD
        read, week = self._weeks.get(key, (0, None))
        if turn != read:
            week = self._read_week(*key)
            self._weeks[key] = turn, week
        return week

    def _span(self, key: Key) -> Hours:
        return {
            hour: cell for hour, cell in self._tally.series(*key).items() if 0 < self._tally.hour - hour <= WEEK + 1
        }

    def _read_week(self, part: Slice, lane: Lane) -> _Week | None:
        own, whole = self._span((part, lane)), self._span((WHOLE, lane))
        sent, heard = total(own.values())
        days = {(self._tally.hour - hour) // DAY for hour in own}
        old = self._tally.first is not None and self._tally.hour - self._tally.first >= YOUNGEST
        if not old or sent < FEWEST or len(days) < FEWEST_DAYS or heard < _LOWEST * sent:
            return None
        daily = self._read_daily(lane, whole)
        if part == WHOLE:
            return _Week(0.0, 0.0, _dispersion((cell, daily[hour % DAY]) for hour, cell in whole.items()))
        all_sent, all_heard = total(whole.values())
        middle = all_heard / all_sent
        apart = _odds(_pulled(sent, heard, middle)) - _odds(middle)
        rest = _odds(_pulled(all_sent - sent, all_heard - heard, middle)) - _odds(middle)
        return _Week(apart, rest, _dispersion(_strayed(own, whole, daily, apart - rest)))

    def _read_daily(self, lane: Lane, whole: Hours) -> list[float]:
        """Return the share of each hour of the day over the week, read as often as the week."""
        turn = self._tally.hour // _REREAD
        read, daily = self._daily.get(lane, (0, []))
        if turn != read:
            daily = _by_hour_of_day(whole)
            self._daily[lane] = turn, daily
        return daily


def _strayed(own: Hours, whole: Hours, daily: list[float], apart: float) -> Iterator[tuple[Cell, float]]:
    """Yield the hours of a slice, each with the share that the rest of the app let expect of it."""
    for hour, cell in own.items():
        all_of = whole[hour]
        sent = all_of[0] - cell[0] + _REST
        heard = all_of[1] - cell[1] + _REST * daily[hour % DAY]
        yield cell, _share(_odds(heard / sent) + apart)


def _likeness(ago: int) -> float:
    """Say how much an hour so many hours ago tells of this one."""
    apart = min(ago % DAY, -ago % DAY)
    if apart > 1:
        return 0.0
    day = 1.0 if ago >= WEEK - 1 else 0.3 if ago <= DAY + 1 else 0.1
    return day if apart == 0 else day / 2


_ALIKE = [(ago, _likeness(ago)) for ago in range(2, WEEK + 2) if _likeness(ago)]
"""Hours ago that tell of this hour, and how much."""


def _by_hour_of_day(hours: Hours) -> list[float]:
    sent, heard = total(hours.values())
    days = [[_HOURLY, _HOURLY * heard / sent] for _ in range(DAY)]
    for hour, cell in hours.items():
        days[hour % DAY][0] += cell[0]
        days[hour % DAY][1] += cell[1]
    return [day[1] / day[0] for day in days]


def _dispersion(hours: Iterable[tuple[Cell, float]]) -> float:
    """Return how much hours stray from what was expected of them, over what chance alone makes (Pearson)."""
    strayed, number = _SPREAD, _SPREAD
    for (sent, heard), expected in hours:
        share = min(0.99, max(0.01, expected))
        strayed += (heard - sent * share) ** 2 / (sent * share * (1 - share))
        number += 1
    return max(_CALMEST, min(_WILDEST, strayed / number))


def _pulled(sent: int, heard: int, beforehand: float) -> float:
    return (heard + 2 * beforehand) / (sent + 2)


def _odds(share: float) -> float:
    share = min(0.995, max(0.005, share))
    return math.log(share / (1 - share))


def _share(odds: float) -> float:
    return 1 / (1 + math.exp(-odds))
