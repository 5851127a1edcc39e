"""What APNs says, and what it means. The length is that of Apple's list.

Sources: Apple, "Handling notification responses from APNs" (statuses and reason strings) and "Communicating with APNs"
(GOAWAY uses the same strings). Both spellings of the key-environment reason occur on the wire.

Three judgements are ours. BadDeviceToken proves nothing, because a token of the other environment gets the same answer:
it is doubt. A topic mismatch blames the pair of token and credential, since a wrongly configured topic fails every token.
A 429 for one device delays that device alone.
"""

from __future__ import annotations

from functools import partial

from wakeline.model.outcome import Action as Do
from wakeline.model.outcome import Outcome
from wakeline.model.outcome import OutcomeClass as Is
from wakeline.wire.outcomes.entry import Entry, Source, Table

_E = partial(Entry, Source.APNS)

_DEFECT = "This is a defect of the gateway, not of your request; report it with the notification's id."
_UPLOAD = "Upload a valid .p8 key with its key id and team id for this app; the held pushes then go out by themselves."
_TOPIC = "Compare the app's bundle id, the topic of the target and the topics of the credential; they must be the same."
_TOKEN = "Nothing: the app registers its new token when it is opened again."  # noqa: S105 - advice, no password
_WAIT = "Nothing: the gateway sends again by itself, and gives up when the ttl of the push ends."

