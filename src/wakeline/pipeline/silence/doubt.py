"""What speaks for a change, added up delivery by delivery: Page's cumulative sum (CUSUM) of log-likelihood ratios.

Each delivery adds the logarithm of how much better "it has changed" explains it than "all is as usual"; the sum never falls
below nothing. It may be looked at after every delivery: however often that is, without a change it reaches `h` about once in
exp(h) deliveries (Lorden 1971), which is what its limits are chosen by. Two things make that hold for phones, which are no
coins: a step is divided by the spread that the slice usually has, and one phone alone has a bounded say, since a phone that is
off says nothing to anything it is sent.
"""

from __future__ import annotations

import math

_ALIKE = 0.3
"""How much alike the deliveries of one phone go: the n-th of them counts 1 / (1 + n * this), from 0."""

_LOUDEST = 3.5
"""The most that one phone may add, however often it says nothing."""

_PHONES = 500
"""Phones that are told apart: among more of them no one phone weighs."""


_NOTHING = (0, 0.0)


class Doubt:
    """A sum for one slice. `sign` 1: it grows with silence; -1: it grows with what speaks for the end of one.

    `ratio` is the silent share of what is usual. `since` is when the sum last was nothing, Unix ms; `sent`, `heard` and
    `usual`, the number of confirmations that were to be expected, count from there; so does `unheard`, a number of phones.
    """

    __slots__ = ("_phones", "_ratio", "_sign", "heard", "score", "sent", "since", "unheard", "usual")

    def __init__(self, ratio: float, sign: int = 1) -> None:
        self._ratio = ratio
        self._sign = sign
        self._phones: dict[int, tuple[int, float]] = {}
        self.score = 0.0
        self.since = 0
        self.sent = self.heard = self.unheard = 0
        self.usual = 0.0

    def add(self, phone: int, *, heard: bool, share: float, spread: float, at: int) -> float:
        """Count one delivery of which `share` was to be expected; returns the sum."""
        if self.score <= 0.0:
            self._begin(at)
        self.sent += 1
        self.usual += share
        self.heard += heard
        good, bad = math.log(self._ratio), math.log((1 - self._ratio * share) / (1 - share))
        times, said = self._phones.get(phone, _NOTHING)
        now = min(_LOUDEST, said + (good if heard else bad) / (1 + _ALIKE * times))
        if phone in self._phones or len(self._phones) < _PHONES:
            self._phones[phone] = times + 1, now
            self.unheard += (now > 0.0) - (said > 0.0)
        self.score += self._sign * (now - said) / spread
        return self.score

    def _begin(self, at: int) -> None:
        self._phones.clear()
        self.score = 0.0
        self.since = at
        self.sent = self.heard = self.unheard = 0
        self.usual = 0.0
