"""What is shared by the pushes of one shipment of Web Push, and what is told about them.

Theory: answers come one by one, and whoever hears of them works in batches; so what is answered in one turn of the loop is
told at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from wakeline import __version__
from wakeline.model.device import Recipient
from wakeline.model.outcome import Outcome
from wakeline.ports import Shipment
from wakeline.wire.webpush import OF_A_BODY, Prepared, Subscription


class Batch:
    """One shipment: its notification made ready, and the results that are not told yet."""

    def __init__(self, shipment: Shipment, prepared: Prepared, wake: Callable[[], None]) -> None:
        self.shipment = shipment
        self.prepared = prepared
        self.badges = shipment.badges if prepared.counts_badges else {}
        self.headers = {name.decode(): value.decode() for name, value in prepared.headers()}
        self.headers["user-agent"] = f"wakeline/{__version__}"
        self._wake = wake
        self._accepted: list[int] = []
        self._others: list[tuple[int, Outcome]] = []

    def tell(self, position: int, outcome: Outcome) -> None:
        """Have the result told at the end of this turn. Of a broadcast nobody asks what each message was called."""
        if not self._accepted and not self._others:
            asyncio.get_running_loop().call_soon(self._report)
        if outcome.accepted and self.shipment.notification.bulk:
            self._accepted.append(position)
        else:
            self._others.append((position, outcome))

    def _report(self) -> None:
        accepted, self._accepted = self._accepted, []
        others, self._others = self._others, []
        try:
            self.shipment.on_results(self.shipment, accepted, others)
        finally:
            self._wake()


class Post(NamedTuple):
    """One push of a batch."""

    batch: Batch
    position: int

    @property
    def recipient(self) -> Recipient:
        """Return to whom it goes."""
        return self.batch.shipment.recipients[self.position]

    @property
    def deadline(self) -> float:
        """Return until when it may be answered, on the monotonic clock."""
        return self.batch.shipment.deadline

    def headers(self, body: bytes) -> dict[str, str]:
        """Return its headers but for the authorization; those that tell of a body only if there is one."""
        headers = self.batch.headers
        return headers if body else {name: value for name, value in headers.items() if name not in OF_A_BODY}

    def body(self, subscription: Subscription, entropy: bytes) -> bytes:
        """Return its encrypted body."""
        recipient = self.recipient
        badge = self.batch.badges.get(recipient.device)
        return self.batch.prepared.body(subscription, recipient.locale, entropy, badge)

    def tell(self, outcome: Outcome) -> None:
        """Say what became of it."""
        self.batch.tell(self.position, outcome)
