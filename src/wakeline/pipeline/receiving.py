"""What devices themselves say: receipts, and what they have not acknowledged.

A provider *accepts*, a device *acknowledges*, its user *opens*: three facts, each counted by itself. A receipt comes after the
answer of the push service or before it, for a push or for what was read in the inbox, once or ten times: it counts once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from wakeline.model.device import Device
from wakeline.model.outcome import Action, Outcome, OutcomeClass
from wakeline.model.receipt import InboxPage, Receipt, ReceiptKind
from wakeline.pipeline.hearing import Hearing
from wakeline.pipeline.parts import Parts
from wakeline.ports.receipts import Heard

PIECE = 50
"""Receipts that are written in one part of a commit: a few milliseconds at most, so that calls do not wait."""

_ARRIVED = Outcome(outcome_class=OutcomeClass.ACCEPTED, action=Action.DONE, code=0)
"""What an edge is told that waits for a push: the phone has it, whatever its push service may still say."""


class Said(NamedTuple):
    """What a device says of a notification (a key); `certain` as in `model.receipt`."""

    device: Device
    notification: int
    kind: ReceiptKind
    certain: bool = True


class Receiving:
    """The way back from the phones."""

    def __init__(self, parts: Parts, hearing: Hearing) -> None:
        self._parts = parts
        self._hearing = hearing
        self._reading = asyncio.Lock()
        self.turn = asyncio.Lock()
        """Held by whoever reads a long list of receipts: one at a time, so that pushes wait for a piece of one list at most."""

    async def note(self, said: Sequence[Said]) -> list[Heard]:
        """Write what devices said; the answers are in the order asked. Raises StoreUnavailable."""
        at = self._parts.clock.now()
        heard: list[Heard] = []
        for start in range(0, len(said), PIECE):
            part = [
                Receipt(
                    app=one.device.app,
                    notification=one.notification,
                    device=one.device.id,
                    kind=one.kind,
                    at=at,
                    users=one.device.users,
                    certain=one.certain,
                )
                for one in said[start : start + PIECE]
            ]
            heard += await self._parts.receipts.note(part, wanted=self._parts.wanted)
        for one, answer in zip(said, heard, strict=True):
            if answer.fresh:
                self._hearing.tell(one.notification, _ARRIVED)
                self._count(one, answer)
        return heard

    async def inbox(self, device: Device, *, after: int, limit: int) -> InboxPage:
        """Return the notifications above a key that a device has not acknowledged.

        One inbox is read at a time, a millisecond at once: of a broadcast's phones thousands may ask in the same second.
        """
        async with self._reading:
            return await self._parts.receipts.inbox(device.app, device.id, after=after, limit=limit)

    def _count(self, said: Said, heard: Heard) -> None:
        target = next((target for target in said.device.targets if target.id == heard.target), None)
        provider = target.kind.provider.value if target is not None else ""
        accepted_at = heard.accepted_at
        seconds = None if accepted_at is None else max(0, heard.receipt.at - accepted_at) / 1000
        self._parts.meter.received(provider, said.kind.value, seconds)
