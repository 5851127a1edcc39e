"""The notifications used last, so that dispatch decodes no content twice."""

from __future__ import annotations

from collections import OrderedDict

from wakeline.model.notification import Notification

LIMIT = 2048
"""Notifications kept; content is at most some kilobytes."""


class NotificationCache:
    """A bounded dictionary that forgets what was kept first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, Notification] = OrderedDict()

    def get(self, key: int) -> Notification | None:
        """Return what is kept."""
        return self._kept.get(key)

    def keep(self, notification: Notification) -> None:
        """Keep a notification as it is on disk."""
        self._kept[notification.key] = notification
        if len(self._kept) > LIMIT:
            self._kept.popitem(
                last=False
            )  # at once, where the first key of a plain dict is searched for among the gone

    def forget(self, key: int) -> None:
        """Drop a notification that changed."""
        self._kept.pop(key, None)
