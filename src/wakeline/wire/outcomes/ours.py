"""Every refusal of our own, and what it means. Codes 901-905 and 911-914 are those that mesibo's users know.

901 fails a delivery at once. 902 to 905 hold the route until its cause is repaired or each ttl ends, and calls fail at
once, because nobody rings half an hour late. 911 to 913 fail the delivery. 914 waits until the limit allows it.
"""

from __future__ import annotations

from enum import StrEnum
from functools import partial

from wakeline.model.outcome import Action as Do
from wakeline.model.outcome import Outcome
from wakeline.model.outcome import OutcomeClass as Is
from wakeline.model.route import Hold, HoldReason
from wakeline.wire.outcomes.entry import Entry, Source, Table

_E = partial(Entry, Source.OURS, 0)


class Refusal(StrEnum):
    """Why the gateway itself did not send, or does not send again."""

    NO_CREDENTIAL = "no_credential"
    PAUSED = "paused"
    ROUTE_HELD = "route_held"
    BREAKER = "breaker"
    BRAKE = "brake"
    RETRIES_EXHAUSTED = "retries_exhausted"
    CERTIFICATE_EXPIRED = "certificate_expired"
    CREDENTIAL_ERROR = "credential_error"
    WRONG_ENVIRONMENT = "wrong_environment"
    BAD_TOKEN = "bad_token"  # noqa: S105 - a reason, no password
    TOKEN_QUARANTINED = "token_quarantined"  # noqa: S105 - a reason, no password
    TOKEN_RETIRED = "token_retired"  # noqa: S105 - a reason, no password
    TOPIC_MISMATCH = "topic_mismatch"
    PAYLOAD = "payload"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    NOT_A_CALL = "not_a_call"
    RATE_LIMITED = "rate_limited"
    DEVICE_RATE_LIMITED = "device_rate_limited"
    EXPIRED = "expired"
    USER_CHANGED = "user_changed"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    CONNECTED = "connected"
    ACKNOWLEDGED = "acknowledged"
    UNKNOWN_USER = "unknown_user"
    UNKNOWN_DEVICE = "unknown_device"
    NO_TARGET = "no_target"
    UNANSWERED = "unanswered"
    TOO_MANY_ORIGINS = "too_many_origins"
    ADDRESS_REFUSED = "address_refused"
    DEFECT = "defect"


_HELD = "Nothing for this push: it waits until its ttl ends. `wakeline route list` says why the route waits."
_REGISTER = "Have the app register again; `wakeline explain` with the device's id shows what its token said."

