"""What FCM says, and what it means.

Sources: Firebase, "ErrorCode" (REST reference) and "FCM error codes". A body comes in two JSON shapes (`error.details[]`
with an FcmError, or `error.status` alone), with snake or camel names, as HTML from a front end, as plain text, or not at
all.

Three judgements need more than the code. INVALID_ARGUMENT blames the token only if the violated field or the text says
so. A 404 without an FcmError is a wrong project, a 403 without one a missing permission: neither is about a token.
THIRD_PARTY_AUTH_ERROR concerns the APNs or web-push credential inside the Firebase project, so Android is not held up.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from wakeline.model.outcome import Action as Do
from wakeline.model.outcome import Outcome
from wakeline.model.outcome import OutcomeClass as Is
from wakeline.wire.outcomes.body import decode, excerpt, listed, mapping, text
from wakeline.wire.outcomes.entry import Entry, Source, Table

_E = partial(Entry, Source.FCM)

_WAIT = "Nothing: the gateway sends again by itself, and gives up when the ttl of the push ends."
_TOKEN = "Nothing: the app registers its new token when it is opened again."  # noqa: S105 - advice, no password
_ACCOUNT = (
    "Create a new key for the service account (Firebase console: Project settings, Service accounts) and upload it."
)
_HOST = "Check that [providers.fcm] base_url names Google's host and that no proxy answers in its place."

BAD_TOKEN = "INVALID_ARGUMENT: token"  # noqa: S105 - the name of a line in the table
NO_PERMISSION = "PERMISSION_DENIED: cloudmessaging.messages.create"
API_DISABLED = "PERMISSION_DENIED: API disabled"

# fmt: off
FCM = Table.of(
    _E(200, "", Is.ACCEPTED, Do.DONE, 0, "Google accepted the push.",
       "If the phone shows nothing, look at the device: force-stopped app, battery optimisation, notification permission."),
    _E(400, "INVALID_ARGUMENT", Is.PAYLOAD, Do.FAIL, 913, "FCM does not take the message as valid.",
       "Correct the field that the answer names; the limit is 4096 bytes of notification and data."),
    _E(400, BAD_TOKEN, Is.TOKEN_DEAD, Do.RETIRE, 911,
       "The value is no FCM registration token: it was cut, or comes from another push service.",
       "Register exactly what Firebase's `getToken` or `onNewToken` gives; for an iPhone's own APNs token use the kind `apns`."),
    _E(404, "UNREGISTERED", Is.TOKEN_DEAD, Do.RETIRE, 911,
       "The token is not registered any more: the app was removed, its data cleared, or it was unused for 270 days.", _TOKEN),
    _E(403, "SENDER_ID_MISMATCH", Is.MISMATCH, Do.FAIL, 912, "The token belongs to another Firebase project.",
       "Use the service account of the project that is in the app's google-services.json."),
    _E(403, NO_PERMISSION, Is.CREDENTIAL, Do.HOLD, 904, "The service account may not send messages in this project.",
       "Grant it the role Firebase Cloud Messaging API Admin (permission cloudmessaging.messages.create)."),
    _E(403, API_DISABLED, Is.CREDENTIAL, Do.HOLD, 904, "The Firebase Cloud Messaging API is switched off in this project.",
       "Enable the API fcm.googleapis.com in the Google Cloud console and wait a few minutes."),
    _E(401, "THIRD_PARTY_AUTH_ERROR", Is.CREDENTIAL, Do.RETRY, 904,
       "The Firebase project has no valid APNs key or web-push key, so it cannot reach this iPhone or browser.",
       "Upload an APNs key in the Firebase console (Cloud Messaging), or register the iPhone's own APNs token here.", 600.0),
    _E(401, "APNS_AUTH_ERROR", Is.CREDENTIAL, Do.RETRY, 904,
       "The Firebase project has no valid APNs key, so it cannot reach this iPhone.",
       "Upload an APNs key in the Firebase console (Cloud Messaging), or register the iPhone's own APNs token here.", 600.0),
    _E(401, "UNAUTHENTICATED", Is.CREDENTIAL, Do.RENEW, 904, "FCM does not accept our access token.",
       "The gateway asks for a new one; if that is refused too, create and upload a new service account key."),
    _E(401, "ACCESS_TOKEN_EXPIRED", Is.CREDENTIAL, Do.RENEW, 904, "Our access token has expired.",
       "The gateway asks for a new one; set the clock of this machine (NTP) if this returns."),
    _E(429, "QUOTA_EXCEEDED", Is.THROTTLED, Do.RETRY, 914,
       "The project, the device or the topic has had more messages than its quota allows for now.",
       "Nothing for this push: it is sent again later. Raise the quota in the Google Cloud console if it happens often.", 60.0),
    _E(429, "RESOURCE_EXHAUSTED", Is.THROTTLED, Do.RETRY, 914, "FCM has had more messages than it takes from us for now.",
       _WAIT, 60.0),
    _E(500, "INTERNAL", Is.TRANSIENT, Do.RETRY, 902, "FCM had an internal error.", _WAIT),
    _E(503, "UNAVAILABLE", Is.TRANSIENT, Do.RETRY, 902, "FCM is overloaded or not available at the moment.", _WAIT),
    _E(500, "UNSPECIFIED_ERROR", Is.TRANSIENT, Do.RETRY, 902, "FCM failed and does not say why.", _WAIT),
    _E(300, "", Is.BUG, Do.FAIL, 913, "The server redirects, which FCM never does.", _HOST),
    _E(400, "", Is.PAYLOAD, Do.FAIL, 913, "FCM refused the request for a reason that this gateway does not know.",
       "Look up the reason in Firebase's list of error codes, and correct the message."),
    _E(401, "", Is.CREDENTIAL, Do.RENEW, 904, "FCM does not accept our access token.",
       "The gateway asks for a new one; if that is refused too, create and upload a new service account key."),
    _E(403, "", Is.CREDENTIAL, Do.HOLD, 904, "Google refuses the service account.", _ACCOUNT),
    _E(404, "", Is.CREDENTIAL, Do.HOLD, 904, "FCM knows no such project, or nothing answers at this address.",
       "Check the project id of the service account. " + _HOST),
    _E(413, "", Is.PAYLOAD, Do.FAIL, 913, "The message is larger than FCM takes (4096 bytes).",
       "Shorten it, or set `truncate` to have the text shortened by the gateway."),
    _E(429, "", Is.THROTTLED, Do.RETRY, 914, "Google asks us to send more slowly.", _WAIT, 60.0),
    _E(500, "", Is.TRANSIENT, Do.RETRY, 902, "Google's server, or a proxy before it, has an internal error.", _WAIT),
    _E(0, "", Is.TRANSIENT, Do.RETRY, 902, "The answer cannot be understood.", _HOST),
)
# fmt: on

_BAD_TOKEN_FIELDS = frozenset({"message.token", "message.fid"})
_BAD_TOKEN_TEXTS = ("not a valid fcm registration token", "not a valid registration token", "not a valid fid")


class Spoken(msgspec.Struct, frozen=True):
    """What an FCM error body says, in whichever shape: `code` is the FcmError's, `status` google.rpc's name."""

    status: str = ""
    code: str = ""
    info: str = ""
    message: str = ""
    fields: tuple[str, ...] = ()


def _either(item: dict[str, Any], snake: str, camel: str) -> Any:
    return item.get(snake, item.get(camel))


def spoken(body: bytes) -> Spoken:
    """Read an error body; what is not JSON of either shape says nothing."""
    document = decode(body)
    # Batches and streams answer with a list of one.
    document = document[0] if isinstance(document, list) and document else document
    error = mapping(mapping(document).get("error"))
    details = listed(error.get("details"))
    named = [(text(item.get("@type")).rpartition("/")[2], item) for item in details]
    return Spoken(
        status=text(error.get("status")),
        code=next(
            (text(_either(item, "error_code", "errorCode")) for kind, item in named if kind.endswith("FcmError")), ""
        ),
        info=next((text(item.get("reason")) for kind, item in named if kind == "google.rpc.ErrorInfo"), ""),
        message=text(error.get("message")),
        fields=tuple(
            text(violation.get("field"))
            for _, item in named
            for violation in listed(_either(item, "field_violations", "fieldViolations"))
        ),
    )


def fcm(status: int, body: bytes = b"", retry_after: float | None = None) -> Outcome:
    """Classify an answer of FCM HTTP v1; `retry_after` in seconds."""
    if 200 <= status < 300:
        return FCM.fallback(200).outcome(status=status, provider_id=text(mapping(decode(body)).get("name")))
    said = spoken(body)
    reason = said.code or said.status
    entry = FCM.find(status, _line(status, said)) or FCM.find(status, reason) or FCM.fallback(status)
    return entry.outcome(
        status=status, reason=reason, retry_after=retry_after, detail=said.message[:300], body=excerpt(body)
    )


def _line(status: int, said: Spoken) -> str:
    """Name the line of the table that a well-formed answer belongs to."""
    match status, said.code:
        case 400, "INVALID_ARGUMENT" | "" if _blames_token(said):
            return BAD_TOKEN
        case 403, "" if said.info == "SERVICE_DISABLED":
            return API_DISABLED
        case 403, "" if said.status:
            return NO_PERMISSION
        case 401, "" if said.info == "ACCESS_TOKEN_EXPIRED":
            return said.info
        case _:
            return said.code or said.status


def _blames_token(said: Spoken) -> bool:
    message = said.message.lower()
    return not _BAD_TOKEN_FIELDS.isdisjoint(said.fields) or any(words in message for words in _BAD_TOKEN_TEXTS)
