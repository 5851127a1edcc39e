"""The counts of one app for the last week, by lane, kind of phone and hour, and their sums by slice.

What was part of a silence is counted, and stands in no sum that says what is usual. Lanes are counted apart: a newsletter is
not confirmed like a call.
"""

from __future__ import annotations

from collections.abc import Iterable

from wakeline.model.route import Lane
from wakeline.model.silence import HOUR, Slice, Suspicion, Traits, slices_of

DAY, WEEK = 24, 168

KEPT = 8 * DAY
"""Hours that are kept."""

MOST_LEAVES = 400
"""Kinds of phones by lane that are told apart in an app; what is beyond counts without its model, then without anything."""

_NEVER = 1 << 60

Leaf = tuple[Lane, Traits]
Key = tuple[Slice, Lane]
Cell = tuple[int, int]
"""Sent and heard."""
Hours = dict[int, Cell]

NONE = (0, 0)


class Tally:
    """Counts of an app. `hour` is the present one, `first` the first that was counted.

    `changes` grows with all that may change what is expected, `rewrites` with what changes more than the present hour.
    """

    def __init__(self) -> None:
        self._leaves: dict[Leaf, Hours] = {}
        self._spans: dict[Traits, list[tuple[int, int]]] = {}
        self._episodes: list[Suspicion] = []
        self._series: dict[Key, Hours] = {}
        self.hour = 0
        self.first: int | None = None
        self.changes = self.rewrites = 0

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
        self.changes += 1

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
        """Leave these out of what is usual; only the phones of what changed are summed anew."""
        now = list(episodes)
        changed = {*self._episodes} ^ {*now}
        touched = [leaf for leaf in self._leaves if any(one.part.holds(leaf[1]) for one in changed)]
        self._sum_all(touched, -1)
        self._episodes = now
        self._spans.clear()
        self._sum_all(touched, 1)
        self.changes += 1
        self.rewrites += 1

    def _sum_all(self, leaves: Iterable[Leaf], sign: int) -> None:
        for leaf in leaves:
            for hour, (sent, heard) in self._leaves[leaf].items():
                self._sum(leaf, hour, sign * sent, sign * heard)

    def turn(self, hour: int) -> None:
        """Begin an hour: the week ends before it, and what is too old is dropped."""
        if hour <= self.hour:
            return
        self.hour = hour
        self.changes += 1
        for hours in (*self._leaves.values(), *self._series.values()):
            for old in [at for at in hours if at <= hour - KEPT]:
                del hours[old]
        self._leaves = {leaf: hours for leaf, hours in self._leaves.items() if hours}
        self._series = {key: hours for key, hours in self._series.items() if hours}

    def series(self, part: Slice, lane: Lane) -> Hours:
        """Return what was sent and heard in a slice by hour, without what was part of a silence."""
        return self._series.get((part, lane), {})

    def sums(self, since: int, until: int) -> dict[Slice, Cell]:
        """Return what was sent and heard in each slice in hours from `since` to before `until`, silent or not."""
        slices: dict[Slice, Cell] = {}
        for (_, traits), hours in self._leaves.items():
            sent, heard = total(cell for hour, cell in hours.items() if since <= hour < until)
            for part in slices_of(traits) if sent else ():
                known = slices.get(part, NONE)
                slices[part] = known[0] + sent, known[1] + heard
        return slices


def _count(hours: Hours, hour: int, sent: int, heard: int) -> None:
    known = hours.get(hour, NONE)
    hours[hour] = known[0] + sent, known[1] + heard
    if hours[hour] == NONE:
        del hours[hour]


def total(cells: Iterable[Cell]) -> Cell:
    """Add up cells."""
    sent = heard = 0
    for cell in cells:
        sent += cell[0]
        heard += cell[1]
    return sent, heard
