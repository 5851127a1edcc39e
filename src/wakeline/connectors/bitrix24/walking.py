"""Reading the records of a kind from a portal, all of them or those that changed since a moment, in the order of their numbers.

The order is what makes a piece of a list say which numbers are not there: what we have between the ends of a page, and the page
has not, is gone. Where `crm.deal.list` and its like are gone, `crm.item.list` gives the same records.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

import msgspec

from wakeline.connectors.bitrix24 import answers, late_events
from wakeline.connectors.bitrix24.client import PortalClient
from wakeline.connectors.bitrix24.kinds import Kind
from wakeline.model.bitrix24.records import Record
from wakeline.model.errors import PortalRefused, PortalUnreachable

_ITEMS = "crm.item.list"
_ASK_AGAIN = 60.0


async def portal_time(client: PortalClient) -> datetime:
    """Return the portal's time, in its own zone. Raises PortalUnreachable, also for an answer that is no time."""
    reply = await client.call("server.time", bulk=True)
    if not late_events.moment(reply.result):
        raise PortalUnreachable("The portal does not say what time it is there", retry_after=_ASK_AGAIN)
    return datetime.fromisoformat(str(reply.result))


class Walk(msgspec.Struct, frozen=True, kw_only=True):
    """What to read: a kind, those with numbers above `after` that changed at `since` or later (as Bitrix24 writes it; empty: all).

    `select`: these fields, by the older names; none: all.
    """

    kind: Kind
    after: int = 0
    since: str = ""
    select: tuple[str, ...] = ()


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """All records with numbers above `after`, up to `last` (None: there is no end)."""

    records: list[Record]
    after: int
    last: int | None


async def walk(client: PortalClient, wanted: Walk, at: int) -> AsyncIterator[Stretch]:
    """Yield all stretches, learnt at `at` (Unix ms) or later. Raises PortalRefused, PortalUnreachable, PortalClosed."""
    after, by_items = wanted.after, False
    while True:
        try:
            async for records in _pages(client, wanted, after, at, by_items=by_items):
                yield Stretch(records=records, after=after, last=records[-1].id)
                after = records[-1].id
        except PortalRefused as error:
            if by_items or not wanted.kind.entity_type or not answers.is_no_method(error.reason):
                raise
            by_items = True
        else:
            yield Stretch(records=[], after=after, last=None)
            return


async def _pages(
    client: PortalClient, wanted: Walk, after: int, at: int, *, by_items: bool
) -> AsyncIterator[list[Record]]:
    kind = wanted.kind
    if by_items:
        newer = {older: name for name, older in kind.items.items()}
        conditions = {f">={newer[kind.changed]}": wanted.since} if wanted.since else {}
        rows = client.rows(_ITEMS, {"entityTypeId": kind.entity_type, "filter": conditions}, after=after, id_name="id")
    else:
        conditions = {f">={kind.changed}": wanted.since} if wanted.since else {}
        params = {"filter": conditions, "select": list(wanted.select or kind.select)}
        rows = client.rows(kind.list_method, params, after=after)
    async for page in rows:
        if records := answers.records(kind, page, at):
            yield records
