"""Who wants to hear at once what became of a push: an edge that keeps a caller waiting for it.

What is told here is a hint: it comes before it is written, once, and nothing of it survives a restart. The ledger and the events
are the record.
"""

from __future__ import annotations

from collections.abc import Callable

from wakeline.model.outcome import Outcome

Heard = Callable[[Outcome], None]
"""Is called once, on the loop, in the midst of other work: it returns at once."""


class Hearing:
    """Listeners by the key of their notification, which is to one device."""

    def __init__(self) -> None:
        self._listeners: dict[int, Heard] = {}

    def __len__(self) -> int:
        """Count who listens: nobody, most of the time."""
        return len(self._listeners)

    def listen(self, notification: int, heard: Heard) -> None:
        """Call that when the first of its deliveries is accepted, or has ended."""
        self._listeners[notification] = heard

    def forget(self, notification: int) -> None:
        """Call nobody any more."""
        self._listeners.pop(notification, None)

    def tell(self, notification: int, outcome: Outcome) -> None:
        """Tell whoever listens."""
        heard = self._listeners.pop(notification, None)
        if heard is not None:
            heard(outcome)
