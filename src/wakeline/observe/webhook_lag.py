"""How far a webhook endpoint is behind the journal, in time: numbers of events say little, for most are not for it."""

from __future__ import annotations

from wakeline.model.webhook import Endpoint
from wakeline.ports import Events
from wakeline.ports.webhooks import Endpoints


async def oldest_untold(endpoint: Endpoint, endpoints: Endpoints, events: Events) -> int | None:
    """Return when the first event happened (Unix ms) that it wants and was not told of; None: there is none.

    What was set aside does not count, and neither does anything for one that is disabled.
    """
    if endpoint.disabled is not None:
        return None
    found = await events.read(
        after=endpoints.health(endpoint.id).cursor,
        types=frozenset(endpoint.events) or None,
        apps=frozenset(endpoint.apps) or None,
        limit=1,
    )
    return found[0].at if found else None
