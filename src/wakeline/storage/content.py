"""What remains of a notification's content where an app does not keep it: enough to explain, nothing that was said."""

from __future__ import annotations

import msgspec

from wakeline.model.notification import Content, Notification


def without_content(notification: Notification) -> Notification:
    """Return a done notification without its texts and data."""
    content = notification.content
    bare = Content(
        type=content.type, priority=content.priority, collapse_id=content.collapse_id, on_unknown=content.on_unknown
    )
    return msgspec.structs.replace(notification, content=bare, audience=None)
