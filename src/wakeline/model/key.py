"""API keys: who may speak to us, and what about."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Scope(StrEnum):
    """What a key may do. `admin` includes all."""

    ADMIN = "admin"
    CREDENTIALS = "credentials"
    SEND = "send"
    DEVICES = "devices"
    READ = "read"
    EVENTS = "events"


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A stored key without its secret: only `digest`, the SHA-256 of the text, is kept (256 random bits need no slow hash).

    `prefix`: the first characters, to recognise it; `apps`: slugs it is bound to, empty means all; times in Unix ms. `per_hour`:
    notifications it may have taken in an hour (0: as many as it sends).
    """

    id: int
    name: str
    prefix: str
    digest: bytes
    scopes: tuple[Scope, ...]
    apps: tuple[str, ...] = ()
    created: int = 0
    expires: int | None = None
    revoked: int | None = None
    last_used: int | None = None
    per_hour: int = 0

    def allows(self, scope: Scope, app: str | None) -> bool:
        """Tell whether this key may do `scope` to `app` (None: to no app in particular)."""
        if self.apps and (app is None or app not in self.apps):
            return False
        return Scope.ADMIN in self.scopes or scope in self.scopes
