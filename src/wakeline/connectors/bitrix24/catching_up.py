"""Catching up: what happened on a connected portal and was not told to us, because somebody was down, becomes events as well.

At the start, every `catch_up_every`, and as soon as a portal answers again:

application that queues   event.offline.get (reserves) -> inbox, on disk -> event.offline.clear. What a process before this one had
                          reserved, and had no time to clear, is still in event.offline.list
webhook, or no queue      records that changed since `reached`, by lists -> inbox, on disk. So it is for an application that was
                          connected anew, too: while it was not installed, nothing was queued for it

Rules:
once      an event that was posted, or found before, is known by its subject and moment and not kept again
whole     `reached` moves, and the queue is cleared, only after all that was found is on disk; whatever fails before is done anew
clocks    every moment is the portal's: it is asked for its time first. A look ends SETTLING before that, since what changed just
          now may be on its way to us; lists begin OVERLAP before `reached`, since a change may become visible after its moment
first     a portal that was never read has no past: its events begin now. A mirror is filled first, and is reached then
Source: Bitrix24 REST, "Offline events".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, tzinfo
from itertools import groupby

import msgspec
import structlog

from wakeline.connectors.bitrix24 import kinds, late_events
from wakeline.connectors.bitrix24.binding import ANY, CONNECTOR, events_of
from wakeline.connectors.bitrix24.client import PortalClient
from wakeline.connectors.bitrix24.connections import Connections
from wakeline.connectors.bitrix24.kinds import KINDS, Kind
from wakeline.connectors.bitrix24.late_events import SETTLING, Row
from wakeline.connectors.bitrix24.turns import Turns
from wakeline.connectors.bitrix24.walking import Walk, portal_time, walk
from wakeline.model.bitrix24.inbox import ReceivedEvent
from wakeline.model.bitrix24.installation import ApplicationAccess, Installation, InstallationState
from wakeline.model.bitrix24.records import Record
from wakeline.model.errors import PortalClosed, PortalRefused, PortalUnreachable
from wakeline.ports import Clock
from wakeline.ports.bitrix24_connector import EventInbox, Installations, Rules

OVERLAP = 120_000
"""Milliseconds before `reached` that are listed again: a transaction may end so long after the moment that it wrote."""
AT_ONCE = 200
"""Offline events that are reserved, kept and cleared together."""
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
    ) -> None:
        """Begin with no portal looked at; `every` says the seconds between two looks."""
        self._inbox = inbox
        self._installations = installations
        self._rules = rules
        self._clock = clock
        self._connections = connections
        self._every = every
        self._wake = wake
        self._fill = fill
        self._looked: dict[int, float] = {}
        self._mirrors: dict[int, bool] = {}
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
        self._mirrors.pop(installation, None)
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
        client, began = self._connections.of(installation.id), self._clock.monotonic()
        there = await portal_time(client)
        horizon = int(there.timestamp() * 1000) - SETTLING
        events = await self._queued(client, installation, there)
        if events is None or installation.id in self._changed or horizon - installation.reached > QUEUE_KEEPS:
            listed = await self._listed(client, installation, there.tzinfo, horizon)
            events = listed if events is None else events + listed
        await self._reach(installation, horizon)
        self._changed.discard(installation.id)
        self._looked[installation.id] = began
        return Found(events, horizon)

    async def _reach(self, installation: Installation, horizon: int) -> None:
        """Write that all before `horizon` is known; a mirror that is empty, or only now became one, is filled."""
        was_mirror = self._mirrors.get(installation.id, installation.mirror)
        self._mirrors[installation.id] = installation.mirror
        if installation.mirror and not (installation.reached and was_mirror):
            self._fill(installation.id)
        if installation.reached or not installation.mirror:
            await self._installations.reach(installation.id, horizon)

    # --- the offline queue

    async def _queued(self, client: PortalClient, installation: Installation, there: datetime) -> int | None:
        """Take over what the portal has queued; None: it queues nothing for us."""
        if not installation.offline or not isinstance(installation.access, ApplicationAccess):
            return None
        number, now = installation.id, int(there.timestamp() * 1000)
        settled = {"<=TIMESTAMP_X": _said(now - SETTLING, there.tzinfo)}
        get = {"clear": 0, "auth_connector": CONNECTOR, "limit": AT_ONCE, "filter": settled}
        try:
            found = 0
            if number not in self._settled:
                since = (
                    {">TIMESTAMP_X": _said(installation.reached - OVERLAP, there.tzinfo)}
                    if installation.reached
                    else {}
                )
                found += await self._take_left(client, number, {**settled, **since}, now)
            while rows := self._rows(number, await _asked(client, "event.offline.get", get), now):
                found += await self._take(client, number, rows)
        except PortalRefused as error:
            self._refuse(number, "event.offline.get", error)
            return None
        return found

    async def _take_left(self, client: PortalClient, number: int, filters: dict[str, str], portal_now: int) -> int:
        """Take over what was reserved and not cleared: nobody else reads the queue of our name.

        Not every portal says who has reserved a row. It cannot be cleared then, and goes when it is old.
        """
        left: list[Row] = []
        async for reply in client.pages("event.offline.list", {"auth_connector": CONNECTOR, "filter": filters}):
            left += self._rows(number, reply.result, portal_now)
        return await self._take(client, number, left)

    def _rows(self, number: int, result: object, portal_now: int) -> list[Row]:
        return late_events.rows(number, result, portal_now=portal_now, now=self._clock.now())

    async def _take(self, client: PortalClient, number: int, rows: Sequence[Row]) -> int:
        found = await self._keep(number, [row.event for row in rows])
        reserved = sorted((row for row in rows if row.process), key=_process)
        for process, taken in groupby(reserved, key=_process):
            messages = [row.message for row in taken]
            cleared = {"process_id": process, "message_id": messages, "auth_connector": CONNECTOR}
            await _asked(client, "event.offline.clear", cleared)
        return found

    # --- lists

    async def _listed(self, client: PortalClient, installation: Installation, zone: tzinfo | None, horizon: int) -> int:
        """Find records that changed since everything was known; young ones are left for the next look."""
        if not installation.reached:
            return 0
        since = self._since(installation, horizon)
        wanted = frozenset(events_of(self._rules.all(), installation))
        found = 0
        for kind in kinds_of(wanted):
            fields = Walk(kind=kind, since=_said(since, zone), select=late_events.fields_needed(kind))
            try:
                async for stretch in walk(client, fields, self._clock.now()):
                    changed = [each for each in stretch.records if late_events.changed(each) <= horizon]
                    found += await self._keep_changed(installation.id, changed, wanted, since)
            except PortalRefused as error:
                # The application may not read these: asking for them again would hold up all others.
                self._refuse(installation.id, kind.list_method, error)
        return found

    def _since(self, installation: Installation, horizon: int) -> int:
        """Return from when on changes are listed, by the portal's clock."""
        looked = self._looked.get(installation.id)
        if looked is not None:
            # If the portal's clock was put back meanwhile, changes have moments from before the last look.
            unseen = int(1000 * (self._clock.monotonic() - looked))
        else:
            unseen = DAY if horizon < installation.reached else 0
        return min(installation.reached, horizon - unseen) - OVERLAP

    async def _keep_changed(self, number: int, records: Sequence[Record], wanted: frozenset[str], since: int) -> int:
        subjects = {subject for record in records for subject in late_events.subjects(record)}
        known = await self._inbox.latest(number, subjects) if subjects else {}
        now = self._clock.now()
        events = (late_events.listed(number, record, known, since=since, now=now) for record in records)
        return await self._put(
            number, [event for event in events if event and (event.event in wanted or ANY in wanted)]
        )

    def _refuse(self, number: int, what: str, error: PortalRefused) -> None:
        """Log that a portal does not let us look there; once, since it is looked every few minutes."""
        if (number, what) not in self._refused:
            self._refused.add((number, what))
            _log.warning("bitrix24.catching_up_refused", installation=number, method=what, cause=error.detail)

    # --- keeping

    async def _keep(self, number: int, events: Sequence[ReceivedEvent]) -> int:
        known = await self._inbox.latest(number, {event.subject for event in events}) if events else {}
        return await self._put(number, late_events.untold(events, known))

    async def _put(self, number: int, events: Sequence[ReceivedEvent]) -> int:
        """Keep events; returns how many were not known. They are on disk then."""
        if not events:
            return 0
        new = sum(await self._inbox.put(events))
        if new:
            self._wake(number)
        return new


def kinds_of(events: frozenset[str]) -> tuple[Kind, ...]:
    """Return the kinds of records that these events tell of."""
    told = {found[0].record for event in events if (found := kinds.told(event)) is not None}
    return tuple(kind for kind in KINDS if kind.record in told or ANY in events)


async def _asked(client: PortalClient, method: str, params: Mapping[str, object]) -> object:
    return (await client.call(method, params, bulk=True)).result


def _said(at: int, zone: tzinfo | None) -> str:
    """Return a moment (Unix ms) as Bitrix24 writes it, in the portal's own zone: not every method heeds the offset."""
    return datetime.fromtimestamp(at // 1000, zone).isoformat()


def _process(row: Row) -> str:
    return row.process
