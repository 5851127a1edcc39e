"""Targets of apps that nobody has heard of in a long time: counted, and retired if the settings ask for it.

A walk over all devices begins once a day and goes on in small pieces, so that ten million of them hold nobody up; what it
counted is kept, and stands until the next walk ends. Sources: Firebase, "Best practices for FCM registration token
management" (stale after a month; Google forgets Android tokens that were not connected for 270 days).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import structlog

from wakeline.model.app import App
from wakeline.model.device import Evidence, TargetState
from wakeline.pipeline import report
from wakeline.pipeline.parts import Parts
from wakeline.ports import StaleTarget, TargetVerdict

_log = structlog.get_logger()

EVERY = 86_400.0
"""Seconds from the beginning of a walk to that of the next."""

REASON = "stale"
"""What history and evidence say of a target that was retired for it."""

PIECE = 500
"""Devices that are looked at in one query."""

PIECES = 20
"""Queries of one tick: with a tick a minute, ten million devices take 17 hours."""


class Staleness(msgspec.Struct, frozen=True, kw_only=True):
    """What the last whole walk found in an app, at `at` (Unix ms): stale targets and devices; `retired` of them by it."""

    targets: int = 0
    devices: int = 0
    retired: int = 0
    at: int = 0


class Stale:
    """The walk, and what it found."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._left: list[App] = []
        self._cursor = 0
        self._found = Staleness()
        self._next = 0.0

    async def known(self, app: int) -> Staleness | None:
        """Return what the last whole walk found in an app; None: none has ended yet."""
        kept = await self._parts.facts.get(_name(app))
        return None if kept is None else msgspec.json.decode(kept, type=Staleness)

    async def walk(self) -> None:
        """Go on with the walk for a while; begin one if its day has come."""
        now = self._parts.clock.monotonic()
        if not self._left:
            if now < self._next:
                return
            self._next, self._left = now + EVERY, self._parts.apps.all()
        for _ in range(PIECES):
            if not self._left:
                return
            await self._piece(self._left[0])
            await asyncio.sleep(0)

    async def _piece(self, app: App) -> None:
        now, keep = self._parts.clock.now(), self._parts.settings.devices
        before = now - 1000 * keep.stale_after
        page = await self._parts.devices.stale(app.id, before=before, cursor=self._cursor, limit=PIECE)
        old: list[StaleTarget] = []
        if keep.retire_stale_after:
            old = [one for one in page.targets if one.seen < now - 1000 * keep.retire_stale_after]
        retired = await self._retire(app, old, now)
        self._found = Staleness(
            targets=self._found.targets + len(page.targets) - retired,
            devices=self._found.devices + len({one.device for one in page.targets}),
            retired=self._found.retired + retired,
            at=now,
        )
        self._cursor = page.cursor or 0
        if page.cursor is None:
            await self._end(app)

    async def _retire(self, app: App, old: Sequence[StaleTarget], now: int) -> int:
        """Retire targets whose app has kept silent too long; one that spoke meanwhile stays."""
        if not old:
            return 0
        verdicts = [
            TargetVerdict(
                target=one.target,
                state=TargetState.RETIRED,
                reason=REASON,
                at=now,
                evidence=Evidence(reason=REASON, at=now, since=one.seen, strikes=0),
                unless_confirmed_after=one.seen,
            )
            for one in old
        ]
        retired = [verdict.target for verdict in await self._parts.devices.judge(verdicts)]
        owners = await self._parts.devices.by_target_ids(retired)
        seen = {one.target: one.seen for one in old}
        events = [
            report.aged(app, device, target, seen=seen[target], at=now) for target, device in sorted(owners.items())
        ]
        if events:
            await self._parts.events.append(events)
        return len(retired)

    async def _end(self, app: App) -> None:
        found, self._found = self._found, Staleness()
        self._left.pop(0)
        if self._parts.apps.by_id(app.id) is not None:
            await self._parts.facts.set(_name(app.id), msgspec.json.encode(found).decode())
        if found.targets or found.retired:
            _log.info("targets.stale", app=app.slug, targets=found.targets, retired=found.retired)


def _name(app: int) -> str:
    return f"stale/{app}"
