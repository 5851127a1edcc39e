"""An event into the inbox: on disk before it is answered, whoever reads it is rung for, and twice the same is once.

Rule: an event that is not kept is answered 503, and lost to us until the next catching up, for Bitrix24 posts it once. Of what
was posted only the event's own data is kept: tokens are not.
Portals say when by the second, so a record that changes twice within one is told twice in the same words. What comes in again soon
after the first is therefore kept as one more update: whoever reads it sees whether anything has changed.
Source: Bitrix24 REST, "Event handling".
"""

from __future__ import annotations

from http import HTTPStatus

import msgspec
import structlog

from wakeline.edges.bitrix24.connected.ports import ConnectedPorts
from wakeline.edges.bitrix24.connected.refused import Refused
from wakeline.model.bitrix24.inbox import ReceivedEvent, identity_of, identity_of_next, subject_of
from wakeline.model.bitrix24.installation import Installation
from wakeline.model.errors import StorageError
from wakeline.wire.bitrix24.event_data import canonical, record_of
from wakeline.wire.bitrix24.posted import PostedEvent

_FAST = 86_400_000
"""Milliseconds that a portal's clock may be ahead of ours; a time after that would hide all that comes before it."""

_SOON, _LATE = 50, 3_000
"""Milliseconds after which the same words may tell of another change, and after which they are a repetition."""
_MOST_IN_A_SECOND = 5
_UPDATE = "UPDATE"

_log = structlog.get_logger()


class Events:
    """Keeps events that are proven."""

    def __init__(self, ports: ConnectedPorts) -> None:
        """Nothing is kept yet."""
        self._ports = ports

    async def take(self, installation: Installation, posted: PostedEvent) -> None:
        """Keep an event. Raises Refused if it cannot be kept."""
        event = received(installation, posted, self._ports.clock.now())
        try:
            await self._keep(event)
        except StorageError as error:
            _log.error(
                "bitrix24.connected.event_not_kept",
                installation=installation.id,
                bitrix24_event=event.event,
                code=error.code,
                detail=error.detail,
                consequence="Bitrix24 does not post it again; the next catching up finds it",
            )
            raise Refused(
                HTTPStatus.SERVICE_UNAVAILABLE, "INTERNAL_SERVER_ERROR", "The event could not be kept"
            ) from None
        self._ports.portals.ring(installation.id)

    async def _keep(self, event: ReceivedEvent) -> None:
        """Keep an event, unless it is there already. Raises StorageError."""
        inbox, identity = self._ports.inbox, event.identity
        for _ in range(_MOST_IN_A_SECOND):
            [is_new] = await inbox.put([msgspec.structs.replace(event, identity=identity)])
            if is_new or not (event.record and event.event.endswith(_UPDATE)):
                return
            known = await inbox.by_identity(event.installation, identity)
            if known is None or not _SOON <= event.received - known.received <= _LATE:
                return
            identity = identity_of_next(identity)


def received(installation: Installation, posted: PostedEvent, now: int) -> ReceivedEvent:
    """Return an event as it is kept; `now` in Unix ms."""
    data = canonical(posted.data)
    subject = subject_of(posted.event, data)
    said = posted.raised * 1000
    at = said if 0 < said < now + _FAST else now
    return ReceivedEvent(
        id=0,
        installation=installation.id,
        event=posted.event,
        data=data,
        at=at,
        received=now,
        due=now,
        identity=identity_of(subject, at),
        subject=subject,
        record=record_of(posted.event, posted.data),
        user=posted.auth.user,
    )
