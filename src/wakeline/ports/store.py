"""The store itself: its settings, its secrets, its master key, its care."""

from __future__ import annotations

from typing import Protocol

import msgspec

RESTORED_AT = "restored_at"
BACKED_UP_AT = "backed_up_at"
HOLD_NEW_ROUTES = "hold_new_routes"


class Settings(Protocol):
    """Small facts of the installation (restored backup, ids of this store) by name.

    `RESTORED_AT` is the time (Unix ms) at which a backup was restored, `BACKED_UP_AT` that of the newest backup. While
    `HOLD_NEW_ROUTES` is set, `Routes.ensure` holds what it makes, so that nothing leaves a restored store before the operator
    releases it.
    """

    async def get(self, name: str) -> str | None:
        """Return a value, or None."""

    async def set(self, name: str, value: str | None) -> None:
        """Keep a value; None forgets it."""


class Secrets(Protocol):
    """Sealing with the master key (AES-256-GCM). `context` is the additional data: row id + kind + app."""

    def seal(self, secret: bytes, context: str) -> bytes:
        """Return the sealed form."""

    def open(self, sealed: bytes, context: str) -> bytes:
        """Return the secret. Raises SecretError."""

    def derive(self, purpose: str) -> bytes:
        """Return 32 bytes for another purpose (signing device tokens and cursors), stable for this master key."""

    def accepted(self, purpose: str) -> tuple[bytes, ...]:
        """Return `derive(purpose)`, and what it was under the master keys before, whose signatures still count."""

    @property
    def key_id(self) -> str:
        """Return the name of the master key that seals; it tells nothing of the key."""

    def knows(self, key_id: str) -> bool:
        """Tell whether the master key of this name is held, as the current one or a former one."""

    def is_current(self, sealed: bytes) -> bool:
        """Tell whether a value is sealed with the current master key."""


class Rotated(msgspec.Struct, frozen=True, kw_only=True):
    """What a change of the master key did: the names of the new key and of the former ones kept, and how much was sealed anew."""

    key: str
    former: tuple[str, ...]
    resealed: int


class MasterKey(Protocol):
    """The master key as something that can be changed while it is used."""

    async def rotate(self, new_key: bytes | None = None, *, revoke_old: bool = False) -> Rotated:
        """Seal everything with a new key (`new_key`, else one that is made); on disk on return.

        The former key still opens, and what was signed with it still counts, unless `revoke_old`. Raises Conflict where the
        key cannot be changed here, StoreUnavailable; whatever is raised, nothing that was sealed is lost.
        """


class StoreHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How the store is: `wal_bytes` of all write-ahead logs, `disk_free` bytes where it lives, seconds of the last commit."""

    writable: bool
    detail: str = ""
    disk_free: int = 0
    wal_bytes: int = 0
    last_commit_seconds: float = 0.0
    low_disk: bool = False


class StoreKeeper(Protocol):
    """Housekeeping of the store itself."""

    def health(self) -> StoreHealth:
        """Return how it is; cheap, from memory and one statvfs."""

    async def checkpoint(self) -> None:
        """Fold the write-ahead logs into their databases."""
