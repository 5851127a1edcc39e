"""What a program behind an external push URI says, and what it means.

There is no standard: Flexisip takes 200 for success and all else for failure. So statuses mean what they mean in HTTP (RFC 9110), a
404 may as well be a misspelt URI, and only a 410 says that a token is gone.
"""

from __future__ import annotations

from functools import partial

from wakeline.model.outcome import Action as Do
from wakeline.model.outcome import Outcome
from wakeline.model.outcome import OutcomeClass as Is
from wakeline.wire.outcomes.body import excerpt
from wakeline.wire.outcomes.entry import Entry, Source, Table
from wakeline.wire.outcomes.webpush import spoken

_E = partial(Entry, Source.HTTP)

_WAIT = "Nothing: the gateway sends again by itself, and gives up when the ttl of the push ends."
_THERE = "Look into the log of the program behind the external push URI."

# fmt: off
HTTP = Table.of(
    _E(200, "", Is.ACCEPTED, Do.DONE, 0, "The program behind the external push URI took the push.",
       f"If nothing is shown, it did not send it on. {_THERE}"),
    _E(300, "", Is.TRANSIENT, Do.RETRY, 902, "The external push URI redirects, and a redirect is never followed.",
       "Give the app the URI that it leads to: `wakeline credential add`."),
    _E(400, "", Is.PAYLOAD, Do.FAIL, 913, "The program behind the external push URI does not take the push.", _THERE),
    _E(401, "", Is.CREDENTIAL, Do.HOLD, 904, "The external push URI wants another key than it has.",
       "Give the app the URI with the right key: `wakeline credential add`."),
    _E(403, "", Is.CREDENTIAL, Do.HOLD, 904, "The external push URI is not allowed to push.",
       "Give the app the URI with a key that may: `wakeline credential add`."),
    _E(404, "", Is.PAYLOAD, Do.FAIL, 913, "There is nothing at the external push URI.",
       "Compare its path with what the program expects."),
    _E(405, "", Is.PAYLOAD, Do.FAIL, 913, "The external push URI wants another method.",
       "Set `method` of the credential to the other one, GET or POST."),
    _E(408, "", Is.TRANSIENT, Do.RETRY, 902, "The program behind the external push URI waited too long for us.", _WAIT),
    _E(410, "", Is.TOKEN_DEAD, Do.RETIRE, 911, "The program behind the external push URI says that the token is gone.",
       "Nothing: the app registers again when it is opened."),
    _E(429, "", Is.THROTTLED, Do.RETRY, 914, "The program behind the external push URI asks us to send more slowly.", _WAIT, 60.0),
    _E(500, "", Is.TRANSIENT, Do.RETRY, 902, "The program behind the external push URI has an error.", _WAIT),
    _E(0, "", Is.TRANSIENT, Do.RETRY, 902, "The answer cannot be understood.", "Check what answers at the external push URI."),
)
# fmt: on


def external(status: int, body: bytes = b"", retry_after: float | None = None) -> Outcome:
    """Classify an answer of an external push URI; `retry_after` in seconds."""
    entry = HTTP.fallback(status)
    if 200 <= status < 300:
        return entry.outcome(status=status)
    said = spoken(body)
    return entry.outcome(
        status=status, reason=said.reason, retry_after=retry_after, detail=said.message, body=excerpt(body)
    )
