"""Administration of our own Bitrix24 portal: users, applications, incoming webhooks, tokens, the portal itself.

And the licence keys of other portals, which use us as their push service.

Whatever opens a door is in the answer that makes it and nowhere else.
"""

from __future__ import annotations

from wakeline.edges.rest.bitrix24 import applications, keys, portal, tokens, users, webhooks

OPERATIONS = (
    *portal.OPERATIONS,
    *users.OPERATIONS,
    *applications.OPERATIONS,
    *webhooks.OPERATIONS,
    *tokens.OPERATIONS,
    *keys.OPERATIONS,
)
