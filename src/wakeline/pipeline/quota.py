"""How often one device may be reached: as often as Google allows, and not while Apple or Google has had too much for it. Pure.

Google allows 240 messages in a minute and 5,000 in an hour.

What is beyond that would be answered 429 and count against the project's quota, so it waits here, each push for a slot of its
own: what comes later waits longer, and nothing is tried in vain. Both rules are kept exactly, over every minute and hour.

Memory. Nearly no device ever gets more than a few pushes a minute, and those cost nothing but one of 2^20 counters, shared by
whoever falls on it and forgotten after two minutes: a broadcast to a million leaves no object behind. Only where a counter
says that somebody had `FEW` in a minute, the times of that device's pushes are kept, for an hour, and of `MOST_FOLLOWED`
devices at most (40 MB if each gets all it may). Who is not followed is left to Google.

Apple names no numbers. It says 429 TooManyRequests for a token, and then nothing more goes to that token until the refused
push is tried again; what came meanwhile follows one by one.

Sources: Firebase, "Throttling and quotas": maximum message rate to a single device; Apple, "Handling notification responses
from APNs".
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

PER_MINUTE = 240
PER_HOUR = 5_000

FEW = 30
"""Pushes in a minute from which on a device is followed: who always has fewer reaches neither limit."""

MOST_FOLLOWED = 1_000

MOST_RESTING = 10_000

SPACE = 1_000
"""Milliseconds between two pushes that waited for the same device."""

_MINUTE = 60_000
_HOUR = 3_600_000
_SLOTS = 1 << 20
_MASK = _SLOTS - 1


class Times:
    """When the pushes of one device went out or may go out, in milliseconds, in order."""

    __slots__ = ("_times",)

    def __init__(self, before: int, now: int) -> None:
        self._times = array("q", [now]) * before

    def book(self, now: int, latest: int) -> int:
        """Return the next time that both rules allow; it is taken unless it is after `latest`."""
        times = self._times
        at = max(now, times[-1]) if times else now
        if len(times) >= PER_MINUTE:
            at = max(at, times[-PER_MINUTE] + _MINUTE)
        if len(times) >= PER_HOUR:
            at = max(at, times[-PER_HOUR] + _HOUR)
        if at <= latest:
            times.append(at)
            if len(times) >= 2 * PER_HOUR:
                del times[:-PER_HOUR]
        return at

    def is_over(self, now: int) -> bool:
        """Tell whether nothing of it counts any more."""
        return not self._times or self._times[-1] < now - _HOUR


class DeviceQuota:
    """The devices of all routes to one push service. Readings in milliseconds on the monotonic clock."""

    def __init__(self) -> None:
        self._since = 0
        self._counts = bytearray(_SLOTS)
        self._before = bytearray(_SLOTS)
        self._followed: dict[int, Times] = {}

    def charge(self, packed: Iterable[int], now: int, latest: int) -> dict[int, int]:
        """Count a push to each of these packed recipients; return which of them, by place, must wait, and until when.

        A wait beyond `latest` takes no slot: that push is never sent.
        """
        if now - self._since >= _MINUTE:
            self._next_minute(now)
        counts, followed = self._counts, self._followed
        waits: dict[int, int] = {}
        for place, recipient in enumerate(packed):
            target = recipient >> 16
            slot = target & _MASK
            count = counts[slot]
            if count < FEW and not (followed and target in followed):
                counts[slot] = count + 1
                continue
            times = followed.get(target) or self._follow(target, slot, now)
            if times is not None and (at := times.book(now, latest)) > now:
                waits[place] = at
        return waits

    def _follow(self, target: int, slot: int, now: int) -> Times | None:
        if len(self._followed) >= MOST_FOLLOWED:
            return None
        times = self._followed[target] = Times(self._counts[slot] + self._before[slot], now)
        return times

    def _next_minute(self, now: int) -> None:
        empty = bytearray(_SLOTS)
        self._before = self._counts if now - self._since < 2 * _MINUTE else empty
        self._counts = bytearray(_SLOTS)
        self._since = now
        self._followed = {target: times for target, times in self._followed.items() if not times.is_over(now)}


class Rests:
    """The devices of a route that had too many. Readings in milliseconds on the monotonic clock."""

    def __init__(self) -> None:
        self._until: dict[int, int] = {}

    def __bool__(self) -> bool:
        return bool(self._until)

    def note(self, target: int, until: int, now: int) -> None:
        """Note that nothing more is to go to a target before `until`."""
        if len(self._until) >= MOST_RESTING:
            self._until = {other: at for other, at in self._until.items() if at > now}
        if len(self._until) < MOST_RESTING:
            self._until[target] = max(until, self._until.get(target, until))

    def book(self, packed: Iterable[int], now: int, latest: int) -> dict[int, int]:
        """Return which of these packed recipients, by place, must wait, and until when: each for a time of its own.

        A wait beyond `latest` takes no time from others.
        """
        waits: dict[int, int] = {}
        for place, recipient in enumerate(packed):
            until = self._until.get(recipient >> 16)
            if until is None:
                continue
            if until <= now:
                del self._until[recipient >> 16]
                continue
            waits[place] = until + SPACE
            if waits[place] <= latest:
                self._until[recipient >> 16] = waits[place]
        return waits
