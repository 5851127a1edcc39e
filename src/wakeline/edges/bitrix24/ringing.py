"""Which notifications ring for a call, so that they can be taken back when it ends.

In memory on purpose: a push that rings lives for half a minute, and one that nobody took back ends by itself.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec

MOST = 2_000
"""Calls that are remembered: thousands ring within half a minute at most."""


class Ring(msgspec.Struct, frozen=True, kw_only=True):
    """A notification (its key) that rings for a user, in an app (row id)."""

    app: int
    user: int
    notification: int


class Rings:
    """What rings, by the id of the call."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, list[Ring]] = OrderedDict()

    def add(self, call_id: str, ring: Ring) -> None:
        """Remember what rings."""
        self._calls.setdefault(call_id, []).append(ring)
        self._calls.move_to_end(call_id)
        while len(self._calls) > MOST:
            self._calls.popitem(last=False)

    def take(self, call_id: str, users: frozenset[int] | None = None) -> list[Ring]:
        """Return and forget what rings for a call: for these users, or for everybody."""
        known = self._calls.pop(call_id, [])
        others = [ring for ring in known if users is not None and ring.user not in users]
        if others:
            self._calls[call_id] = others
        return [ring for ring in known if ring not in others]
