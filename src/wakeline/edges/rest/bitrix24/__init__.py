"""Administration of our own Bitrix24 portal: users, applications, incoming webhooks, tokens, the portal itself.

The licence keys of other portals, which use us as their push service; and portals that we are connected to, with the rules
that make pushes of their events.

Whatever opens a door is in the answer that makes it and nowhere else.
"""

from __future__ import annotations

from wakeline.edges.rest.bitrix24 import (
    applications,
    connecting,
    installations,
    keys,
    portal,
    received,
    rules,
    tokens,
    trials,
    users,
    webhooks,
    writes,
)

OPERATIONS = (
    *portal.OPERATIONS,
    *users.OPERATIONS,
    *applications.OPERATIONS,
    *webhooks.OPERATIONS,
    *tokens.OPERATIONS,
    *keys.OPERATIONS,
    *connecting.OPERATIONS,
    *installations.OPERATIONS,
    *received.OPERATIONS,
    *writes.OPERATIONS,
    *rules.OPERATIONS,
    *trials.OPERATIONS,
)
