"""Judges one app: which slice is silent, the narrowest that explains it, once; and when it is over.

All slices of an app are tested at once. When one sum reaches its limit, the slice with the highest sum is the one that
explains most; of those that explain nearly as much, because they hold nearly the same phones, the narrowest is named.
From then on its phones belong to no other slice, so that one silence is never told twice, and a second one beside it is seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from wakeline.model.route import Lane
from wakeline.model.silence import HOUR, Slice, SliceKind, Suspicion, Traits, slices_of
from wakeline.pipeline.silence.doubt import Doubt
from wakeline.pipeline.silence.expecting import Expecting
from wakeline.pipeline.silence.tally import DAY, KEPT, WEEK, Leaf, Tally

LIMITS: dict[SliceKind, float] = {
    SliceKind.APP: 26.0,
    SliceKind.PLATFORM: 21.0,
    SliceKind.OS_VERSION: 18.0,
    SliceKind.MODEL: 15.0,
}
"""Sums that are called silence: by chance alone 15 is reached once in exp(15), three million deliveries. Wider slices, which
fall as well when a part of them does, need more, so that the part is named first."""

_PATIENCE = 2.0
"""So many times its limit a sum may grow while a narrower slice is half-way to being named."""

RATIO = 0.5
"""The silence that is looked for: half of what is usual. What falls by less than a quarter adds nothing up for long."""

WORST = 0.85
"""The highest share of what is usual that is called silence."""

PHONES = 6
"""Phones that must have said nothing."""

BETTER = 0.65
"""What a silence that lasts is taken to be, of what is usual, while its end is looked for: not what was measured as it was
noticed, which was noticed because it was low."""

ENOUGH = 12.0
"""A sum that is called the end of a silence."""

_NEARLY = 0.85
"""The part of the highest sum with which a narrower slice explains as much."""

_BESIDE, _CLEARLY = 10, 3.5
"""Deliveries to the rest of a wider slice, and standard deviations below what is usual, that show it to be silent, too."""

_WIDTH = {kind: width for width, kind in enumerate(reversed(SliceKind))}


Counted = dict[tuple[int, Leaf], list[int]]
"""Sent and heard, by hour and leaf."""


class Sent(NamedTuple):
    """One delivery that was accepted long enough ago: when (Unix ms), to which phone (row id), and whether it was confirmed."""

    at: int
    lane: Lane
    phone: int
    traits: Traits
    heard: bool


class SliceRates(NamedTuple):
    """How a slice does: what was sent and confirmed in the last day and in the week before it; its silence, if it is silent."""

    part: Slice
    day: tuple[int, int]
    week: tuple[int, int]
    suspicion: Suspicion | None


class Judge:
    """What is known of one app, and what is going on there."""

    def __init__(self, app: int, tally: Tally, suspicions: Iterable[Suspicion] = ()) -> None:
        self._app = app
        self.tally = tally
        self.expecting = Expecting(tally)
        self.suspicions = list(suspicions)
        self._doubts: dict[Slice, Doubt] = {}
        self._hopes: dict[Slice, Doubt] = {
            one.part: Doubt(BETTER, sign=-1) for one in self.suspicions if one.until is None
        }
        self._hour = 0
        self._judged_until = max((one.until or one.noticed for one in self.suspicions), default=0)
        tally.set_episodes(self.suspicions)

    def take(self, sent: Sequence[Sent], *, counting: bool = True) -> tuple[Counted, list[Suspicion]]:
        """Judge deliveries, the oldest first; returns what to count, by hour and leaf, and what changed of suspicions.

        Without `counting` they were counted before a start, and are judged once more: what was found then is not found again.
        """
        counted: Counted = {}
        changed: list[Suspicion] = []
        start = 0
        while start < len(sent):
            hour = sent[start].at // HOUR
            end = start + 1
            while end < len(sent) and sent[end].at // HOUR == hour:
                end += 1
            changed += self.turn(hour)
            changed += self._take_hour(hour, sent[start:end], counted if counting else None)
            start = end
        return counted, changed

    def adopt(self, kept: Iterable[Suspicion]) -> None:
        """Take over suspicions as the store keeps them, with their ids."""
        ids = {(one.part, one.noticed): one for one in kept}
        self.suspicions = [ids.get((one.part, one.noticed), one) for one in self.suspicions]

    def rates(self, hour: int) -> list[SliceRates]:
        """Return how all slices do, the widest first."""
        day = self.tally.sums(hour - DAY + 1, hour + 1)
        week = self.tally.sums(hour - DAY - WEEK + 1, hour - DAY + 1)
        silent = {one.part: one for one in self.suspicions if one.until is None}
        return [
            SliceRates(part, day.get(part, (0, 0)), week.get(part, (0, 0)), silent.get(part))
            for part in sorted(day.keys() | week.keys(), key=lambda part: (-_WIDTH[part.kind], part))
        ]

    def turn(self, hour: int) -> list[Suspicion]:
        """Begin an hour; returns the suspicions that have gone on for so long that they count as usual now."""
        if hour <= self._hour:
            return []
        self._hour = hour
        self.tally.turn(hour)
        return self._settle(hour)

    def _take_hour(self, hour: int, sent: Sequence[Sent], counted: Counted | None) -> list[Suspicion]:
        if counted is not None:
            self._count(hour, sent, counted)
        changed = []
        for one in sent:
            change = self._weigh(one) if one.at > self._judged_until else None
            if change is not None:
                self._follow(change)
                changed.append(change)
        return changed

    def _count(self, hour: int, sent: Sequence[Sent], counted: Counted) -> None:
        for one in sent:
            leaf = self.tally.leaf(one.lane, one.traits)
            self.tally.add(leaf, hour, 1, one.heard)
            cell = counted.setdefault((hour, leaf), [0, 0])
            cell[0] += 1
            cell[1] += one.heard

    def _weigh(self, one: Sent) -> Suspicion | None:
        """Add a delivery to the sums of its slices; returns what that shows."""
        parts = slices_of(one.traits)
        silent = next((part for part in parts if part in self._hopes), None)
        if silent is not None:
            return self._hear(silent, one)
        for part in parts:
            usual = self.expecting.usual(part, one.lane)
            if usual is None:
                continue
            doubt = self._doubts.get(part)
            if doubt is None:
                doubt = self._doubts[part] = Doubt(RATIO)
            score = doubt.add(one.phone, heard=one.heard, share=usual.share, spread=usual.spread, at=one.at)
            if score >= LIMITS[part.kind] and self._silent(doubt) and not self._waits(part, score):
                return self._suspect(parts, one.at)
        return None

    def _waits(self, part: Slice, score: float) -> bool:
        """Tell whether a narrower slice may yet explain it."""
        return score < _PATIENCE * LIMITS[part.kind] and any(
            doubt.score >= LIMITS[other.kind] / 2
            for other, doubt in self._doubts.items()
            if _WIDTH[other.kind] < _WIDTH[part.kind] and part.platform in ("", other.platform)
        )

    def _silent(self, doubt: Doubt) -> bool:
        return doubt.unheard >= PHONES and doubt.heard <= WORST * doubt.usual

    def _suspect(self, parts: Sequence[Slice], at: int) -> Suspicion:
        sums = {part: self._doubts[part] for part in parts if part in self._doubts}
        highest = max(doubt.score for doubt in sums.values())
        near = [part for part, doubt in sums.items() if doubt.score >= _NEARLY * highest]
        part = min(near, key=lambda one: _WIDTH[one.kind])
        for wider in sorted(sums, key=lambda one: _WIDTH[one.kind]):
            if _WIDTH[wider.kind] > _WIDTH[part.kind] and _silent_beyond(sums[wider], sums[part]):
                part = wider
        doubt = sums[part]
        return Suspicion(
            app=self._app,
            part=part,
            since=doubt.since,
            noticed=at,
            sent=doubt.sent,
            heard=doubt.heard,
            usual=doubt.usual / doubt.sent,
        )

    def _hear(self, part: Slice, one: Sent) -> Suspicion | None:
        usual = self.expecting.usual(part, one.lane)
        if usual is None:
            return None
        score = self._hopes[part].add(one.phone, heard=one.heard, share=usual.share, spread=usual.spread, at=one.at)
        return self._over(part, one.at) if score >= ENOUGH else None

    def _over(self, part: Slice, at: int, *, lasting: bool = False) -> Suspicion:
        known = next(one for one in self.suspicions if one.part == part and one.until is None)
        return msgspec.structs.replace(known, until=at, lasting=lasting)

    def _settle(self, hour: int) -> list[Suspicion]:
        """End what has gone on for a week: there is no other week left to compare with. Forget what is long over."""
        self.suspicions = [one for one in self.suspicions if one.until is None or one.until // HOUR > hour - KEPT]
        lasting = [
            self._over(one.part, hour * HOUR, lasting=True)
            for one in self.suspicions
            if one.until is None and hour - one.since // HOUR >= WEEK
        ]
        for one in lasting:
            self._follow(one)
        return lasting

    def _follow(self, change: Suspicion) -> None:
        """Go on from what was found."""
        self._doubts.clear()
        if change.until is None:
            self.suspicions.append(change)
            self._hopes[change.part] = Doubt(BETTER, sign=-1)
        else:
            self.suspicions = [
                change if one.part == change.part and one.until is None else one for one in self.suspicions
            ]
            del self._hopes[change.part]
        self.tally.set_episodes(self.suspicions)


def _silent_beyond(wide: Doubt, narrow: Doubt) -> bool:
    """Tell whether what a wider slice holds beside a narrower one is silent, too."""
    sent, heard, usual = wide.sent - narrow.sent, wide.heard - narrow.heard, wide.usual - narrow.usual
    if sent < _BESIDE or not 0 < usual < sent or heard > WORST * usual:
        return False
    return (usual - heard) / math.sqrt(usual * (1 - usual / sent)) >= _CLEARLY
