"""Reading what APNs answers: a status, and on failure a JSON body with `reason` and, for a 410, `timestamp`."""

from __future__ import annotations

from collections.abc import Iterable

from wakeline.model.outcome import Outcome
from wakeline.wire import outcomes
from wakeline.wire.outcomes.body import decode, excerpt, mapping, seconds, text


def read(status: int, headers: Iterable[tuple[bytes, bytes]] = (), body: bytes = b"") -> Outcome:
    """Classify an answer; header names in lower case.

    The provider's id is `apns-unique-id` where the sandbox gives one (its console looks it up), else `apns-id`.
    """
    fields = dict(headers)
    said = mapping(decode(body)) if body else {}
    since = said.get("timestamp")
    return outcomes.apns(
        status,
        text(said.get("reason")),
        since=since if type(since) is int and since > 0 else None,
        retry_after=seconds(fields.get(b"retry-after", b""), fields.get(b"date", b"")),
        provider_id=(fields.get(b"apns-unique-id") or fields.get(b"apns-id") or b"").decode("ascii", "replace"),
        body=excerpt(body) if body else "",
    )
