"""The maker of notification keys (`model.ids`): they only ever grow.

Three things would make a key come twice: two in one millisecond, a wall clock that goes back, and a restart after it did.
The counter serves the first, the last key the second, and starting above the newest key in the store the third.
"""

from __future__ import annotations

from collections.abc import Callable

from wakeline.model.ids import key_at


class KeyMaker:
    """Makes keys above `newest`, the largest key the store holds (0: none). `now` returns Unix milliseconds."""

    def __init__(self, now: Callable[[], int], newest: int) -> None:
        self._now = now
        self._last = newest

    def next(self) -> int:
        """Return a new key: the time's, or one above the last if the time has not moved on."""
        self._last = max(self._last + 1, key_at(self._now(), 0))
        return self._last
