"""What a push bears so that its phone can say that it has it: the notification's id, and a token that stands for it.

    "wakeline": {"id": "0198...", "receipt": "mM2nXg..."}

The token is the first half of HMAC-SHA256(key, notification): nothing is stored, and it proves no more than that whoever
shows it was sent this notification. 128 bits are what RFC 2104 section 5 leaves of a hash that is cut.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from typing import Any

from wakeline.model.ids import uuid_of

FIELD = "wakeline"
"""The key of `data` under which it stands."""
PURPOSE = "receipt"
"""What the key is derived for."""
_BYTES = 16


def make(notification: int, key: bytes) -> str:
    """Return the token of a notification."""
    mark = hmac.digest(key, notification.to_bytes(8, "big"), hashlib.sha256)[:_BYTES]
    return urlsafe_b64encode(mark).rstrip(b"=").decode()


def proves(token: str, notification: int, keys: Iterable[bytes]) -> bool:
    """Tell whether a token was made for this notification with any of these keys."""
    given = token.encode()
    return any(hmac.compare_digest(make(notification, key).encode(), given) for key in keys)


def bearing(data: Mapping[str, Any], notification: int, token: str) -> dict[str, Any]:
    """Return the data of a push with what its phone needs for a receipt."""
    return {**data, FIELD: {"id": uuid_of(notification), "receipt": token}}
