"""What the push service of self-hosted portals needs kept. The conformance suite defines it, as with the others."""

from __future__ import annotations

from typing import Protocol

from wakeline.model.bitrix24.broker import PortalKey


class PortalKeys(Protocol):
    """Licence keys bound to apps. Reads are from memory: every request asks."""

    async def bind(self, key: PortalKey) -> PortalKey:
        """Keep a key; its id is given by the store. Raises Conflict (it is bound already), NotFound (a deleted app)."""

    async def remember(self, key: PortalKey) -> None:
        """Write where the key of this id was seen. Nothing is written for a key that was removed meanwhile."""

    async def remove(self, number: int) -> None:
        """Make a key useless. Raises NotFound."""

    def by_digest(self, digest: bytes) -> PortalKey | None:
        """Return the key with this SHA-256 digest."""

    def all(self) -> list[PortalKey]:
        """Return all, oldest first."""
