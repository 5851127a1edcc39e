"""The portal's queue of offline events, taken over: reserved there, kept here, cleared there.

What a process before this one had reserved, and had no time to clear, is hidden from `event.offline.get` and still in
`event.offline.list`. Nobody else reads the queue of our name, so whatever is there is ours. Not every portal says in the list who
has reserved a row: such a row is kept here if it is new, cannot be cleared, and goes when it is old.
Young rows are left there: their events may be on their way to us.
Source: Bitrix24 REST, "Offline events", `event.offline.get`, `.list`, `.clear`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby

from wakeline.connectors.bitrix24 import late_events
from wakeline.connectors.bitrix24.binding import CONNECTOR
from wakeline.connectors.bitrix24.client import PortalClient
from wakeline.connectors.bitrix24.late_events import OVERLAP, SETTLING, Keep, Row, said
from wakeline.model.bitrix24.installation import Installation
from wakeline.ports import Clock
from wakeline.ports.bitrix24_connector import EventInbox

AT_ONCE = 200
"""Events that are reserved, kept and cleared together."""


class OfflineQueue:
    """Takes queues over. `keep` keeps events on disk and returns how many are new."""

    def __init__(self, inbox: EventInbox, clock: Clock, keep: Keep) -> None:
        self._inbox = inbox
        self._clock = clock
        self._keep = keep

    async def take(self, client: PortalClient, installation: Installation, there: datetime, *, left: bool) -> int:
        """Take over what waits, and with `left` what was reserved; returns how many events are new. Raises as `call`.

        `there` is the portal's time.
        """
        number, now = installation.id, int(there.timestamp() * 1000)
        filters = {"<=TIMESTAMP_X": said(now - SETTLING, there.tzinfo)}
        get = {"clear": 0, "auth_connector": CONNECTOR, "limit": AT_ONCE, "filter": filters}
        found = 0
        if left:
            # What is older was taken before `reached` was written.
            since = said(installation.reached - OVERLAP, there.tzinfo) if installation.reached else ""
            found += await self._take_left(client, number, filters | ({">TIMESTAMP_X": since} if since else {}), now)
        while rows := self._rows(number, await _asked(client, "event.offline.get", get), now):
            found += await self._take(client, number, rows)
        return found

    async def _take_left(self, client: PortalClient, number: int, filters: Mapping[str, str], now: int) -> int:
        rows: list[Row] = []
        async for reply in client.pages("event.offline.list", {"auth_connector": CONNECTOR, "filter": filters}):
            rows += self._rows(number, reply.result, now)
        return await self._take(client, number, rows)

    def _rows(self, number: int, result: object, now: int) -> list[Row]:
        return late_events.rows(number, result, portal_now=now, now=self._clock.now())

    async def _take(self, client: PortalClient, number: int, rows: Sequence[Row]) -> int:
        events = [row.event for row in rows]
        known = await self._inbox.latest(number, {event.subject for event in events}) if events else {}
        found = await self._keep(number, late_events.untold(events, known))
        reserved = sorted((row for row in rows if row.process), key=_process)
        for process, taken in groupby(reserved, key=_process):
            messages = [row.message for row in taken]
            cleared = {"process_id": process, "message_id": messages, "auth_connector": CONNECTOR}
            await _asked(client, "event.offline.clear", cleared)
        return found


async def _asked(client: PortalClient, method: str, params: Mapping[str, object]) -> object:
    return (await client.call(method, params, bulk=True)).result


def _process(row: Row) -> str:
    return row.process
