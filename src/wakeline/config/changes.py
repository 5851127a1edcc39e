"""What a reload may change: the difference of two settings trees, split into what takes effect and what needs a restart.

A key takes effect at once when the part that reads it is told of new settings (`service.reload`) or asks on each use.
"""

from __future__ import annotations

import msgspec

from wakeline.config.flat import values
from wakeline.config.tree import Settings

_AT_ONCE = (
    "credentials.",
    "limits.",
    "devices.",
    "retention.",
    "logs.",
    "queue.",
    "providers.",
    "bitrix24.",
    "webhooks.",
    "sip.senders",
    "server.drain_timeout",
)
_AT_START = frozenset({"logs.access", "bitrix24.call_hook"})


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A key whose value differs."""

    key: str
    at_once: bool


def takes_effect(path: str) -> bool:
    """Tell whether a new value of this key is in force after SIGHUP, without a restart."""
    return path.startswith(_AT_ONCE) and path not in _AT_START


def changes(old: Settings, new: Settings) -> list[Change]:
    """Return the keys that differ, in the order of the tree."""
    before, after = values(old), values(new)
    return [Change(key=key, at_once=takes_effect(key)) for key in before if before[key] != after[key]]
