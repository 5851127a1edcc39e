"""Standard Webhooks: how a message is signed, so that its receiver knows that it is ours, whole, and not an old one.

    webhook-id: msg_...            the same for every try: a receiver that remembers ids takes each message once
    webhook-timestamp: 1674087231  Unix seconds of this try
    webhook-signature: v1,<base64 of HMAC-SHA256(secret, "id.timestamp.body")>   several, by spaces, while a secret is rotated

Source: Standard Webhooks specification 1.0, "Webhook headers", "Signature scheme", "Secret rotation".
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from binascii import Error, a2b_base64
from collections.abc import Sequence

from wakeline.model.errors import InvalidRequest

PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64
"""Bytes of a secret ("Signature scheme": between 24 and 64 bytes)."""


def secret_text(secret: bytes) -> str:
    """Return a secret as its owner gets it."""
    return PREFIX + b64encode(secret).decode()


def read_secret(text: str) -> bytes:
    """Return the bytes of a secret that a caller gave; the prefix may be absent, the padding may not.

    Raises InvalidRequest, whose words never repeat it.
    """
    try:
        secret = a2b_base64(text.removeprefix(PREFIX), strict_mode=True)
    except (Error, ValueError):
        raise InvalidRequest(
            "the secret is not base64",
            fix=f"Give {PREFIX} and the base64 of {SHORTEST} to {LONGEST} random bytes, or no secret: one is made then.",
        ) from None
    if not SHORTEST <= len(secret) <= LONGEST:
        raise InvalidRequest(
            f"the secret is {len(secret)} bytes long",
            fix=f"Use {SHORTEST} to {LONGEST} random bytes, or give no secret: one is made then.",
        )
    return secret


def signature(secret: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Return one signature; `timestamp` in Unix seconds."""
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    return "v1," + b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()


def headers(secrets: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers of a try at `timestamp` (Unix seconds), signed with every one of `secrets`, the newest first."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signature(secret, message_id, timestamp, body) for secret in secrets),
    }
