"""From what the transport says about a request without an answer to an outcome."""

from __future__ import annotations

import msgspec

from wakeline.model.errors import AddressRefused, ConnectFailed, TimedOut, TransportError
from wakeline.model.outcome import Outcome, OutcomeClass
from wakeline.wire import outcomes
from wakeline.wire.http2 import Answer, ConnectFailure, GoAway, Lost
from wakeline.wire.outcomes import Loss, Refusal

_CONNECT = {
    "dns": Loss.DNS,
    "refused": Loss.CONNECT_REFUSED,
    "timeout": Loss.CONNECT_TIMEOUT,
    "tls_verify": Loss.TLS_VERIFY,
    "tls_alert": Loss.TLS_ALERT,
    "alpn": Loss.ALPN,
    "proxy": Loss.PROXY,
    "closed": Loss.CONNECT,
}
_LOST = {
    Lost.NOT_WRITTEN: Loss.NOT_WRITTEN,
    Lost.REFUSED: Loss.REFUSED_STREAM,
    Lost.TIMEOUT: Loss.TIMEOUT,
    Lost.UNKNOWN: Loss.UNANSWERED,
}
_LONGEST = 100
"""Characters of a reason that are kept: it comes from outside."""
_EXPLICIT = "the server ended the TLS session"
"""How `transport.tls` begins the words for an alert that was received, in contrast to a mere end of the connection."""


def outcome_of_loss(answer: Answer) -> Outcome:
    """Return what a request without an answer means, where no client certificate was presented."""
    if answer.lost is None or answer.lost is Lost.CONNECT:
        kind = answer.failure.kind if answer.failure is not None else "closed"
        return outcomes.lost(_CONNECT[kind], detail=answer.detail)
    return outcomes.lost(_LOST[answer.lost], detail=answer.detail)


def outcome_of_failure(error: TransportError) -> Outcome:
    """Return what a failed request of `ports.HttpClient` means. Without a connection nothing was written."""
    match error:
        case AddressRefused():
            return outcomes.ours(Refusal.ADDRESS_REFUSED, detail=error.detail)
        case ConnectFailed():
            return outcomes.lost(Loss.CONNECT, detail=error.detail)
        case TimedOut():
            return outcomes.lost(Loss.TIMEOUT, detail=error.detail)
        case _:
            return outcomes.lost(Loss.UNANSWERED, detail=error.detail)


def certificate_outcome(failure: ConnectFailure | None, *, repeated: bool) -> Outcome | None:
    """Return what a connection that never worked says about our client certificate; None if nothing.

    An alert is an answer. A connection that merely ends before its first answer is one only when it happens `repeated`ly,
    because a server that restarts looks the same.
    """
    if failure is None or failure.kind != "tls_alert":
        return None
    if not failure.detail.startswith(_EXPLICIT) and not repeated:
        return None
    expired = failure.detail.endswith("certificate_expired")
    return outcomes.lost(Loss.CERTIFICATE_EXPIRED if expired else Loss.CERTIFICATE_REJECTED, detail=failure.detail)


def goaway_reason(goaway: GoAway | None) -> str:
    """Return why the server ended a connection: Apple's JSON reason, else the error code (RFC 9113 section 7), else ""."""
    if goaway is None:
        return ""
    try:
        reason = msgspec.json.decode(goaway.debug)["reason"]
    except (msgspec.DecodeError, KeyError, TypeError):
        reason = ""
    return reason[:_LONGEST] if isinstance(reason, str) and reason else f"error code {goaway.code}"


def goaway_outcome(goaway: GoAway | None) -> Outcome | None:
    """Return what Apple said about our credential when it ended the connection; None if it was about something else."""
    reason = goaway_reason(goaway)
    outcome = outcomes.apns(0, reason) if reason else None
    return outcome if outcome is not None and outcome.outcome_class is OutcomeClass.CREDENTIAL else None
