"""What Google's token endpoint says when it gives no access token, and what it means.

Sources: RFC 6749 section 5.2 for the names of errors; google-auth for those of Google's that are worth a retry.
"""

from __future__ import annotations

from functools import partial

from wakeline.model.outcome import Action as Do
from wakeline.model.outcome import Outcome
from wakeline.model.outcome import OutcomeClass as Is
from wakeline.wire.outcomes.body import decode, mapping, text
from wakeline.wire.outcomes.entry import Entry, Source, Table

_O = partial(Entry, Source.OAUTH)

_WAIT = "Nothing: the gateway sends again by itself, and gives up when the ttl of the push ends."
_ACCOUNT = (
    "Create a new key for the service account (Firebase console: Project settings, Service accounts) and upload it."
)
_FILE = "Download the service account file again and upload it; check its token_uri."

# fmt: off
OAUTH = Table.of(
    _O(400, "invalid_grant", Is.CREDENTIAL, Do.HOLD, 904,
       "Google does not accept the service account's signature: its key was deleted, or the account disabled.", _ACCOUNT),
    _O(400, "invalid_grant: clock", Is.CREDENTIAL, Do.HOLD, 904,
       "Google says that our request was signed at a wrong time.", "Set the clock of this machine (NTP), then run the check."),
    _O(401, "invalid_client", Is.CREDENTIAL, Do.HOLD, 904, "Google does not know this service account.", _ACCOUNT),
    _O(401, "unauthorized_client", Is.CREDENTIAL, Do.HOLD, 904, "The service account may not ask for this kind of token.",
       _ACCOUNT),
    _O(400, "invalid_scope", Is.CREDENTIAL, Do.HOLD, 904, "The service account may not ask for the messaging scope.", _ACCOUNT),
    _O(400, "invalid_request", Is.CREDENTIAL, Do.HOLD, 904, "Google's token endpoint does not understand the request.",
       _FILE),
    _O(400, "unsupported_grant_type", Is.CREDENTIAL, Do.HOLD, 904, "The token endpoint does not serve service accounts.",
       _FILE),
    _O(403, "access_denied", Is.CREDENTIAL, Do.HOLD, 904, "Google denies the service account a token.", _ACCOUNT),
    _O(400, "", Is.CREDENTIAL, Do.HOLD, 904, "The token endpoint refuses the service account.", _ACCOUNT),
    _O(404, "", Is.CREDENTIAL, Do.HOLD, 904, "Nothing answers at the service account's token_uri.",
       _FILE),
    _O(408, "", Is.TRANSIENT, Do.RETRY, 902, "The token endpoint timed out.", _WAIT),
    _O(429, "", Is.TRANSIENT, Do.RETRY, 902, "The token endpoint asks us to come back later.", _WAIT),
    _O(500, "internal_failure", Is.TRANSIENT, Do.RETRY, 902, "The token endpoint had an internal error.", _WAIT),
    _O(500, "server_error", Is.TRANSIENT, Do.RETRY, 902, "The token endpoint had an internal error.", _WAIT),
    _O(503, "temporarily_unavailable", Is.TRANSIENT, Do.RETRY, 902, "The token endpoint is not available at the moment.", _WAIT),
    _O(500, "", Is.TRANSIENT, Do.RETRY, 902, "The token endpoint has an internal error.", _WAIT),
    _O(200, "", Is.TRANSIENT, Do.RETRY, 902, "The token endpoint answered without an access token.",
       "Check that the service account's token_uri names Google's host and that no proxy answers in its place."),
    _O(0, "", Is.TRANSIENT, Do.RETRY, 902, "The token endpoint gave no answer that can be understood.",
       "Check the way to oauth2.googleapis.com: DNS, firewall, proxy. The gateway tries again by itself."),
    _O(0, "token_uri", Is.CREDENTIAL, Do.HOLD, 904, "The service account's token_uri is not one of Google's hosts.",
       "Download the service account file again, or list the host in [providers.fcm] token_hosts."),
)
# fmt: on

_CLOCK_TEXTS = ("short-lived token", "check your iat and exp", "reasonable timeframe")


def oauth(status: int, body: bytes = b"", retry_after: float | None = None, *, detail: str = "") -> Outcome:
    """Classify a token endpoint's answer that gave no access token; status 0 means that none came, `detail` says why."""
    document = mapping(decode(body))
    # Google's own front ends answer {"error": {"status": ...}} where OAuth has a string.
    reason = text(document.get("error")) or text(mapping(document.get("error")).get("status"))
    detail = detail or text(document.get("error_description"))
    line = f"{reason}: clock" if any(words in detail.lower() for words in _CLOCK_TEXTS) else reason
    entry = OAUTH.find(status, line) or OAUTH.find(status, reason) or OAUTH.fallback(status)
    return entry.outcome(status=status, reason=reason, retry_after=retry_after, detail=detail[:300])


def token_uri_refused(detail: str) -> Outcome:
    """Say that the token_uri of a service account is not asked, because it is not a host of Google's."""
    return OAUTH.index[0, "token_uri"].outcome(detail=detail)
