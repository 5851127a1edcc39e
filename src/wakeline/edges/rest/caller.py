"""Who asks: an API key, a phone with its device token, or the operator at the machine itself."""

from __future__ import annotations

import msgspec

from wakeline.edges.rest.key_quota import KeyQuota
from wakeline.model.key import ApiKey, Scope


class DeviceGrant(msgspec.Struct, frozen=True, kw_only=True):
    """What a device token allows: to register exactly this device of this app, for exactly these users. `expires` in Unix ms."""

    app: int
    device_id: str
    users: tuple[str, ...]
    expires: int


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks and how far they may go. `name` is stable: Idempotency-Keys are kept under it.

    `apps`: slugs the caller is bound to; None means every app. `quota`: that of its key, if it has one.
    """

    name: str
    scopes: frozenset[Scope] = frozenset()
    apps: frozenset[str] | None = None
    grant: DeviceGrant | None = None
    quota: KeyQuota | None = None

    def may(self, scopes: tuple[Scope, ...]) -> bool:
        """Tell whether any of these scopes is held; `admin` includes all."""
        return Scope.ADMIN in self.scopes or not self.scopes.isdisjoint(scopes)

    def sees(self, slug: str) -> bool:
        """Tell whether this app exists as far as the caller is concerned."""
        return self.apps is None or slug in self.apps

    @property
    def reads_tokens(self) -> bool:
        """Tell whether device tokens are shown whole."""
        return self.may((Scope.DEVICES,))


NOBODY = Caller(name="nobody")
OPERATOR = Caller(name="operator", scopes=frozenset({Scope.ADMIN}))
"""Whoever speaks through the service's own socket or in-process: the owner of the data directory."""


def of_key(key: ApiKey, quota: KeyQuota | None) -> Caller:
    """Return the caller that a valid key stands for."""
    apps = frozenset(key.apps) if key.apps else None
    return Caller(name=f"key:{key.id}", scopes=frozenset(key.scopes), apps=apps, quota=quota)
