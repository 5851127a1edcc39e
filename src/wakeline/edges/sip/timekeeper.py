"""One timer wheel for all that waits in the SIP edge: transactions, and calls at a later time.

An item says when it is `due`, and is put into the wheel when that is earlier than it is in already (`armed`). When it comes out too
early, since what it waited for has moved, it is put in again. So changing a timer, which every message does, costs a comparison.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from wakeline.wire.sip.timers import NEVER, TimerWheel

_log = structlog.get_logger()


class Timed(Protocol):
    """Something that waits."""

    armed: float
    """When it comes out of the wheel; the timekeeper's own."""

    @property
    def due(self) -> float:
        """Return when `tick` is to be called; NEVER: not at all."""

    def tick(self, now: float) -> None:
        """Do what is due."""


class Alarm:
    """A call at a later time."""

    __slots__ = ("_call", "_due", "armed")

    def __init__(self, due: float, call: Callable[[], None]) -> None:
        self._due = due
        self._call = call
        self.armed = NEVER

    @property
    def due(self) -> float:
        """Return when it is; NEVER once it rang or was cancelled."""
        return self._due

    def tick(self, now: float) -> None:
        """Ring if it is time."""
        if now >= self._due:
            call = self._call
            self.cancel()
            call()

    def cancel(self) -> None:
        """Do not ring, and let go of what would have been called: the wheel keeps the alarm until its time."""
        self._due = NEVER
        self._call = _nothing


def _nothing() -> None:
    """Be called in vain."""


class Timekeeper:
    """Drives the wheel by a clock of seconds, and by one timer of the event loop."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._wheel: TimerWheel[Timed] = TimerWheel()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = NEVER

    def after(self, seconds: float, call: Callable[[], None]) -> Alarm:
        """Call that in so many seconds, unless the alarm is cancelled."""
        alarm = Alarm(self._clock() + seconds, call)
        self.changed(alarm)
        return alarm

    def changed(self, item: Timed) -> None:
        """Look at when an item is due."""
        due = item.due
        if due < item.armed:
            item.armed = due
            self._wheel.put(due, item)
            self._wind()

    def run(self) -> None:
        """Do what is due now. The event loop calls it in time; whoever moves the clock by hand calls it as well."""
        now = self._clock()
        for item in self._wheel.pop(now):
            if item.armed > now:
                continue  # put in twice: it waits elsewhere in the wheel
            item.armed = NEVER
            if item.due <= now:
                self._tick(item, now)
            self.changed(item)
        self._wind()

    def stop(self) -> None:
        """Ring no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self, item: Timed, now: float) -> None:
        try:
            item.tick(now)
        except Exception:  # noqa: BLE001 - the others are due all the same
            _log.exception("sip.timer_failed")

    def _rung(self) -> None:
        self._timer, self._timer_at = None, NEVER
        self.run()

    def _wind(self) -> None:
        """Have the event loop call at the time of the wheel's next slot."""
        due = self._wheel.next
        if due >= self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = due
        self._timer = asyncio.get_running_loop().call_later(max(0.0, due - self._clock()), self._rung)
