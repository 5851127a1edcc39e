"""Reading what a push service answers."""

from __future__ import annotations

from collections.abc import Iterable

from wakeline.model.outcome import Outcome
from wakeline.wire import outcomes
from wakeline.wire.outcomes.body import seconds


def read(status: int, headers: Iterable[tuple[bytes, bytes]] = (), body: bytes = b"") -> Outcome:
    """Classify an answer; header names in lower case.

    The provider's id is the message's own address (RFC 8030 section 5), or what Apple calls it.
    """
    fields = dict(headers)
    return outcomes.webpush(
        status,
        body,
        seconds(fields.get(b"retry-after", b""), fields.get(b"date", b"")),
        (fields.get(b"location") or fields.get(b"apns-id") or b"").decode("ascii", "replace"),
    )
