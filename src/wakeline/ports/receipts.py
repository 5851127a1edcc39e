"""What receipts and the inbox need of the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from wakeline.model.delivery import DeliveryState
from wakeline.model.receipt import InboxPage, Receipt


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What a receipt changed. `state`: what its delivery is now; None: the device has no delivery of that notification.

    `fresh`: False if it was known before (a repeated receipt, or `acknowledged` after `opened`). `target`: row id.
    """

    receipt: Receipt
    state: DeliveryState | None
    fresh: bool
    target: int = 0


class Receipts(Protocol):
    """The device's own word, in the ledger: single deliveries and entries of broadcasts alike."""

    async def note(self, receipts: Sequence[Receipt]) -> list[Heard]:
        """Write receipts with counters of their notifications and the events `push.acknowledged`, `push.opened`, in one commit.

        Answers in the order asked. A delivery that is still waiting (only_if_absent, held) is ended as acknowledged: no push
        is needed any more. What failed or expired and is acknowledged all the same (the device fetched its inbox) is acknowledged.
        """

    async def inbox(self, app: int, device: int, *, after: int, limit: int) -> InboxPage:
        """Return, by key, the notifications above `after` with a delivery to this device that it has not acknowledged.

        Cancelled and superseded ones, calls whose ttl ended, and those whose content is not kept, are left out.
        """
