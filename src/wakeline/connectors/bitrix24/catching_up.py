"""Catching up: what happened on a connected portal and was not told to us, because somebody was down, becomes events as well.

At the start, every `catch_up_every`, and as soon as a portal answers again:

application that queues   event.offline.get (reserves) -> inbox, on disk -> event.offline.clear
webhook, or no queue      records that changed since `reached`, by lists -> inbox, on disk. So it is for an application that was
                          connected anew, too: while it was not installed, nothing was queued for it; and before it knows what

Rules:
once      an event that was posted, or found before, is known by its subject and moment and not kept again
whole     `reached` moves, and the queue is cleared, only after all that was found is on disk; whatever fails before is done anew
clocks    every moment is the portal's: it is asked for its time first. A look ends SETTLING before that, since what changed just
          now may be on its way to us; lists begin OVERLAP before `reached`, since a change may become visible after its moment
first     a portal that was never read has no past: its events begin now. A mirror is filled first, and is reached then
nameless  whose users have no names here yet (a webhook before its first event) would have pushes for nobody: what happens there is
          found as soon as they have
Source: Bitrix24 REST, "Offline events".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec
import structlog

from wakeline.connectors.bitrix24.changed_records import ChangedRecords
from wakeline.connectors.bitrix24.client import PortalClient
from wakeline.connectors.bitrix24.connections import Connections
from wakeline.connectors.bitrix24.late_events import OVERLAP, SETTLING
from wakeline.connectors.bitrix24.offline_queue import OfflineQueue
from wakeline.connectors.bitrix24.turns import Turns
from wakeline.connectors.bitrix24.walking import portal_time
from wakeline.model.bitrix24.inbox import ReceivedEvent
from wakeline.model.bitrix24.installation import ApplicationAccess, Installation, InstallationState
from wakeline.model.errors import PortalClosed, PortalRefused, PortalUnreachable, WakelineError
from wakeline.ports import Clock
from wakeline.ports.bitrix24_connector import EventInbox, Installations, Rules

QUEUE_KEEPS = 30 * 86_400_000
"""Milliseconds for which an event is sure to wait in the queue: Bitrix24 drops it after 34 days."""
DAY = 86_400_000
"""Milliseconds that are listed if the portal's clock was put back while we did not look."""
SHORTEST_REST, LONGEST_REST = 1.0, 60.0
"""Seconds between two looks at a portal that does not answer."""

_log = structlog.get_logger()


class Found(msgspec.Struct, frozen=True):
    """What a look brought: events that were not known, and the portal's time (Unix ms) up to which all is known now."""

    events: int
    reached: int


