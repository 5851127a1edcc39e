"""Waits between attempts that fail: doubling, with jitter, up to a limit."""

from __future__ import annotations

from collections.abc import Callable


class Backoff:
    """`next` gives 0.2 s, then twice as much each time up to 30 s, each taken between its half and its whole.

    Providers treat rapid connects as an attack (Apple: "Sending notification requests to APNs"), and many gateways that
    lost their provider together must not come back together. `random` returns a number in [0, 1).
    """

    def __init__(self, random: Callable[[], float], *, first: float = 0.2, longest: float = 30.0) -> None:
        self._random = random
        self._first = first
        self._longest = longest
        self._step = first

    def next(self) -> float:
        """Return how long to wait now, in seconds."""
        step, self._step = self._step, min(2 * self._step, self._longest)
        return step * (0.5 + 0.5 * self._random())

    def reset(self) -> None:
        """Begin again: it worked."""
        self._step = self._first
