"""What the watch for silence needs of the store."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

import msgspec

from wakeline.model.device import DeviceFacts
from wakeline.model.event import Event
from wakeline.model.route import Lane
from wakeline.model.silence import Count, Suspicion


class Mark(NamedTuple):
    """A place in the order in which notifications were done: when (Unix ms), and the key of the last one looked at."""

    done: int
    notification: int = 0


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery that a push service accepted, of a notification that was done at `at`; `heard`: its device confirmed it.

    `device` is a row id, `kind` that of the target, `facts` what the device says of itself by now.
    """

    at: int
    app: int
    lane: Lane
    device: int
    kind: str
    facts: DeviceFacts
    heard: bool


class SettledPage(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, and how far was looked; `more`: there may be more to find before the time asked for."""

    sent: tuple[Settled, ...]
    mark: Mark
    more: bool


class Silence(Protocol):
    """Counts of what devices confirm, by the hour, and the suspicions that came of them."""

    async def settled(self, apps: Collection[int], *, after: Mark, before: int, limit: int) -> SettledPage:
        """Return accepted deliveries of the next `limit` notifications behind `after` that were done before that time.

        Of these apps, and of any notification that a device confirmed; of a broadcast a few chunks, evenly spread. What was
        never sent, and what a forgotten device got, is left out.
        """

    async def record(
        self, counts: Sequence[Count], suspicions: Sequence[Suspicion], events: Sequence[Event], *, mark: Mark | None
    ) -> list[Suspicion]:
        """Add counts, keep suspicions (those with id 0 are new), events and how far was looked (None: as before), in one commit.

        Returns the suspicions with their ids. What belongs to a deleted app is left out.
        """

    async def mark(self) -> Mark | None:
        """Return how far was looked; None: never yet."""

    async def counts(self, hour: int) -> list[Count]:
        """Return all counts of an hour."""

    def suspicions(self) -> list[Suspicion]:
        """Return all that are kept, the newest first, from memory."""

    async def forget(self, app: int) -> None:
        """Forget all counts and suspicions of an app."""

    async def prune(self, *, hour: int, before: int) -> None:
        """Forget counts of earlier hours, and suspicions that were over before that time (Unix ms)."""