class CatchingUp:
    """Looks at portals. `wake` is rung for an installation that has new events, `fill` begins to fill an empty mirror."""

    def __init__(
        self,
        inbox: EventInbox,
        installations: Installations,
        rules: Rules,
        clock: Clock,
        connections: Connections,
        *,
        every: Callable[[], float],
        wake: Callable[[int], None],
        fill: Callable[[int], object],
        queues: Callable[[int], bool],
    ) -> None:
        """Begin with no portal looked at; `every`: seconds between two looks, `queues`: whether a portal knows what to queue."""
        self._inbox = inbox
        self._installations = installations
        self._clock = clock
        self._queue = OfflineQueue(inbox, clock, self._keep)
        self._lists = ChangedRecords(inbox, rules, clock, self._keep, self._refuse)
        self._connections = connections
        self._every = every
        self._wake = wake
        self._fill = fill
        self._queues = queues
        self._looked: dict[int, float] = {}
        self._waited: set[int] = set()
        self._settled: set[int] = set()
        self._changed: set[int] = set()
        self._refused: set[tuple[int, str]] = set()
        self._turns = Turns(clock, self.turn, name="catching_up")

    def ring(self, installation: int) -> None:
        """Look at a portal now that was connected, or connected anew, or changed; returns at once."""
        self._settled.discard(installation)
        self._changed.add(installation)
        self._turns.ring(installation)

    def forget(self, installation: int) -> None:
        """Look no more at a portal that was disconnected."""
        self._settled.discard(installation)
        self._changed.discard(installation)
        self._waited.discard(installation)
        self._looked.pop(installation, None)
        self._turns.forget(installation)

    async def run(self) -> None:
        """Look at all portals, from now on until stopped."""
        for installation in self._installations.all():
            self._turns.ring(installation.id)
        await self._turns.run()

    async def stop(self, patience: float) -> None:
        """Begin no more looks; one that is under way has so many seconds to end."""
        await self._turns.stop(patience)

    async def turn(self, number: int) -> float | None:
        """Look at a portal; returns the seconds until the next look, None: not before it is rung for."""
        installation = self._installations.by_id(number)
        if installation is None or installation.state is not InstallationState.ACTIVE:
            return None
        if installation.reached and not (installation.names_users or installation.mirror):
            return self._every()
        try:
            found = await self.look(installation)
        except PortalUnreachable as error:
            return self._rest(number, error)
        except PortalClosed:
            return None
        self._waited.discard(number)
        if found.events:
            _log.info("bitrix24.caught_up", installation=number, events=found.events)
        if number in self._settled:
            return self._every()
        # What was too young for the first look after a silence is not left until the next.
        self._settled.add(number)
        return min(SETTLING / 1000, self._every())

    def _rest(self, number: int, error: PortalUnreachable) -> float:
        self._settled.discard(number)
        if number not in self._waited:
            self._waited.add(number)
            _log.warning("bitrix24.catching_up_waits", installation=number, cause=error.detail)
        return min(max(error.retry_after or 0.0, SHORTEST_REST), LONGEST_REST)

    async def look(self, installation: Installation) -> Found:
        """Find what was not told and keep it. Raises PortalUnreachable, PortalClosed, StorageError: then it is found next time."""
        was_told, is_changed = self._queues(installation.id), installation.id in self._changed
        # Whoever rings from now on means the next look.
        self._changed.discard(installation.id)
        try:
            return await self._look(installation, is_whole=was_told and not is_changed)
        except WakelineError:
            if is_changed:
                self._changed.add(installation.id)
            raise

    async def _look(self, installation: Installation, *, is_whole: bool) -> Found:
        """Look; `is_whole`: all that happened was queued, if anything is. Raises as `look`."""
        client, began = self._connections.of(installation.id), self._clock.monotonic()
        there = await portal_time(client)
        horizon = int(there.timestamp() * 1000) - SETTLING
        events = await self._queued(client, installation, there)
        is_whole = is_whole and horizon - installation.reached <= QUEUE_KEEPS
        if installation.reached and (events is None or not is_whole):
            since = self._since(installation, horizon)
            listed = await self._lists.find(client, installation, there.tzinfo, since=since, until=horizon)
            events = (events or 0) + listed
        await self._reach(installation, horizon)
        self._looked[installation.id] = began
        return Found(events or 0, horizon)

    async def _reach(self, installation: Installation, horizon: int) -> None:
        """Write that all before `horizon` is known; a mirror that was not read whole since it became one is filled."""
        if installation.mirror and not installation.filled:
            self._fill(installation.id)
        if installation.reached or not installation.mirror:
            await self._installations.reach(installation.id, horizon)

    async def _queued(self, client: PortalClient, installation: Installation, there: datetime) -> int | None:
        """Take over what the portal has queued; None: it queues nothing for us."""
        if not installation.offline or not isinstance(installation.access, ApplicationAccess):
            return None
        try:
            return await self._queue.take(client, installation, there, left=installation.id not in self._settled)
        except PortalRefused as error:
            self._refuse(installation.id, "event.offline.get", error)
            return None

    def _since(self, installation: Installation, horizon: int) -> int:
        """Return from when on changes are listed, by the portal's clock."""
        looked = self._looked.get(installation.id)
        if looked is not None:
            # If the portal's clock was put back meanwhile, changes have moments from before the last look.
            unseen = int(1000 * (self._clock.monotonic() - looked))
        else:
            unseen = DAY if horizon < installation.reached else 0
        return min(installation.reached, horizon - unseen) - OVERLAP

    def _refuse(self, number: int, what: str, error: PortalRefused) -> None:
        """Log that a portal does not let us look there; once, since it is looked every few minutes."""
        if (number, what) not in self._refused:
            self._refused.add((number, what))
            _log.warning("bitrix24.catching_up_refused", installation=number, method=what, cause=error.detail)

    async def _keep(self, number: int, events: Sequence[ReceivedEvent]) -> int:
        """Keep events; returns how many were not known. They are on disk then."""
        if not events:
            return 0
        new = sum(await self._inbox.put(events))
        if new:
            self._wake(number)
        return new
