"""What receipts and the inbox need of the store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from wakeline.model.delivery import DeliveryState
from wakeline.model.event import EventType
from wakeline.model.receipt import InboxPage, Receipt

Wanted = Callable[[EventType, int], bool]
"""Tells whether anybody is told of events of this type of this app (a row id)."""


def always(_event: EventType, _app: int) -> bool:
    """Want every event."""
    return True


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What a receipt changed. `state`: what its delivery is now; None: the device has no delivery of that notification.

    `fresh`: False if it was known before (a repeated receipt, or `acknowledged` after `opened`). `target`: row id.
    `accepted_at`, Unix ms: when the push service had taken it, if this was the first word of the device about it.
    """

    receipt: Receipt
    state: DeliveryState | None
    fresh: bool
    target: int = 0
    accepted_at: int | None = None


class Receipts(Protocol):
    """The device's own word, in the ledger: single deliveries and entries of broadcasts alike."""

    async def note(self, receipts: Sequence[Receipt], *, wanted: Wanted = always) -> list[Heard]:
        """Write receipts with counters of their notifications and the `wanted` of their events, in one commit.

        Answers in the order asked. A delivery that is still waiting (only_if_absent, held) is ended as acknowledged: no push
        is needed any more. What failed or expired and is acknowledged all the same (the device fetched its inbox) is acknowledged.
        One about a delivery that is being sent at this moment is kept, and counts once the answer of its push service, or the
        end of the try, is written. A notification of another app is unknown.
        """

    async def inbox(self, app: int, device: int, *, after: int, limit: int) -> InboxPage:
        """Return, by key, the notifications above `after` with a delivery to this device that it has not acknowledged.

        Left out are cancelled, superseded and skipped ones, those that are not due yet, calls whose ttl ended, what was for those
        who held the device before, and what bears no content, or none any more. A page may be short, or empty, and yet go on.
        Of what waits in a long queue not all may be there: it is still to be sent.
        """
