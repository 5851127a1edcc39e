"""What a scrape reads of webhook endpoints: how far behind they are, what they have set aside, how they fare.

Rule: operators make endpoints, and may make thousands. So `observe.metrics.ENDPOINTS` have series of their own, the oldest, and
all others share one.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from wakeline.edges.rest.operations import Call
from wakeline.model.webhook import Disabled, Endpoint
from wakeline.observe.metrics import ENDPOINTS, OTHER, Labels
from wakeline.observe.webhook_lag import oldest_untold


async def lags(call: Call) -> tuple[Labels, ...]:
    """Return how many seconds ago the first event happened that each was not told of; 0: it was told of all."""
    endpoints, events = call.ports.endpoints, call.ports.events
    found: dict[str, float] = {}
    for name, one in _named(call):
        oldest = await oldest_untold(one, endpoints, events)
        found[name] = max(found.get(name, 0.0), 0.0 if oldest is None else (call.now - oldest) / 1000)
        await asyncio.sleep(0)  # each one is a look into the journal
    return tuple(Labels((name,), seconds) for name, seconds in found.items())


async def waiting(call: Call) -> tuple[Labels, ...]:
    """Return how many messages of each are set aside."""
    counts = await call.ports.endpoints.waiting_counts()
    found: Counter[str] = Counter()
    for name, one in _named(call):
        found[name] += counts.get(one.id, 0)
    return tuple(Labels((name,), number) for name, number in found.items())


def states(call: Call) -> tuple[Labels, ...]:
    """Return how many fare well, fail, were switched off, and wanted no more."""
    found = Counter({"ok": 0, "failing": 0, "disabled": 0, "gone": 0})
    found.update(_state(call, one) for one in call.ports.endpoints.all())
    return tuple(Labels((state,), number) for state, number in found.items())


def _state(call: Call, endpoint: Endpoint) -> str:
    match endpoint.disabled:
        case Disabled.OPERATOR:
            return "disabled"
        case Disabled.GONE:
            return "gone"
        case None:
            return "ok" if call.ports.endpoints.health(endpoint.id).failing_since is None else "failing"


def _named(call: Call) -> list[tuple[str, Endpoint]]:
    """Return all with the name of their series."""
    every = call.ports.endpoints.all()
    return [(one.public_id if place < ENDPOINTS else OTHER, one) for place, one in enumerate(every)]
