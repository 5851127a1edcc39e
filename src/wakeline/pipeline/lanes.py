"""Whose turn it is among the lanes of a route: the better lane first, and at least a twentieth for each other (promise 4).

A deficit counter: of everything that is sent while it waits, a lane that is not the best is owed its share. A lane that is
owed a grant goes next. Calls are not counted here: they have streams of their own and never wait for a turn.
"""

from __future__ import annotations

from collections.abc import Collection

from wakeline.model.route import Lane

SHARE = 0.055
"""The part of a busy route that each waiting lower lane gets: a little over a twentieth, since it comes in whole grants."""

GRANT = 20
"""Deliveries: a lane is served out of turn once it is owed this many, and gets no more than them at once."""


class Turns:
    """The counters of one route."""

    def __init__(self) -> None:
        self._owed: dict[Lane, float] = {}

    def pick(self, waiting: Collection[Lane]) -> Lane:
        """Return the lane that goes next; `waiting` is not empty."""
        best = min(waiting)
        debtor = max(waiting, key=lambda lane: self._owed.get(lane, 0.0))
        return debtor if self._owed.get(debtor, 0.0) >= GRANT else best

    def sent(self, lane: Lane, deliveries: int, waiting: Collection[Lane]) -> None:
        """Count what a lane sent; `waiting` are the lanes that had work meanwhile. A lane without work is owed nothing."""
        owed = {other: self._owed.get(other, 0.0) for other in waiting}
        best = min(waiting, default=lane)
        for other in owed:
            if other > best:
                owed[other] += SHARE * deliveries
        if lane in owed and lane > best:
            owed[lane] -= deliveries
        self._owed = owed