# fmt: off
APNS = Table.of(
    _E(200, "", Is.ACCEPTED, Do.DONE, 0, "Apple accepted the push.",
       "If the phone shows nothing, look at the device: notification permission, Focus, Low Power Mode, force-quit app."),
    # 400: the request
    _E(400, "BadCollapseId", Is.PAYLOAD, Do.FAIL, 913, "The collapse id is longer than the 64 bytes that APNs takes.",
       "Use a shorter `collapse_id`."),
    _E(400, "BadExpirationDate", Is.PAYLOAD, Do.FAIL, 913, "The `apns-expiration` header is no time that APNs can read.",
       "Use `ttl` instead of an `apns-expiration` header, or give it in seconds since 1970."),
    _E(400, "BadMessageId", Is.BUG, Do.FAIL, 913, "APNs does not take the `apns-id` of the push as a UUID.", _DEFECT),
    _E(400, "BadPriority", Is.PAYLOAD, Do.FAIL, 913, "The `apns-priority` does not fit the push type.",
       "Leave the header out, or use 10, 5 or 1; background pushes take only 5."),
    _E(400, "DuplicateHeaders", Is.BUG, Do.FAIL, 913, "A request header was sent twice.", _DEFECT),
    _E(400, "InvalidPushType", Is.PAYLOAD, Do.FAIL, 913, "APNs does not know the `apns-push-type` of the push.",
       "Set the `type` of the notification and leave the `apns-push-type` header out."),
    _E(400, "BadRequestPayload", Is.PAYLOAD, Do.FAIL, 913, "Apple cannot read the payload as one of this push type.",
       "Compare `apns.payload` or `apns.raw` with Apple's description; `aps` must be an object."),
    _E(400, "PayloadEmpty", Is.PAYLOAD, Do.FAIL, 913, "The push has no payload.", "Give `alert` or `data`, or a `raw` payload."),
    _E(400, "BadDeviceToken", Is.TOKEN_DOUBTFUL, Do.OTHER_ENVIRONMENT, 911,
       "Apple does not know this token in this environment: it belongs to the other one (sandbox or production), or is invalid.",
       "A development build registers `sandbox`, TestFlight and App Store builds `production`. The gateway tries the other "
       "environment once, and quarantines the token if that fails too."),
    _E(400, "DeviceTokenNotForTopic", Is.MISMATCH, Do.FAIL, 912, "The token belongs to another app than the topic names.", _TOPIC),
    _E(400, "BadTopic", Is.MISMATCH, Do.FAIL, 912, "Apple does not take the topic of the push as a valid one.", _TOPIC),
    _E(400, "MissingTopic", Is.MISMATCH, Do.FAIL, 912,
       "The push names no topic, and the credential is good for several, so Apple cannot choose one.",
       "Register the target with its `topic`, the bundle id of the app."),
    _E(400, "TopicDisallowed", Is.MISMATCH, Do.FAIL, 912, "The credential is not allowed to push to this topic.", _TOPIC),
    _E(400, "MissingDeviceToken", Is.BUG, Do.FAIL, 911, "The push was sent without a device token.",
       "Delete the target and have the app register again; report it if it happens again."),
    _E(400, "IdleTimeout", Is.TRANSIENT, Do.REPLAY, 902, "Apple closed an idle connection before it read the push.", _WAIT),
    _E(400, "", Is.PAYLOAD, Do.FAIL, 913, "Apple refused the request for a reason that this gateway does not know.",
       "Look up the reason in Apple's documentation, and correct the payload or the headers."),
    # 403: the credential
    _E(403, "BadCertificate", Is.CREDENTIAL, Do.HOLD, 904, "Apple does not accept the certificate of this app.",
       "Create a new certificate or, better, a .p8 key, and upload it."),
    _E(403, "BadCertificateEnvironment", Is.CREDENTIAL, Do.HOLD, 905,
       "The certificate is for the other environment: a development certificate cannot push to production.",
       "Upload a production certificate or, better, a .p8 key, which covers both environments."),
    _E(403, "ExpiredProviderToken", Is.CREDENTIAL, Do.RENEW, 904, "Apple took our signed token for older than an hour.",
       "Set the clock of this machine (NTP): the gateway renews the token in time if the clock is right."),
    _E(403, "Forbidden", Is.CREDENTIAL, Do.HOLD, 904, "Apple does not allow this credential to push here.",
       "Check in the developer account that the key or certificate is active and covers this app, then upload it again."),
    _E(403, "InvalidProviderToken", Is.CREDENTIAL, Do.HOLD, 904,
       "Apple cannot verify our signature: the key is revoked or was made without the APNs service, its key id or team id is "
       "wrong, or this machine's clock is ahead.",
       f"{_UPLOAD} In the developer account the key has to show Apple Push Notifications service (APNs). If it does, set the "
       "clock of this machine (NTP)."),
    _E(403, "MissingProviderToken", Is.CREDENTIAL, Do.HOLD, 904,
       "Apple got neither a client certificate nor a signed token.", _UPLOAD),
    _E(403, "UnrelatedKeyIdInToken", Is.CREDENTIAL, Do.RECONNECT, 904,
       "The key does not belong to the team for which this connection was opened.",
       "The gateway opens a connection for this key alone; if that fails too, check which topics the key is scoped to."),
    _E(403, "BadEnvironmentKeyIdInToken", Is.CREDENTIAL, Do.HOLD, 905, "The key is scoped to the other environment.",
       "Upload a key for this environment, or one that is not scoped to an environment."),
    _E(403, "BadEnvironmentKeyInToken", Is.CREDENTIAL, Do.HOLD, 905, "The key is scoped to the other environment.",
       "Upload a key for this environment, or one that is not scoped to an environment."),
    _E(403, "TopicMismatch", Is.MISMATCH, Do.FAIL, 912, "The credential is not for the topic of the push.", _TOPIC),
    _E(403, "", Is.CREDENTIAL, Do.HOLD, 904, "Apple refuses the credential for a reason that this gateway does not know.",
       _UPLOAD),
    # 404, 405: the address
    _E(404, "BadPath", Is.BUG, Do.FAIL, 913, "Apple does not know the path of the request.", _DEFECT),
    _E(404, "", Is.BUG, Do.FAIL, 913, "Nothing answers at the path of the request.",
       "Check that [providers.apns] names Apple's host and not another server."),
    _E(405, "MethodNotAllowed", Is.BUG, Do.FAIL, 913, "Apple did not take the request's method.", _DEFECT),
    # 410: the token
    _E(410, "Unregistered", Is.TOKEN_DEAD, Do.RETIRE, 911,
       "The token is not active any more: the app was removed, or the phone gave it another token.", _TOKEN),
    _E(410, "ExpiredToken", Is.TOKEN_DEAD, Do.RETIRE, 911, "The token has expired.", _TOKEN),
    _E(410, "", Is.TOKEN_DEAD, Do.RETIRE, 911, "Apple says that the token is gone.", _TOKEN),
    _E(413, "PayloadTooLarge", Is.PAYLOAD, Do.FAIL, 913,
       "The payload is larger than APNs takes (4096 bytes, 5120 for calls).",
       "Shorten it, or set `truncate` to have the text shortened by the gateway."),
    # 429: pace
    _E(429, "TooManyProviderTokenUpdates", Is.CREDENTIAL, Do.HOLD, 904,
       "Apple saw signed tokens change more often than every 20 minutes on one connection.",
       "Wait 20 minutes. If it returns, two servers with wrong clocks share this key: set their clocks (NTP).", 1200.0),
    _E(429, "TooManyRequests", Is.THROTTLED, Do.RETRY, 914, "Too many pushes went to this device in a short time.",
       "Nothing for this push: it is sent again later. Send less often to one device, or use a `collapse_id`."),
    _E(429, "", Is.THROTTLED, Do.RETRY, 914, "Apple asks us to send more slowly.", _WAIT),
    # 5xx: Apple
    _E(500, "InternalServerError", Is.TRANSIENT, Do.RETRY, 902, "Apple had an internal error.", _WAIT),
    _E(500, "", Is.TRANSIENT, Do.RETRY, 902, "Apple's server, or a proxy before it, has an internal error.", _WAIT),
    _E(503, "ServiceUnavailable", Is.TRANSIENT, Do.RETRY, 902, "Apple's service is not available at the moment.", _WAIT),
    _E(503, "Shutdown", Is.TRANSIENT, Do.REPLAY, 902, "Apple's server is shutting down and did not take the push.",
       "Nothing: the push is sent at once over another connection."),
    # whatever else
    _E(300, "", Is.BUG, Do.FAIL, 913, "The server redirects, which Apple's never does.",
       "Check that [providers.apns] names Apple's host and not another server."),
    _E(0, "", Is.TRANSIENT, Do.RETRY, 902, "The answer cannot be understood.",
       "Check that [providers.apns] names Apple's host and that no proxy answers in its place."),
)
# fmt: on


def apns(
    status: int,
    reason: str,
    *,
    since: int | None = None,
    retry_after: float | None = None,
    provider_id: str = "",
    body: str = "",
) -> Outcome:
    """Classify an answer of APNs: its status and its `reason` string (empty: none could be read).

    `since` is a 410's timestamp in Unix milliseconds, `retry_after` in seconds. An unknown reason is kept as received
    and judged by its status. `body` is kept as it is.
    """
    entry = APNS.fallback(status) if status == 200 else APNS.find(status, reason) or APNS.fallback(status)
    return entry.outcome(
        status=status, reason=reason, since=since, retry_after=retry_after, provider_id=provider_id, body=body
    )
