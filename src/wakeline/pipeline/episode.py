"""What a brake did, kept as facts: why it closed, what was repaired at once, when it was released.

Rule: doubt that closes a brake is not held against any token. Those that it felled before there was enough of it to close
are active again at once; should they be dead after all, the answers after the release will say so.
"""

from __future__ import annotations

import msgspec
import structlog

from wakeline.model.brake import BrakeEpisode, ReasonCount
from wakeline.model.event import EventType
from wakeline.model.outcome import Outcome
from wakeline.model.route import Route
from wakeline.pipeline import report
from wakeline.pipeline.brake import Brake, Findings
from wakeline.pipeline.parts import Parts
from wakeline.pipeline.settle import Settle

_log = structlog.get_logger()

REPAIRED = "the brake closed: this doubt came with that of too many others"
"""What history says of a token that a closing brake made active again."""


class Episodes:
    """Writes down what happens to brakes; `settle` does it with its next flush."""

    def __init__(self, parts: Parts, settle: Settle) -> None:
        self._parts = parts
        self._settle = settle

    def closed(self, route: Route, brake: Brake) -> None:
        """Keep why a brake closed, and repair what the answers in its window did before it did."""
        self._settle.chore(self._closed(route, brake.findings(self._parts.clock.now())))

    async def _closed(self, route: Route, found: Findings) -> None:
        now = self._parts.clock.now()
        episode = await self._parts.brakes.keep(
            BrakeEpisode(
                app=route.app,
                route=route.id,
                provider=route.provider,
                environment=route.environment,
                topic=route.topic,
                began=found.began,
                closed_at=now,
                answers=found.answers,
                doubtful=found.against,
                distinct=found.distinct,
                usual=found.usual,
                reasons=tuple(ReasonCount(reason, count) for reason, count in found.reasons),
            )
        )
        repaired = await self._parts.devices.restore(
            route.app, since=found.began, until=now, route=route.id, proven=False, reason=REPAIRED, at=now
        )
        await self._parts.brakes.change(msgspec.structs.replace(episode, repaired=repaired))
        if repaired:
            _log.warning("brake.repaired", route=route.id, targets=repaired)

    async def released(self, route: int) -> None:
        """Note that a route was released: its brake is open, whatever held it last."""
        now = self._parts.clock.now()
        for episode in self.of(route):
            if episode.released_at is None:
                await self._parts.brakes.change(msgspec.structs.replace(episode, released_at=now))

    def of(self, route: int) -> list[BrakeEpisode]:
        """Return the episodes of a route, the newest first."""
        return [episode for episode in self._parts.brakes.all() if episode.route == route]

    def dying(self, route: Route, brake: Brake, outcome: Outcome) -> None:
        """Alert the operator that many tokens of a route are gone by proof: nothing is stopped, for nothing is in doubt."""
        now = self._parts.clock.now()
        found = brake.findings(now, proof=True)
        note = f"Of the last {found.answers} answers, {found.against} said that the token is gone ({outcome.reason})."
        _log.warning("targets.dying", route=route.id, gone=found.against, answers=found.answers)
        app = self._parts.apps.by_id(route.app)
        event = report.brake_event(EventType.TARGETS_DYING, route, app, at=now, note=note)
        self._settle.chore(self._parts.events.append([event]))
