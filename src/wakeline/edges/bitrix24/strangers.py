"""How often somebody may come with a code, token or key that opens nothing: a bucket that leaks, for each source address.

Theory: a full bucket refuses what else is wrong without a judgement. Codes and tokens that we made are served whatever their
neighbours behind a proxy try, for nobody guesses 95 bits; licence keys are chosen elsewhere, so the broker refuses the address
whatever it brings. Credentials that expired or were withdrawn are no guesses and do not count. In memory: a restart gives
some attempts more, and 10,000 addresses cost less than 2 MB.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from wakeline.edges.bitrix24.oauth.throttle import neighbourhood
from wakeline.ports import Clock

_MOST_ADDRESSES = 10_000
_MINUTE = 60.0

_log = structlog.get_logger()


class Strangers:
    """Failures by address; `most` tells how many a minute may have, 0: any number. `door` is whose log lines they are."""

    def __init__(self, clock: Clock, most: Callable[[], int], door: str = "bitrix24") -> None:
        """Nobody has failed yet."""
        self._clock = clock
        self._most = most
        self._door = door
        self._levels: dict[str, tuple[float, float]] = {}

    def wait(self, address: str) -> float:
        """Return the seconds until this address is heard again; 0: it is heard."""
        most = self._most()
        if not most or not self._levels:
            return 0.0
        return max(0.0, self._level(neighbourhood(address), most) + 1 - most) * _MINUTE / most

    def failed(self, address: str) -> None:
        """Count a credential that opened nothing."""
        most = self._most()
        if not most:
            return
        name = neighbourhood(address)
        level = min(self._level(name, most) + 1, most)
        self._levels.pop(name, None)
        self._levels[name] = level, self._clock.monotonic()
        if len(self._levels) > _MOST_ADDRESSES:
            del self._levels[next(iter(self._levels))]
        if level + 1 > most:
            _log.warning(f"{self._door}.address_shut_out", address=name, failures_per_minute=most)

    def _level(self, name: str, most: int) -> float:
        level, since = self._levels.get(name, (0.0, 0.0))
        return max(0.0, level - (self._clock.monotonic() - since) * most / _MINUTE)
