"""What a kept answer means: the ledger keeps status and reason, the table of outcomes has the words."""

from __future__ import annotations

import msgspec

from wakeline.model.delivery import Attempt, Delivery, DeliveryState
from wakeline.model.device import TargetKind
from wakeline.model.outcome import Outcome
from wakeline.wire.outcomes import TABLE, Entry, Refusal, Source, explain, ours


def of_delivery(delivery: Delivery) -> Outcome | None:
    """Return what the last answer to a delivery means, or None if there was none yet.

    What expired is kept with the reason of what it waited for.
    """
    known = meaning(delivery.kind, delivery.status, delivery.reason, delivery.code)
    expired = ours(Refusal.EXPIRED)
    if known is None or delivery.state is not DeliveryState.EXPIRED or delivery.reason == expired.reason:
        return known
    return msgspec.structs.replace(known, cause=f"{expired.cause} {known.cause}")


def of_attempt(attempt: Attempt, kind: str) -> Outcome | None:
    """Return what the answer to an attempt means."""
    return meaning(kind, attempt.status, attempt.reason, attempt.code)


def meaning(kind: str, status: int, reason: str, code: int = 0) -> Outcome | None:
    """Return the outcome of an answer as received (`status` 0: the provider said nothing), for a target of this kind."""
    entry = _by_answer(_source(kind), status, reason) if status or reason else None
    if entry is not None:
        return entry.outcome(status=status, reason=reason)
    known = explain(str(code)) if code else []
    return known[0] if known else None


def _source(kind: str) -> Source:
    match kind:
        case TargetKind.FCM:
            return Source.FCM
        case TargetKind.WEBPUSH:
            return Source.WEBPUSH
        case TargetKind.HTTP:
            return Source.HTTP
        case _:
            return Source.APNS


def _by_answer(source: Source, status: int, reason: str) -> Entry | None:
    """Find the entry: this answer of this provider, then this reason of whoever says it, then what the status means."""
    exact = [entry for entry in TABLE if (entry.status, entry.reason) == (status, reason)]
    named = [entry for entry in TABLE if reason and entry.reason == reason]
    for found in ([entry for entry in exact if entry.source is source], exact if reason else [], named):
        if found:
            return found[0]
    if not status:
        return None
    own = {entry.status: entry for entry in TABLE if entry.source is source and not entry.reason}
    return own.get(status) or own.get(status // 100 * 100) or own.get(0)
