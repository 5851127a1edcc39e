"""How long transactions wait (RFC 3261 section 17 and its table 4), and a wheel that keeps what is due when.

All times are seconds of a clock that never jumps; who drives the wheel owns that clock. What waits for nothing is due at `NEVER`.

The wheel has slots of 8 ms. An item lies in the slot of the moment that it was put in for; if what it waits for moved meanwhile,
its owner puts it in again when it comes out. So a transaction costs one slot at a time however often its timers change, and
nothing is ever searched for or taken out early.
"""

from __future__ import annotations

import math
from heapq import heappop, heappush
from typing import Generic, TypeVar

import msgspec

NEVER = math.inf
_SLOTS_PER_SECOND = 128
"""A power of two, so that a time and its slot are turned into each other without rounding."""

Item = TypeVar("Item")


class Timers(msgspec.Struct, frozen=True, kw_only=True):
    """T1 is the guess at a round trip, T2 the longest time between repetitions, T4 how long a message stays in the network."""

    t1: float = 0.5
    t2: float = 4.0
    t4: float = 5.0
    trying: float = 0.2
    """After which an INVITE that the user is silent about gets its 100 (RFC 3261 section 17.2.1)."""

    @property
    def patience(self) -> float:
        """Return 64*T1: Timers B, F, H and J, L and M of RFC 6026, and D, which must be at least 32 s."""
        return 64 * self.t1

    @property
    def late_trying(self) -> float:
        """Return after which a request other than INVITE gets a 100: when Timer E of its sender is T2 (RFC 4320 section 4.1)."""
        total, wait = 0.0, self.t1
        while wait < self.t2:
            total += wait
            wait *= 2
        return total


class TimerWheel(Generic[Item]):
    """What is due when, to 8 ms: never early, at most one slot late."""

    def __init__(self) -> None:
        self._slots: dict[int, list[Item]] = {}
        self._order: list[int] = []

    def put(self, due: float, item: Item) -> None:
        """Have an item come out at that time; nothing happens for NEVER."""
        if due == NEVER:
            return
        slot = math.ceil(due * _SLOTS_PER_SECOND)
        items = self._slots.get(slot)
        if items is None:
            self._slots[slot] = [item]
            heappush(self._order, slot)
        else:
            items.append(item)

    @property
    def next(self) -> float:
        """Return when something comes out next; NEVER if nothing is in."""
        return self._order[0] / _SLOTS_PER_SECOND if self._order else NEVER

    def pop(self, now: float) -> list[Item]:
        """Take out all that is due, in order."""
        last, due = math.floor(now * _SLOTS_PER_SECOND), list[Item]()
        while self._order and self._order[0] <= last:
            due += self._slots.pop(heappop(self._order))
        return due
