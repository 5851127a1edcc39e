"""What a push service of the web says, and what it means.

Sources: RFC 8030 sections 5 and 7 (statuses), Mozilla autopush, "Error Codes" (`errno`), Apple, "Sending web push
notifications in web apps and browsers" (`reason`), Microsoft, "Push notification service request and response headers" (406),
UnifiedPush. Google says it in a sentence of plain text, ntfy in `error`, others not at all.

One judgement needs more than the status. A subscription belongs to the key it was made with, and each service says in its own
way that ours is another: a 400, 401 or 403 that says so is about this subscription, every other 401 or 403 about the key.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from wakeline.model.outcome import Action as Do
from wakeline.model.outcome import Outcome
from wakeline.model.outcome import OutcomeClass as Is
from wakeline.wire.outcomes.body import decode, excerpt, mapping, text
from wakeline.wire.outcomes.entry import Entry, Source, Table

_E = partial(Entry, Source.WEBPUSH)

_WAIT = "Nothing: the gateway sends again by itself, and gives up when the ttl of the push ends."
_AGAIN = "Nothing: the web app subscribes again when it is opened."
_DEFECT = "Report it with the lines of the log at its time."
_KEY = (
    "Check the clock of this machine (NTP) and the contact of the VAPID key: it has to be a real mailto: or https: address. "
    "What waits goes out as soon as the key is accepted."
)
_RESUBSCRIBE = (
    "Have the web app unsubscribe and subscribe with the public key that `wakeline credential list` shows, "
    "or put the former VAPID key back."
)
_SHORTEN = "Shorten it, or set `truncate` to have the text shortened by the gateway."

OTHER_KEY = "VAPID key mismatch"

# fmt: off
WEBPUSH = Table.of(
    _E(200, "", Is.ACCEPTED, Do.DONE, 0, "The push service accepted the push.",
       "If the browser shows nothing, look there: closed browser, notification permission, battery saving, an old service worker."),
    # Apple
    _E(400, "VapidPkHashMismatch", Is.MISMATCH, Do.FAIL, 912, "The browser subscribed with another VAPID key than ours.",
       _RESUBSCRIBE),
    _E(403, "BadJwtToken", Is.CREDENTIAL, Do.HOLD, 904, "Apple does not accept our VAPID token.", _KEY),
    _E(403, "BadVapidPublicKey", Is.CREDENTIAL, Do.HOLD, 904, "Apple does not accept our VAPID public key.", _KEY),
    _E(400, "BadAuthorizationHeader", Is.CREDENTIAL, Do.HOLD, 904, "Apple does not understand our authorization.", _KEY),
    _E(400, "BadWebPushTopic", Is.PAYLOAD, Do.FAIL, 913, "Apple does not take the topic.",
       "Leave `topic` out of `webpush.headers`, and give `collapse_id` instead."),
    _E(400, "BadTtl", Is.PAYLOAD, Do.FAIL, 913, "Apple does not take the ttl.", "Give a `ttl` of at least one second."),
    _E(400, "BadUrgency", Is.PAYLOAD, Do.FAIL, 913, "Apple does not take the urgency.",
       "Leave `urgency` out of `webpush.headers`."),
    _E(400, "BadWebPushRequest", Is.BUG, Do.FAIL, 913, "Apple does not take the request as Web Push.", _DEFECT),
    _E(400, "BadWebPushToken", Is.TOKEN_DOUBTFUL, Do.QUARANTINE, 911, "Apple does not know the endpoint as one of its own.",
       _AGAIN),
    _E(413, "PayloadTooLarge", Is.PAYLOAD, Do.FAIL, 913, "The message is larger than the push service takes (4096 bytes).",
       _SHORTEN),
    _E(429, "TooManyRequests", Is.THROTTLED, Do.RETRY, 914, "The browser had as many messages as its push service takes.",
       _WAIT, 60.0),
    _E(503, "Shutdown", Is.TRANSIENT, Do.REPLAY, 902, "The push service's server is about to stop.", _WAIT),
    # Mozilla
    _E(400, "errno 101", Is.BUG, Do.FAIL, 913, "Mozilla misses a header of the encryption.", _DEFECT),
    _E(400, "errno 108", Is.TOKEN_DOUBTFUL, Do.QUARANTINE, 911, "Mozilla cannot read the endpoint: it was cut or changed.",
       "Register the endpoint exactly as the browser gives it."),
    _E(400, "errno 110", Is.BUG, Do.FAIL, 913, "Mozilla cannot read a header of the encryption.", _DEFECT),
    _E(400, "errno 111", Is.BUG, Do.FAIL, 913, "Mozilla misses a header, such as the ttl.", _DEFECT),
    _E(400, "errno 112", Is.PAYLOAD, Do.FAIL, 913, "Mozilla does not take the ttl.", "Leave `ttl` out of `webpush.headers`."),
    _E(400, "errno 113", Is.PAYLOAD, Do.FAIL, 913, "Mozilla does not take the topic.",
       "Leave `topic` out of `webpush.headers`, and give `collapse_id` instead."),
    _E(401, "errno 109", Is.CREDENTIAL, Do.HOLD, 904, "Mozilla does not accept our VAPID token.", _KEY),
    _E(404, "errno 102", Is.TOKEN_DEAD, Do.RETIRE, 911, "Mozilla knows no such endpoint.", _AGAIN),
    _E(410, "errno 103", Is.TOKEN_DEAD, Do.RETIRE, 911, "The subscription has expired.", _AGAIN),
    _E(410, "errno 105", Is.TOKEN_DEAD, Do.RETIRE, 911, "The browser is gone: its profile was deleted, or its app removed.",
       _AGAIN),
    _E(410, "errno 106", Is.TOKEN_DEAD, Do.RETIRE, 911, "The browser has ended the subscription.", _AGAIN),
    _E(413, "errno 104", Is.PAYLOAD, Do.FAIL, 913,
       "The message is larger than Mozilla takes; to Firefox on a phone it passes only 2744 bytes on.", _SHORTEN),
    _E(429, "errno 201", Is.THROTTLED, Do.RETRY, 914, "Mozilla asks us to send more slowly.", _WAIT, 120.0),
    _E(500, "errno 999", Is.TRANSIENT, Do.RETRY, 902, "Mozilla's server had an internal error.", _WAIT),
    _E(502, "errno 900", Is.TRANSIENT, Do.RETRY, 902, "Mozilla's bridge to the phone is set up wrongly.", _WAIT),
    _E(502, "errno 901", Is.TRANSIENT, Do.RETRY, 902, "Mozilla's bridge to the phone is not let in.", _WAIT),
    _E(502, "errno 902", Is.TRANSIENT, Do.RETRY, 902, "Mozilla's bridge to the phone could not be reached.", _WAIT),
    _E(502, "errno 903", Is.TRANSIENT, Do.RETRY, 902, "Mozilla's bridge to the phone did not answer in time.", _WAIT),
    _E(503, "errno 201", Is.TRANSIENT, Do.RETRY, 902, "Mozilla's server is overloaded.", _WAIT),
    _E(503, "errno 202", Is.TRANSIENT, Do.REPLAY, 902, "Mozilla's server asks us to send it again at once.", _WAIT),
    # whoever says it in words
    _E(403, OTHER_KEY, Is.MISMATCH, Do.FAIL, 912, "The browser subscribed with another VAPID key than ours.", _RESUBSCRIBE),
    # RFC 8030, and what is left
    _E(300, "", Is.TRANSIENT, Do.RETRY, 902, "The push service redirects, and a redirect is never followed.",
       "Check what answers at the endpoint's host; have the web app subscribe again if the push service has moved."),
    _E(400, "", Is.PAYLOAD, Do.FAIL, 913, "The push service does not take the request as valid.",
       "Read what it said, and leave out what was put into `webpush.headers`."),
    _E(401, "", Is.CREDENTIAL, Do.HOLD, 904, "The push service does not accept our VAPID token.", _KEY),
    _E(403, "", Is.CREDENTIAL, Do.HOLD, 904, "The push service does not accept our VAPID key.", _KEY),
    _E(404, "", Is.TOKEN_DEAD, Do.RETIRE, 911, "The push service knows no such subscription: it has expired.", _AGAIN),
    _E(406, "", Is.THROTTLED, Do.RETRY, 914, "The browser had as many messages as Microsoft takes for it.", _WAIT, 60.0),
    _E(408, "", Is.TRANSIENT, Do.RETRY, 902, "The push service waited too long for our request.", _WAIT),
    _E(410, "", Is.TOKEN_DEAD, Do.RETIRE, 911, "The subscription is gone: the browser has ended it, or the site was removed.",
       _AGAIN),
    _E(413, "", Is.PAYLOAD, Do.FAIL, 913, "The message is larger than the push service takes (4096 bytes).", _SHORTEN),
    _E(429, "", Is.THROTTLED, Do.RETRY, 914, "The push service asks us to send more slowly.", _WAIT, 60.0),
    _E(500, "", Is.TRANSIENT, Do.RETRY, 902, "The push service, or a proxy before it, has an internal error.", _WAIT),
    _E(507, "", Is.THROTTLED, Do.RETRY, 914, "The push service has no room for more messages to this subscription.", _WAIT, 60.0),
    _E(0, "", Is.TRANSIENT, Do.RETRY, 902, "The answer cannot be understood.",
       "Check what answers at the endpoint's host, and that no proxy answers in its place."),
)
# fmt: on

_REFUSING = frozenset({400, 401, 403})
_OTHER_KEY_TEXTS = (
    "vapid public key mismatch",  # Mozilla
    "do not correspond to the credentials",  # Google
    "does not correspond to the sender id",  # Google, before
    "unauthorizedregistration",  # Google, before that
)


_LONGEST_WORD, _LONGEST_SENTENCE, _LONGEST_ADDRESS = 100, 300, 500


class Spoken(NamedTuple):
    """What a body says: the provider's word, and its sentence. Anybody may run a push service, so both are cut and cleaned."""

    reason: str = ""
    message: str = ""


