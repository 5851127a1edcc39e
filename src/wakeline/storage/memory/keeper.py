"""Housekeeping of a store that keeps nothing on a disk."""

from __future__ import annotations

from wakeline.ports import StoreHealth


class MemoryKeeper:
    """Always well; there is no log to fold."""

    def health(self) -> StoreHealth:
        """Return how it is."""
        return StoreHealth(writable=True, detail="kept in memory only")

    async def checkpoint(self) -> None:
        """Nothing to fold."""
