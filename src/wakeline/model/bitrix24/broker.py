"""Self-hosted portals that use us as their push service: the key each comes with, and from where it came. Times in Unix ms."""

from __future__ import annotations

import hashlib

import msgspec

MOST_SOURCES = 16
"""Sources remembered for a key; the one unseen the longest is forgotten."""


class PortalSource(msgspec.Struct, frozen=True, kw_only=True):
    """Where a portal's pushes came from: the host that it names itself, and the address of its connection."""

    host: str
    address: str
    first: int
    seen: int


class PortalKey(msgspec.Struct, frozen=True, kw_only=True):
    """A licence key bound to an app (row id): what comes with it is sent with that app's credentials.

    `digest` is the SHA-256 of the key, which is not kept; `ending` are its last characters, to recognise it. `topic` is the
    bundle id of the portal's mobile app, where the app's credentials are good for several. `sources`: the newest last.
    """

    id: int
    app: int
    digest: bytes
    ending: str
    name: str = ""
    topic: str = ""
    sources: tuple[PortalSource, ...] = ()
    created: int = 0

    @property
    def seen(self) -> int:
        """Return when it was last used; 0: never."""
        return max((source.seen for source in self.sources), default=0)


def seen_from(key: PortalKey, host: str, address: str, now: int) -> tuple[PortalKey, PortalSource | None]:
    """Return a key with this source remembered, and where it came from before if this source is new to it."""
    known = next((one for one in key.sources if (one.host, one.address) == (host, address)), None)
    source = PortalSource(host=host, address=address, first=known.first if known else now, seen=now)
    others = [one for one in key.sources if one is not known]
    kept = (*sorted(others, key=lambda one: one.seen)[-(MOST_SOURCES - 1) :], source)
    before = max(others, key=lambda one: one.seen, default=None) if known is None else None
    return msgspec.structs.replace(key, sources=kept), before


def key_digest(text: str) -> bytes:
    """Return what is kept of a licence key: a portal's is a digest itself, so it needs no slow hash."""
    return hashlib.sha256(text.encode()).digest()
