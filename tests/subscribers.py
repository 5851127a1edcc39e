"""Subscriptions of browsers for tests: keys that are on the curve, and no browser behind them."""

from __future__ import annotations

import base64
import os
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


class Subscriber(NamedTuple):
    """What a browser hands to its web app."""

    endpoint: str
    p256dh: str
    auth: str

    @property
    def keys(self) -> dict[str, str]:
        return {"p256dh": self.p256dh, "auth": self.auth}

    @property
    def json(self) -> dict[str, object]:
        """What `subscription.toJSON()` says in a browser."""
        return {"endpoint": self.endpoint, "expirationTime": None, "keys": self.keys}

    @property
    def value(self) -> str:
        """What is kept of it as the value of a target."""
        return f"{self.endpoint} {self.p256dh} {self.auth}"


def subscriber(endpoint: str = "https://push.example.com/wp/0123456789abcdef") -> Subscriber:
    """Make a subscription at an endpoint."""
    point = (
        ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    )
    return Subscriber(endpoint, _text(point), _text(os.urandom(16)))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
