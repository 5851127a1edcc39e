"""What an operator may do about a closed brake: let the route go on, or take back what doubt has done as well.

Both may be repeated: a second time finds nothing to do.
"""

from __future__ import annotations

import msgspec
import structlog

from wakeline.model.brake import BrakeEpisode
from wakeline.model.errors import NotFound
from wakeline.model.route import HoldReason
from wakeline.pipeline.parts import Parts
from wakeline.pipeline.route import RouteTable
from wakeline.pipeline.settle import Settle
from wakeline.pipeline.watch import Watch

_log = structlog.get_logger()


class Undo:
    """Releases brakes and undoes what led to them."""

    def __init__(self, parts: Parts, table: RouteTable, settle: Settle, watch: Watch) -> None:
        self._parts = parts
        self._table = table
        self._settle = settle
        self._watch = watch

    def episodes(self) -> list[BrakeEpisode]:
        """Return all that is remembered of brakes, the newest first."""
        return self._parts.brakes.all()

    async def release(self, episode: int) -> BrakeEpisode:
        """Let the route of a brake send again and begin its window anew. Raises NotFound.

        What else holds the route meanwhile goes on holding it.
        """
        known = self._known(episode)
        if known.released_at is not None:
            return known
        await self._settle.flush()
        way = self._table.way(known.route)
        if way is not None and way.hold is not None and way.hold.reason is HoldReason.BRAKE:
            await self._watch.release(way)
        await self._watch.episodes.released(known.route)
        return self._known(episode)

    async def undo(
        self, episode: int, *, since: int | None = None, until: int | None = None, everything: bool = False
    ) -> tuple[BrakeEpisode, int]:
        """Make active again what doubt felled on this route, release it, and return the episode and how many. Raises NotFound.

        From the first of the answers that closed the brake until its release, or between other times (Unix ms) if they are
        given. Proof stays, unless `everything` is asked for.
        """
        released = await self.release(episode)
        now = self._parts.clock.now()
        restored = await self._parts.devices.restore(
            released.app,
            since=released.began if since is None else since,
            until=(released.released_at or now) if until is None else until,
            route=released.route,
            proven=everything,
            reason=f"brake episode {released.id} undone",
            at=now,
        )
        undone = msgspec.structs.replace(
            released, undone_at=released.undone_at or now, restored=released.restored + restored
        )
        await self._parts.brakes.change(undone)
        _log.info("brake.undone", route=undone.route, episode=undone.id, restored=restored)
        return undone, restored

    def _known(self, episode: int) -> BrakeEpisode:
        found = self._parts.brakes.get(episode)
        if found is None:
            raise NotFound(f"There is no brake episode {episode}", fix="`wakeline brake list` shows them.")
        return found
