"""How much one caller may ask: a leaky bucket of requests, and seconds of work per method within ten minutes.

Bucket (Bitrix24: "Limits"): each request adds 1, `per_second` of them leak out each second; once it is above `burst`, the next
request is refused. That one adds nothing, so that a client that waits as long as it is told is served again.
Operating: run times of a method are summed over ten buckets of a minute; calls of at most 0.1 s are not counted.
"""

from __future__ import annotations

from collections.abc import Hashable

import msgspec

_MOST_KEYS = 20_000
_MINUTES = 10
_MINUTE = 60_000
_SHORTEST = 0.1


class Buckets:
    """Leaky buckets by key. Those that are empty are as good as none, and forgotten now and then."""

    def __init__(self) -> None:
        self._levels: dict[Hashable, tuple[float, float]] = {}

    def take(self, key: Hashable, now: float, *, burst: int, per_second: float) -> bool:
        """Count a request; False: one too many. `now` in seconds of the monotonic clock."""
        if key not in self._levels and len(self._levels) >= _MOST_KEYS:
            self._forget_empty(now, per_second)
        level, at = self._levels.get(key, (0.0, now))
        level = max(0.0, level - (now - at) * per_second)
        fits = level <= burst
        self._levels[key] = (level + 1 if fits else level, now)
        return fits

    def _forget_empty(self, now: float, per_second: float) -> None:
        full = {key: (level, at) for key, (level, at) in self._levels.items() if level > (now - at) * per_second}
        # More than that many at once is somebody who makes keys up: they cost memory, not rights.
        self._levels = full if len(full) < _MOST_KEYS else {}


class Load(msgspec.Struct, frozen=True):
    """What a method has cost a caller: seconds, and when the oldest of them no longer count (Unix seconds)."""

    seconds: float
    resets: int


class Operating:
    """Run times by caller and method."""

    def __init__(self) -> None:
        self._minutes: dict[Hashable, dict[int, float]] = {}

    def add(self, key: Hashable, seconds: float, now: int) -> None:
        """Count a call that has ended. `now` in Unix ms."""
        if seconds <= _SHORTEST:
            return
        if key not in self._minutes and len(self._minutes) >= _MOST_KEYS:
            self._minutes = {known: spent for known, spent in self._minutes.items() if _counting(spent, now)}
        spent = _counting(self._minutes.get(key, {}), now)
        minute = now // _MINUTE
        spent[minute] = spent.get(minute, 0.0) + seconds
        self._minutes[key] = spent

    def load(self, key: Hashable, now: int) -> Load:
        """Return what counts now. `now` in Unix ms."""
        spent = _counting(self._minutes.get(key, {}), now)
        oldest = min(spent, default=now // _MINUTE)
        return Load(round(sum(spent.values()), 6), (oldest + _MINUTES) * _MINUTE // 1000)


def _counting(spent: dict[int, float], now: int) -> dict[int, float]:
    this = now // _MINUTE
    # Minutes to come are of a clock that has been set back since.
    return {minute: seconds for minute, seconds in spent.items() if this - _MINUTES < minute <= this}
