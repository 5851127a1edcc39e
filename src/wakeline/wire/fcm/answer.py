"""Reading what FCM answers: everything is in the body and in Retry-After."""

from __future__ import annotations

from collections.abc import Iterable

from wakeline.model.outcome import Outcome
from wakeline.wire import outcomes
from wakeline.wire.outcomes.body import seconds


def read(status: int, headers: Iterable[tuple[bytes, bytes]] = (), body: bytes = b"") -> Outcome:
    """Classify an answer; header names in lower case. The provider's id is the message's name."""
    fields = dict(headers)
    return outcomes.fcm(status, body, seconds(fields.get(b"retry-after", b""), fields.get(b"date", b"")))
