"""Whether anybody listens for events of success (ADR 11).

Success of a single push is said twice already: the ledger holds the delivery with its attempts, and the journal says
`notification.completed`. `push.accepted` is a third word, for those who follow things as they happen; it is kept for them and
for a while after they left, so that who comes back with `Last-Event-ID` has missed nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from wakeline.model.event import EventType
from wakeline.ports import Clock, Events

REMEMBERED = 3600.0
"""Seconds for which somebody who has left may come back."""


class Attention:
    """Answers `Parts.wanted`."""

    def __init__(self, events: Events, clock: Clock) -> None:
        self._followed: Callable[[], bool] = events.followed
        self._clock = clock
        self._until = float("-inf")

    def wanted(self, event_type: EventType) -> bool:
        """Tell whether events of this type are kept now; all but `push.accepted` always are."""
        if event_type is not EventType.PUSH_ACCEPTED:
            return True
        now = self._clock.monotonic()
        if self._followed():  # also those who came and left since the last push
            self._until = now + REMEMBERED
        return now < self._until
