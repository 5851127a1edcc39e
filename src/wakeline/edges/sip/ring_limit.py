"""Timer C: how long a phone may ring without another word (RFC 3261 sections 16.6 step 11 and 16.8)."""

from __future__ import annotations

from collections.abc import Callable

from wakeline.edges.sip.timekeeper import Alarm
from wakeline.edges.sip.transaction_layer import TransactionLayer

TIMER_C = 185.0
"""Seconds: more than three minutes."""


class RingLimit:
    """Calls `over` when nothing was said for that long."""

    def __init__(self, layer: TransactionLayer, over: Callable[[], None]) -> None:
        self._layer = layer
        self._over = over
        self._alarm: Alarm | None = None

    def wind(self) -> None:
        """Begin anew: somebody said something."""
        self._stop()
        self._alarm = self._layer.after(TIMER_C, self._over)

    def end(self) -> None:
        """It is answered: let go of whoever waited for that, who holds us."""
        self._stop()
        self._over = _nothing

    def _stop(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()


def _nothing() -> None:
    """Nobody waits any more."""
