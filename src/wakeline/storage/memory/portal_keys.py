"""Licence keys of self-hosted portals, in a dictionary."""

from __future__ import annotations

import msgspec

from wakeline.model.bitrix24.broker import PortalKey
from wakeline.model.errors import Conflict, NotFound
from wakeline.storage.memory.registers import MemoryApps


class MemoryPortalKeys:
    """Keys by id."""

    def __init__(self, apps: MemoryApps) -> None:
        self._apps = apps
        self._keys: dict[int, PortalKey] = {}
        self._last = 0

    async def bind(self, key: PortalKey) -> PortalKey:
        """Keep a key under a new id. Raises Conflict, NotFound."""
        if self._apps.is_gone(key.app):
            raise NotFound("The app was deleted")
        if self.by_digest(key.digest) is not None:
            raise Conflict("This key is bound already", fix="Remove it first to bind it to another app.")
        self._last += 1
        kept = self._keys[self._last] = msgspec.structs.replace(key, id=self._last)
        return kept

    async def remember(self, key: PortalKey) -> None:
        """Write where a key was seen, if it is still there."""
        if key.id in self._keys:
            self._keys[key.id] = key

    async def remove(self, number: int) -> None:
        """Make a key useless. Raises NotFound."""
        if self._keys.pop(number, None) is None:
            raise NotFound(f"There is no portal key {number}")

    def by_digest(self, digest: bytes) -> PortalKey | None:
        """Return the key with this digest."""
        return next((key for key in self._keys.values() if key.digest == digest), None)

    def all(self) -> list[PortalKey]:
        """Return all, oldest first."""
        return list(self._keys.values())

    def forget_app(self, app: int) -> None:
        """Forget an app's keys."""
        self._keys = {number: key for number, key in self._keys.items() if key.app != app}