# fmt: off
OURS = Table.of(
    _E(Refusal.NO_CREDENTIAL, Is.REFUSED, Do.FAIL, 901,
       "The app has no credential for this push service, environment and topic.",
       "Upload a .p8 key (iPhone) or a service account (Android) for the app, or make a VAPID key (browsers, UnifiedPush) with "
       "`wakeline credential vapid`; `wakeline credential list` shows what is there."),
    _E(Refusal.PAUSED, Is.REFUSED, Do.HOLD, 902, "The app was paused by an operator.",
       "Resume the app; what waits goes out until its ttl ends."),
    _E(Refusal.ROUTE_HELD, Is.REFUSED, Do.HOLD, 902, "An operator holds this route.",
       "Release the route with `wakeline route release`; what waits goes out until its ttl ends."),
    _E(Refusal.BREAKER, Is.REFUSED, Do.HOLD, 902,
       "The push service does not answer, or with nothing but errors of its own, so the gateway asks it only now and then.",
       "Nothing, if the push service has trouble: the gateway goes on by itself when that is over. If it cannot be reached, look "
       "at DNS, firewall and proxy: `wakeline doctor` tries the way there."),
    _E(Refusal.BRAKE, Is.REFUSED, Do.HOLD, 902,
       "Suddenly many tokens of this route look dead, which is more likely a wrong setting than so many removed apps.",
       "Compare environment, bundle id and credential with those of the app build; then `wakeline brake release` or `undo`."),
    _E(Refusal.RETRIES_EXHAUSTED, Is.TRANSIENT, Do.FAIL, 902, "The push service could not be reached until the ttl ended.",
       "Check the way to the push service with `wakeline doctor`, and give a longer `ttl` if late is better than never."),
    _E(Refusal.CERTIFICATE_EXPIRED, Is.CREDENTIAL, Do.HOLD, 903, "The push certificate of the app has expired.",
       "Upload a .p8 key, which never expires, or a new certificate; what waits goes out by itself."),
    _E(Refusal.CREDENTIAL_ERROR, Is.CREDENTIAL, Do.HOLD, 904, "The push service does not accept the credential of the app.",
       "`wakeline credential list` shows what it said. Upload a working credential; what waits goes out by itself."),
    _E(Refusal.WRONG_ENVIRONMENT, Is.CREDENTIAL, Do.HOLD, 905,
       "The credential is for the other APNs environment than this token.",
       "Upload a production certificate or, better, a .p8 key, which covers both environments."),
    _E(Refusal.BAD_TOKEN, Is.TOKEN_DOUBTFUL, Do.QUARANTINE, 911, "The registered value cannot be a token of this push service.",
       "Register the token as the phone gives it: hexadecimal for APNs, the unchanged string for FCM."),
    _E(Refusal.TOKEN_QUARANTINED, Is.REFUSED, Do.FAIL, 911, "The token is in quarantine, because the push service doubts it.",
       _REGISTER),
    _E(Refusal.TOKEN_RETIRED, Is.REFUSED, Do.FAIL, 911, "The token is retired, because the push service said that it is gone.",
       _REGISTER),
    _E(Refusal.TOPIC_MISMATCH, Is.MISMATCH, Do.FAIL, 912, "The credential does not cover the topic of the token.",
       "Upload a credential for this bundle id, or a .p8 key of the team, which covers all of them."),
    _E(Refusal.PAYLOAD, Is.PAYLOAD, Do.FAIL, 913, "The notification cannot be written as this push service wants it.",
       "Send it with `validate_only=true`: the answer names the field."),
    _E(Refusal.PAYLOAD_TOO_LARGE, Is.PAYLOAD, Do.FAIL, 913, "The push is larger than its push service takes.",
       "Shorten it, or set `truncate` to have the text shortened by the gateway."),
    _E(Refusal.NOT_A_CALL, Is.PAYLOAD, Do.FAIL, 913,
       "Only calls may go to a VoIP token: iOS terminates an app that gets anything else there.",
       "Send it to the device instead, so that its alert token is used, or send a notification of type `call`."),
    _E(Refusal.RATE_LIMITED, Is.THROTTLED, Do.FAIL, 914, "The user had as many pushes as the limit allows.",
       "Send less often, collapse with `collapse_id`, or change [limits] or the app's `limits` switch."),
    _E(Refusal.DEVICE_RATE_LIMITED, Is.THROTTLED, Do.RETRY, 914,
       "The device had as many messages as its push service takes for one device.",
       "Send less often to one device, or collapse with `collapse_id`."),
    _E(Refusal.EXPIRED, Is.REFUSED, Do.FAIL, 0, "The ttl ended before the push could be sent.",
       "Give a longer `ttl` if late is better than never; the attempts show what it waited for."),
    _E(Refusal.USER_CHANGED, Is.REFUSED, Do.FAIL, 0, "Another user has signed in on the device since the push was accepted.",
       "Nothing: the next user must not see it."),
    _E(Refusal.CANCELLED, Is.REFUSED, Do.FAIL, 0, "The notification was cancelled before it was sent.", "Nothing."),
    _E(Refusal.SUPERSEDED, Is.REFUSED, Do.FAIL, 0, "A newer notification with the same `collapse_id` took its place.",
       "Nothing; leave `collapse_id` out if every one must be shown."),
    _E(Refusal.CONNECTED, Is.REFUSED, Do.FAIL, 0, "The device was connected, and the push was asked for only if it is absent.",
       "Nothing; leave `only_if_absent` out to push to connected devices too."),
    _E(Refusal.ACKNOWLEDGED, Is.REFUSED, Do.FAIL, 0, "The device acknowledged the notification before a push was needed.",
       "Nothing."),
    _E(Refusal.UNKNOWN_USER, Is.REFUSED, Do.FAIL, 0, "No device of this app belongs to the user.",
       "Have the app register the device with this user's id; `wakeline user show` lists what is registered."),
    _E(Refusal.UNKNOWN_DEVICE, Is.REFUSED, Do.FAIL, 0, "The app has no device with this id.",
       "Have the app register the device first; `wakeline device list` shows what is registered."),
    _E(Refusal.NO_TARGET, Is.REFUSED, Do.FAIL, 0, "The device has no active token that could take this kind of push.",
       _REGISTER),
    _E(Refusal.UNANSWERED, Is.UNKNOWN, Do.FAIL, 902,
       "The push was written and never answered, and it was asked not to send again in that case.",
       "Nothing: it may have been shown. Set `on_unknown` to `retry` if twice is better than never."),
    _E(Refusal.TOO_MANY_ORIGINS, Is.REFUSED, Do.FAIL, 901,
       "The subscription names a push service that the app does not send to yet, and it sends to as many as are allowed.",
       "`wakeline route list` shows them. If they are all meant, raise `max_origins` in [providers.webpush]."),
    _E(Refusal.ADDRESS_REFUSED, Is.REFUSED, Do.FAIL, 911,
       "The push service that the subscription names is not reachable from here by rule.",
       "For a distributor in your own network set `allow_private` (and `allow_http` if it has no TLS) in [providers.webpush]."),
    _E(Refusal.DEFECT, Is.BUG, Do.FAIL, 0, "The gateway met a defect of its own in this delivery.",
       "Report it with the lines of the log at its time; other deliveries go on."),
)
# fmt: on


def ours(refusal: Refusal, *, detail: str = "", retry_after: float | None = None) -> Outcome:
    """Return what a refusal of our own means; `detail` is added to the cause, `retry_after` is in seconds."""
    entry = OURS.index[0, refusal]
    if not detail:
        return entry.outcome(reason=refusal.value, retry_after=retry_after)
    return entry._replace(cause=f"{entry.cause} {detail}").outcome(reason=refusal.value, retry_after=retry_after)


def refusal_of_hold(hold: Hold) -> Refusal:
    """Return the refusal that says why a route waits."""
    match hold.reason:
        case HoldReason.BREAKER:
            return Refusal.BREAKER
        case HoldReason.BRAKE:
            return Refusal.BRAKE
        case HoldReason.OPERATOR:
            # A paused app holds its routes without a reason of its own.
            return Refusal.PAUSED if hold.cause == ours(Refusal.PAUSED).cause else Refusal.ROUTE_HELD
        case HoldReason.CREDENTIAL:
            by_code = {903: Refusal.CERTIFICATE_EXPIRED, 905: Refusal.WRONG_ENVIRONMENT}
            return by_code.get(hold.code, Refusal.CREDENTIAL_ERROR)
