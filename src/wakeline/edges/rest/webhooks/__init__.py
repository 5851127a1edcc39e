"""Results webhooks: programs that are told of events, what was told them, and telling it again.

Rule: who sees an app's events may be told of them, so a key that is bound to apps sees and makes endpoints of its apps alone.
A secret is in the answer that makes it and nowhere else.
"""

from __future__ import annotations

from wakeline.edges.rest.webhooks import deliveries, endpoints, secrets

OPERATIONS = (
    *endpoints.OPERATIONS,
    *secrets.OPERATIONS,
    *deliveries.OPERATIONS,
)
