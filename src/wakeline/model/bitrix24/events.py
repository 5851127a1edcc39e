"""Events of our own Bitrix24 portal: who wants to hear of them, and those that wait to be fetched. Times in Unix ms."""

from __future__ import annotations

import msgspec


class EventHandler(msgspec.Struct, frozen=True, kw_only=True):
    """A handler that an application has bound: one URL for an event, or (`offline`) a place in the queue of offline events.

    `event` in upper case; `user` is whose token comes with the event, 0: that of who caused it; `connector` names one of
    several readers of offline events.
    `pause`: ONOFFLINEEVENT comes at most once in so many seconds.
    """

    id: int
    application: int
    event: str
    handler: str = ""
    user: int = 0
    offline: bool = False
    connector: str = ""
    pause: float = 1.0


class OfflineEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event that an application fetches. Repeated changes of one thing are one row (`message`: a digest of event and data).

    `process`: somebody has reserved it; `failed`: its reader said so. `data` and `additional` are JSON.
    """

    id: int
    application: int
    connector: str
    event: str
    message: str
    data: bytes
    additional: bytes
    at: int
    process: str = ""
    failed: bool = False
