"""The counts of one app for the last week, and what share of confirmations they let expect.

What is usual for a slice at an hour has three parts, on the scale of log-odds, where shares of different height move alike:
its own week (the same hour a week ago counts most, the same hour of other days less, everything a little), what it usually
differs by from the app as a whole, and what the rest of the app does *now*: a holiday, a slow network or a bad hour of a push
service that meets everybody is nobody's silence. Lanes are counted apart: a newsletter is not confirmed like a call.

How much a slice usually strays from that (`spread`, a variance over the binomial one) is measured on its own week, too. What
was part of a silence is left out of all of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from wakeline.model.route import Lane
from wakeline.model.silence import HOUR, WHOLE, Slice, Suspicion, Traits, slices_of

DAY, WEEK = 24, 168

KEPT = 8 * DAY
"""Hours that are kept."""

_REREAD = 6
"""Hours for which what the week says as a whole stands."""

_NEVER = 1 << 60

FEWEST, FEWEST_DAYS = 100, 3
"""Deliveries of a slice in a lane, and days with any of them, without which nothing is usual for it."""

YOUNGEST = 6 * DAY
"""Hours for which an app must have been watched: fewer may hold no weekend."""

MOST_LEAVES = 400
"""Kinds of phones by lane that are told apart in an app; what is beyond counts without its model, then without anything."""

_LOWEST, _HIGHEST = 0.05, 0.97
"""Shares of which something can be said: where nearly nobody confirms nobody can fall silent."""

_OWN, _HOURLY, _REST = 40.0, 20.0, 50.0
"""Deliveries that what is expected beforehand weighs, against those counted: in a slice's hours, the app's, the rest's now."""

_SPREAD, _CALMEST, _WILDEST = 12.0, 1.0, 30.0
"""Hours that a spread of 1 weighs beforehand, and the least and most spread that is believed."""

_MOST_UP, _MOST_DOWN = 0.3, 2.5
"""How far, in log-odds, the rest of the app may move what is expected of a slice."""

Leaf = tuple[Lane, Traits]
Key = tuple[Slice, Lane]
Cell = tuple[int, int]
"""Sent and heard."""
Hours = dict[int, Cell]


class Usual(NamedTuple):
    """What is to be expected of a slice in a lane at an hour: the share that is confirmed, and the spread."""

    share: float
    spread: float


class _Week(NamedTuple):
    """What the last week says of a slice in a lane: its odds and those of the rest against the whole app, and its spread."""

    own: float
    rest: float
    spread: float


