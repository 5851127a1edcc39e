"""What is shared by the pushes of one shipment of Web Push."""

from __future__ import annotations

from collections.abc import Callable

from wakeline import __version__
from wakeline.model.device import Recipient
from wakeline.ports import Shipment
from wakeline.providers.posting import Batch
from wakeline.wire.webpush import OF_A_BODY, Prepared, Subscription


class WebPushBatch(Batch):
    """One shipment with its notification made ready."""

    def __init__(self, shipment: Shipment, prepared: Prepared, wake: Callable[[], None]) -> None:
        super().__init__(shipment, wake)
        self.prepared = prepared
        self.badges = shipment.badges if prepared.counts_badges else {}
        self.headers = {name.decode(): value.decode() for name, value in prepared.headers()}
        self.headers["user-agent"] = f"wakeline/{__version__}"

    def headers_of(self, body: bytes) -> dict[str, str]:
        """Return the headers of a push but for the authorization; those that tell of a body only if there is one."""
        return self.headers if body else {name: value for name, value in self.headers.items() if name not in OF_A_BODY}

    def body(self, recipient: Recipient, subscription: Subscription, entropy: bytes) -> bytes:
        """Return the encrypted body for a recipient."""
        badge = self.badges.get(recipient.device)
        return self.prepared.body(subscription, recipient.locale, entropy, badge)
