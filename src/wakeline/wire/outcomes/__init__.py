"""The one table of outcomes: every answer of a push service, every loss on the way and every refusal of our own.

Settle, explain, metrics, webhooks, the command line and the documentation all read it, so that one answer has one
meaning everywhere. The table is data, a module a source; the functions classify what was received.
"""

from __future__ import annotations

from wakeline.model.outcome import Outcome
from wakeline.wire.outcomes.apns import APNS, apns
from wakeline.wire.outcomes.entry import Entry, Source
from wakeline.wire.outcomes.external import HTTP, external
from wakeline.wire.outcomes.fcm import FCM, fcm
from wakeline.wire.outcomes.network import NETWORK, Loss, lost
from wakeline.wire.outcomes.oauth import OAUTH, oauth, token_uri_refused
from wakeline.wire.outcomes.ours import OURS, Refusal, ours, refusal_of_hold
from wakeline.wire.outcomes.webpush import WEBPUSH, webpush

TABLE: tuple[Entry, ...] = tuple(
    entry for table in (OURS, APNS, FCM, WEBPUSH, HTTP, OAUTH, NETWORK) for entry in table.entries
)

__all__ = [
    "TABLE",
    "Entry",
    "Loss",
    "Outcome",
    "Refusal",
    "Source",
    "apns",
    "explain",
    "external",
    "fcm",
    "lost",
    "oauth",
    "ours",
    "refusal_of_hold",
    "token_uri_refused",
    "webpush",
]


def explain(code_or_reason: str) -> list[Outcome]:
    """Return what a code (905), an HTTP status (410) or a reason (BadDeviceToken) can mean; empty: it is in no table.

    Reasons are compared without regard to case; our own refusals come first.
    """
    wanted = code_or_reason.strip().lower()
    if wanted.isdecimal():
        number = int(wanted)
        found = [entry for entry in TABLE if number in (entry.code, entry.status) and number]
    else:
        found = [entry for entry in TABLE if wanted and wanted in (entry.reason.lower(), _head(entry.reason))]
    return [entry.outcome() for entry in found]


def _head(reason: str) -> str:
    """Return the provider's word of a reason that we told apart: INVALID_ARGUMENT of "INVALID_ARGUMENT: token"."""
    return reason.lower().partition(":")[0]
