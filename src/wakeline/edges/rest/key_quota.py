"""The quota of an API key: how many notifications it may have taken in an hour; none unless its operator gave it one.

A bucket of that many, which fills again at the same rate (RFC 2697's token bucket, one rate). What was not kept, or was answered
from an earlier request, is given back. Counted in memory: after a restart every key begins with a full bucket.
"""

from __future__ import annotations

from collections.abc import Callable

from wakeline.model.errors import RateLimited
from wakeline.model.key import ApiKey

_HOUR = 3600.0


class KeyQuota:
    """The bucket of one key; `monotonic` returns seconds."""

    __slots__ = ("_at", "_left", "_monotonic", "per_hour")

    def __init__(self, per_hour: int, monotonic: Callable[[], float]) -> None:
        self.per_hour = per_hour
        self._left = float(per_hour)
        self._monotonic = monotonic
        self._at = monotonic()

    def take(self) -> None:
        """Count one notification. Raises RateLimited, which says when there is room again."""
        now = self._monotonic()
        self._left = min(self.per_hour, self._left + (now - self._at) * self.per_hour / _HOUR)
        self._at = now
        if self._left < 1:
            raise RateLimited(
                f"this API key may have {self.per_hour} notifications taken in an hour, and has had them",
                fix="Send later, or have the operator make a key with a higher `per_hour`, or with none.",
                retry_after=(1 - self._left) * _HOUR / self.per_hour,
            )
        self._left -= 1

    def give_back(self, notifications: int) -> None:
        """Count so many less."""
        self._left = min(self.per_hour, self._left + notifications)


class KeyQuotas:
    """The buckets of all keys that have a quota: a key has one, whichever edge it comes by."""

    def __init__(self) -> None:
        self._known: dict[int, KeyQuota] = {}

    def of(self, key: ApiKey, monotonic: Callable[[], float]) -> KeyQuota | None:
        """Return the bucket of a key, or None if it has no quota."""
        if not key.per_hour:
            return None
        known = self._known.get(key.id)
        if known is None:
            known = self._known[key.id] = KeyQuota(key.per_hour, monotonic)
        return known
