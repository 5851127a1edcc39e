"""When a route last accepted a token other than the one in question: what lets a strike count (DESIGN 5.4). Pure."""

from __future__ import annotations


class LastAccepted:
    """The last acceptance of a route, and the last of another token than that; Unix ms."""

    __slots__ = ("_at", "_others_at", "_target")

    def __init__(self) -> None:
        self._target = 0
        self._at: int | None = None
        self._others_at: int | None = None

    def note(self, first: int, last: int, now: int) -> None:
        """Note that a batch was accepted, from its first target to its last."""
        if first != last:
            self._others_at = now
        elif last != self._target:
            self._others_at = self._at
        self._target, self._at = last, now

    def of_another(self, target: int) -> int | None:
        """Return when a token other than this target's was last accepted; None: never."""
        return self._others_at if target == self._target else self._at