def spoken(body: bytes) -> Spoken:
    """Read an answer's body, whoever wrote it."""
    document = mapping(decode(body))
    if not document:
        line = _clean(body[:2000].decode("utf-8", "replace"), _LONGEST_SENTENCE)
        return Spoken(message="" if line.startswith(("<", "{", "[")) else line)
    number = document.get("errno")
    if isinstance(number, int):
        message = text(document.get("message")) or text(document.get("error"))
        return Spoken(_clean(f"errno {number}", _LONGEST_WORD), _clean(message, _LONGEST_SENTENCE))
    error = document.get("error")
    message = text(error) or text(mapping(error).get("message"))
    return Spoken(_clean(text(document.get("reason")), _LONGEST_WORD), _clean(message, _LONGEST_SENTENCE))


def webpush(status: int, body: bytes = b"", retry_after: float | None = None, provider_id: str = "") -> Outcome:
    """Classify an answer to a push message; `retry_after` in seconds, `provider_id` is the message's address."""
    if 200 <= status < 300:
        return WEBPUSH.fallback(200).outcome(status=status, provider_id=_clean(provider_id, _LONGEST_ADDRESS))
    said = spoken(body)
    reason = OTHER_KEY if status in _REFUSING and _names_another_key(body) else said.reason
    entry = WEBPUSH.find(status, reason) or WEBPUSH.fallback(status)
    return entry.outcome(status=status, reason=reason, retry_after=retry_after, detail=said.message, body=excerpt(body))


def _names_another_key(body: bytes) -> bool:
    words = body[:2000].decode("utf-8", "replace").lower()
    return any(sign in words for sign in _OTHER_KEY_TEXTS)


def _clean(said: str, longest: int) -> str:
    """Return text that a terminal and a log take without harm: one line, nothing but what can be printed."""
    return "".join(mark if mark.isprintable() else " " for mark in said[:longest]).strip()