class Tally:
    """Counts by lane, kind of phone and hour; `episodes` are the silences of the app, which its week does not hold."""

    def __init__(self) -> None:
        self._leaves: dict[Leaf, Hours] = {}
        self._spans: dict[Traits, list[tuple[int, int]]] = {}
        self._episodes: list[Suspicion] = []
        self._series: dict[Key, Hours] = {}
        self._weeks: dict[Key, tuple[int, _Week | None]] = {}
        self._usual: dict[Key, Usual | None] = {}
        self._daily: dict[Lane, tuple[int, list[float]]] = {}
        self._hour = 0
        self.first: int | None = None

    # --- counting

    def leaf(self, lane: Lane, traits: Traits) -> Leaf:
        """Return under what a phone is counted: as it is, unless there are too many kinds."""
        for kept in (traits, Traits(traits.platform, traits.os_version), Traits(traits.platform)):
            if (lane, kept) in self._leaves or len(self._leaves) < MOST_LEAVES:
                return lane, kept
        return lane, Traits()

    def add(self, leaf: Leaf, hour: int, sent: int, heard: int) -> None:
        """Count deliveries."""
        _count(self._leaves.setdefault(leaf, {}), hour, sent, heard)
        self.first = hour if self.first is None else min(self.first, hour)
        self._sum(leaf, hour, sent, heard)
        self._usual.clear()

    def _sum(self, leaf: Leaf, hour: int, sent: int, heard: int) -> None:
        """Add to the slices of a leaf what was no part of a silence."""
        lane, traits = leaf
        if not any(low <= hour <= high for low, high in self._silent(traits)):
            for part in slices_of(traits):
                _count(self._series.setdefault((part, lane), {}), hour, sent, heard)

    def _silent(self, traits: Traits) -> list[tuple[int, int]]:
        """Return when phones of this kind were part of a silence, in hours."""
        if traits not in self._spans:
            self._spans[traits] = [
                (one.since // HOUR, _NEVER if one.until is None else one.until // HOUR)
                for one in self._episodes
                if not one.lasting and one.part.holds(traits)
            ]
        return self._spans[traits]

    def set_episodes(self, episodes: Iterable[Suspicion]) -> None:
        """Leave these out of what is usual."""
        self._episodes = list(episodes)
        for kept in (self._spans, self._series, self._weeks, self._daily, self._usual):
            kept.clear()
        for leaf, hours in self._leaves.items():
            for hour, (sent, heard) in hours.items():
                self._sum(leaf, hour, sent, heard)

    def turn(self, hour: int) -> None:
        """Begin an hour: the week ends before it, and what is too old is dropped."""
        if hour <= self._hour:
            return
        self._hour = hour
        self._usual.clear()
        for hours in (*self._leaves.values(), *self._series.values()):
            for old in [at for at in hours if at <= hour - KEPT]:
                del hours[old]
        self._leaves = {leaf: hours for leaf, hours in self._leaves.items() if hours}
        self._series = {key: hours for key, hours in self._series.items() if hours}

    def sums(self, since: int, until: int) -> dict[Slice, Cell]:
        """Return what was sent and heard in each slice in hours from `since` to before `until`, silent or not."""
        slices: dict[Slice, Cell] = {}
        for (_, traits), hours in self._leaves.items():
            sent, heard = _total(cell for hour, cell in hours.items() if since <= hour < until)
            for part in slices_of(traits) if sent else ():
                known = slices.get(part, _NONE)
                slices[part] = known[0] + sent, known[1] + heard
        return slices

    # --- expecting

    def usual(self, part: Slice, lane: Lane) -> Usual | None:
        """Return what is to be expected of a slice in this hour; None: nobody can tell."""
        key = part, lane
        if key not in self._usual:
            week = self._week(key)
            self._usual[key] = None if week is None else self._expect(key, week)
        return self._usual[key]

    def _expect(self, key: Key, week: _Week) -> Usual:
        part, lane = key
        own, whole = self._series.get(key, {}), self._series[WHOLE, lane]
        daily = self._daily[lane][1][self._hour % DAY]
        season = self._season(whole, {}, daily, _HOURLY)
        if part == WHOLE:
            return Usual(min(_HIGHEST, season), week.spread)
        here = self._season(own, {}, _share(_odds(season) + week.own), _OWN)
        there = self._season(whole, own, _share(_odds(season) + week.rest), _OWN)
        sent, heard = _REST, _REST * there
        for hour in (self._hour - 1, self._hour):
            all_of, ours = whole.get(hour, _NONE), own.get(hour, _NONE)
            sent += all_of[0] - ours[0]
            heard += all_of[1] - ours[1]
        moved = max(-_MOST_DOWN, min(_MOST_UP, _odds(heard / sent) - _odds(there)))
        return Usual(min(_HIGHEST, _share(_odds(here) + moved)), week.spread)

    def _season(self, hours: Hours, without: Hours, beforehand: float, weight: float) -> float:
        """Return the share that hours like this one had, pulled to what is expected beforehand where they are few."""
        sent, heard = weight, weight * beforehand
        for ago, counts in _ALIKE:
            all_of = hours.get(self._hour - ago)
            if all_of is not None:
                less = without.get(self._hour - ago, _NONE)
                sent += counts * (all_of[0] - less[0])
                heard += counts * (all_of[1] - less[1])
        return heard / sent

    def _week(self, key: Key) -> _Week | None:
        """Return what the week says, read anew every few hours."""
        at, week = self._weeks.get(key, (-_REREAD, None))
        if self._hour - at >= _REREAD:
            week = self._read_week(*key)
            self._weeks[key] = self._hour, week
        return week

    def _span(self, key: Key) -> Hours:
        return {hour: cell for hour, cell in self._series.get(key, {}).items() if 0 < self._hour - hour <= WEEK + 1}

    def _read_week(self, part: Slice, lane: Lane) -> _Week | None:
        own, whole = self._span((part, lane)), self._span((WHOLE, lane))
        sent, heard = _total(own.values())
        days = {(self._hour - hour) // DAY for hour in own}
        old = self.first is not None and self._hour - self.first >= YOUNGEST
        if not old or sent < FEWEST or len(days) < FEWEST_DAYS or heard < _LOWEST * sent:
            return None
        daily = self._read_daily(lane, whole)
        if part == WHOLE:
            return _Week(0.0, 0.0, _dispersion((cell, daily[hour % DAY]) for hour, cell in whole.items()))
        all_sent, all_heard = _total(whole.values())
        middle = all_heard / all_sent
        apart = _odds(_pulled(sent, heard, middle)) - _odds(middle)
        rest = _odds(_pulled(all_sent - sent, all_heard - heard, middle)) - _odds(middle)
        return _Week(apart, rest, _dispersion(_strayed(own, whole, daily, apart - rest)))

    def _read_daily(self, lane: Lane, whole: Hours) -> list[float]:
        """Return the share of each hour of the day over the week, read as often as the week."""
        at, daily = self._daily.get(lane, (-_REREAD, []))
        if self._hour - at >= _REREAD:
            daily = _by_hour_of_day(whole)
            self._daily[lane] = self._hour, daily
        return daily


def _strayed(own: Hours, whole: Hours, daily: list[float], apart: float) -> Iterator[tuple[Cell, float]]:
    """Yield the hours of a slice, each with the share that the rest of the app let expect of it."""
    for hour, cell in own.items():
        all_of = whole[hour]
        sent = all_of[0] - cell[0] + _REST
        heard = all_of[1] - cell[1] + _REST * daily[hour % DAY]
        yield cell, _share(_odds(heard / sent) + apart)


def _count(hours: Hours, hour: int, sent: int, heard: int) -> None:
    known = hours.get(hour, _NONE)
    hours[hour] = known[0] + sent, known[1] + heard


_NONE = (0, 0)


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
    sent, heard = _total(hours.values())
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


def _total(cells: Iterable[Cell]) -> Cell:
    sent = heard = 0
    for cell in cells:
        sent += cell[0]
        heard += cell[1]
    return sent, heard


def _pulled(sent: int, heard: int, beforehand: float) -> float:
    return (heard + 2 * beforehand) / (sent + 2)


def _odds(share: float) -> float:
    share = min(0.995, max(0.005, share))
    return math.log(share / (1 - share))


def _share(odds: float) -> float:
    return 1 / (1 + math.exp(-odds))
