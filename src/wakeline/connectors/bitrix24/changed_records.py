"""Records that changed since a moment, found by lists, for portals that queue nothing for us.

Only kinds are listed of whose changes somebody wants to hear, and only events are kept that somebody wants. A kind that the
application may not read is left out: asking for it again would hold up all others. Deleted records are in no list.
Source: Bitrix24 REST, `crm.deal.list` by DATE_MODIFY, `tasks.task.list` by CHANGED_DATE, `crm.activity.list` by LAST_UPDATED.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import tzinfo

from wakeline.connectors.bitrix24 import kinds, late_events
from wakeline.connectors.bitrix24.binding import ANY, events_of
from wakeline.connectors.bitrix24.client import PortalClient
from wakeline.connectors.bitrix24.kinds import KINDS, Kind
from wakeline.connectors.bitrix24.late_events import Keep, said
from wakeline.connectors.bitrix24.walking import Walk, walk
from wakeline.model.bitrix24.installation import Installation
from wakeline.model.bitrix24.records import Record
from wakeline.model.errors import PortalRefused
from wakeline.ports import Clock
from wakeline.ports.bitrix24_connector import EventInbox, Rules

Refused = Callable[[int, str, PortalRefused], None]
"""Hears that an installation (row id) may not use a method."""


class ChangedRecords:
    """Finds them. `keep` keeps events on disk and returns how many are new."""

    def __init__(self, inbox: EventInbox, rules: Rules, clock: Clock, keep: Keep, refused: Refused) -> None:
        self._inbox = inbox
        self._rules = rules
        self._clock = clock
        self._keep = keep
        self._refused = refused

    async def find(
        self, client: PortalClient, installation: Installation, zone: tzinfo | None, *, since: int, until: int
    ) -> int:
        """Find what changed from `since` to `until` (the portal's time in Unix ms); returns how many events are new.

        Raises PortalUnreachable, PortalClosed.
        """
        wanted = frozenset(events_of(self._rules.all(), installation))
        found = 0
        for kind in kinds_of(wanted):
            fields = Walk(kind=kind, since=said(since, zone), select=late_events.fields_needed(kind))
            try:
                async for stretch in walk(client, fields, self._clock.now()):
                    changed = [each for each in stretch.records if late_events.changed(each) <= until]
                    found += await self._tell(installation.id, changed, wanted, since)
            except PortalRefused as error:
                self._refused(installation.id, kind.list_method, error)
        return found

    async def _tell(self, number: int, records: Sequence[Record], wanted: frozenset[str], since: int) -> int:
        subjects = {subject for record in records for subject in late_events.subjects(record)}
        known = await self._inbox.latest(number, subjects) if subjects else {}
        now = self._clock.now()
        found = (
            event
            for record in records
            for event in late_events.listed(number, record, known, since=since, now=now)
            if event.event in wanted or ANY in wanted
        )
        return await self._keep(number, list(found))


def kinds_of(events: frozenset[str]) -> tuple[Kind, ...]:
    """Return the kinds of records that these events tell of."""
    told = {found[0].record for event in events if (found := kinds.told(event)) is not None}
    return tuple(kind for kind in KINDS if kind.record in told or ANY in events)
