"""Who listens to events: whether those of success are kept (ADR 11, 18), and failures are recorded with what was sent.

Success of a single push is in the ledger, with its attempts. `push.accepted`, the device's own receipts, and the completion of
a notification with no other delivery, say it again: for those who follow things as they happen, and for webhooks that ask for
them. They are kept for followers and for a while after they left, so that who comes back with `Last-Event-ID` has missed
nothing, and of those apps of which a webhook is told.
"""

from __future__ import annotations

from collections.abc import Callable

from wakeline.model.event import EventType
from wakeline.ports import Apps, Clock, Events
from wakeline.ports.webhooks import Endpoints

REMEMBERED = 3600.0
"""Seconds for which somebody who has left may come back."""

_OF_SUCCESS = (
    EventType.PUSH_ACCEPTED,
    EventType.NOTIFICATION_COMPLETED,
    EventType.PUSH_ACKNOWLEDGED,
    EventType.PUSH_OPENED,
)
"""What is kept only if it is wanted; a tuple, since its members are found without being hashed."""


class Attention:
    """Answers `Parts.wanted` and `Parts.told`, from memory."""

    def __init__(self, events: Events, endpoints: Endpoints, apps: Apps, clock: Clock) -> None:
        self._followed: Callable[[], bool] = events.followed
        self._endpoints = endpoints
        self._apps = apps
        self._clock = clock
        self._until = float("-inf")
        self._told: dict[tuple[EventType, int], bool] | None = None
        """What was asked before; None: endpoints are to be looked at again."""
        self._anybody = False
        endpoints.listen(self._changed)
        apps.listen(self._changed)

    def wanted(self, event_type: EventType, app: int) -> bool:
        """Tell whether events of this type of this app (row id) are kept now; all but those of success always are.

        Asked for the completion of a notification, it is about those with one delivery, which was accepted.
        """
        return event_type not in _OF_SUCCESS or self.told(event_type, app)

    def told(self, event_type: EventType, app: int) -> bool:
        """Tell whether somebody follows, or a webhook is told of events of this type of this app (row id)."""
        now = self._clock.monotonic()
        if self._followed():  # also those who came and left since the last push
            self._until = now + REMEMBERED
        return now < self._until or self._hooked(event_type, app)

    def _hooked(self, event_type: EventType, app: int) -> bool:
        told = self._told
        if told is None:
            told = self._told = {}
            self._anybody = any(endpoint.disabled is None for endpoint in self._endpoints.all())
        if not self._anybody:
            return False
        known = told.get((event_type, app))
        if known is None:
            known = told[event_type, app] = self._asks(event_type, app)
        return known

    def _asks(self, event_type: EventType, app: int) -> bool:
        found = self._apps.by_id(app)
        slug = found.slug if found is not None else ""
        return any(endpoint.wants(event_type, slug) for endpoint in self._endpoints.all())

    def _changed(self, _: int) -> None:
        self._told = None
