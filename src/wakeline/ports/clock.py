"""What the story needs of time and of names: a clock, and keys that grow."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Two clocks: the wall for what people read and providers check, the monotonic one for waits."""

    def now(self) -> int:
        """Return the Unix time in milliseconds."""

    def monotonic(self) -> float:
        """Return seconds that never jump (the event loop's clock)."""

    async def sleep(self, seconds: float) -> None:
        """Wait; a fake clock returns when it is told to."""


class Ids(Protocol):
    """Maker of notification keys (`model.ids`): unique in a store, growing, also when the wall clock goes back."""

    def next(self) -> int:
        """Return a new key."""
