"""Whether anybody listens for events of success (ADR 11, 18).

Success of a single push is in the ledger, with its attempts. `push.accepted`, and the completion of a notification with no
other delivery, say it again for those who follow things as they happen; they are kept for them and for a while after they
left, so that who comes back with `Last-Event-ID` has missed nothing.
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
        """Tell whether events of this type are kept now; all but `push.accepted` always are.

        Who is told of `push.accepted` is told of the completion of single notifications as well.
        """
        if event_type is not EventType.PUSH_ACCEPTED:
            return True
        now = self._clock.monotonic()
        if self._followed():  # also those who came and left since the last push
            self._until = now + REMEMBERED
        return now < self._until
