"""How often somebody may try to sign in: a bucket that leaks, for each user and for each address.

Theory: an attempt counts before it is judged, so that attempts side by side are no way around it; one that succeeds is taken
back. The buckets are in memory: a restart gives a few attempts, and 10,000 names cost less than 2 MB.
"""

from __future__ import annotations

import ipaddress

import msgspec

_MOST_NAMES = 10_000
_NETWORK_OF_A_HOST = 64
"""Bits of an IPv6 address that one customer has: the rest is his to choose."""


class Rate(msgspec.Struct, frozen=True):
    """`burst` attempts at once, then one each `seconds`."""

    burst: int
    seconds: float


USER = Rate(burst=10, seconds=60)
ADDRESS = Rate(burst=30, seconds=10)


class Throttle:
    """Buckets by name."""

    def __init__(self, rate: Rate) -> None:
        """Begin with empty buckets."""
        self._rate = rate
        self._levels: dict[str, tuple[float, float]] = {}

    def take(self, name: str, at: float) -> float:
        """Count an attempt at this time (seconds); return the seconds to wait if it is one too many, else 0."""
        level = self._level(name, at)
        if level + 1 > self._rate.burst:
            return (level + 1 - self._rate.burst) * self._rate.seconds
        self._put(name, level + 1, at)
        return 0.0

    def give_back(self, name: str, at: float) -> None:
        """Uncount an attempt that succeeded."""
        self._put(name, max(0.0, self._level(name, at) - 1), at)

    def _level(self, name: str, at: float) -> float:
        level, since = self._levels.get(name, (0.0, at))
        return max(0.0, level - (at - since) / self._rate.seconds)

    def _put(self, name: str, level: float, at: float) -> None:
        self._levels.pop(name, None)
        if level > 0:
            self._levels[name] = level, at
        while len(self._levels) > _MOST_NAMES:
            del self._levels[next(iter(self._levels))]


def neighbourhood(address: str) -> str:
    """Return what counts as one address: an IPv4 address, or the network of an IPv6 one."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, _NETWORK_OF_A_HOST), strict=False))
