"""How Google's front end says no: the JSON of `google.rpc.Status`, with and without FCM's own detail, and HTML.

FCM's detail (`FcmError.errorCode`) is there when FCM itself refused; what the API front end refuses (unknown fields,
permission, access token) comes without it, and too large a message with no details at all.
Sources: Google, `fcm.v1` ErrorCode, and bodies recorded in the field.
"""

from __future__ import annotations

import msgspec

from wakeline.simulator.exchange import Answer
from wakeline.simulator.fcm_schema import Violation
from wakeline.simulator.script import ScriptedAnswer

_FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
_BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
_QUOTA_FAILURE = "type.googleapis.com/google.rpc.QuotaFailure"
_ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
_JSON = (("content-type", "application/json; charset=UTF-8"), ("vary", "Origin"))
_INVALID = "Request contains an invalid argument."

GOOGLE_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_SCRIPTED_CODE = {
    400: "INVALID_ARGUMENT",
    404: "UNREGISTERED",
    429: "QUOTA_EXCEEDED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
_FCM_CODES = (
    "UNSPECIFIED_ERROR",
    "INVALID_ARGUMENT",
    "UNREGISTERED",
    "SENDER_ID_MISMATCH",
    "QUOTA_EXCEEDED",
    "UNAVAILABLE",
    "INTERNAL",
    "THIRD_PARTY_AUTH_ERROR",
    "APNS_AUTH_ERROR",
)
_MESSAGES = {
    "UNREGISTERED": "Requested entity was not found.",
    "SENDER_ID_MISMATCH": "SenderId mismatch",
    "THIRD_PARTY_AUTH_ERROR": "Auth error from APNS or Web Push Service",
    "APNS_AUTH_ERROR": "Auth error from APNS or Web Push Service",
    "QUOTA_EXCEEDED": "Quota exceeded for the sending limit of the message target.",
    "INTERNAL": "Internal error encountered.",
    "UNAVAILABLE": "The service is currently unavailable.",
    "INVALID_ARGUMENT": _INVALID,
}
BAD_TOKEN = "The registration token is not a valid FCM registration token"  # noqa: S105 - what Google says of one


def google_error(status: int, message: str, details: list[dict[str, object]], *, reason: str = "") -> Answer:
    """A `google.rpc.Status` under HTTP `status`."""
    error: dict[str, object] = {
        "code": status,
        "message": message,
        "status": GOOGLE_STATUS.get(status, "UNKNOWN"),
    }
    if details:
        error["details"] = details
    body = msgspec.json.format(msgspec.json.encode({"error": error}), indent=2)
    return Answer(status, body, headers=_JSON, reason=reason or str(error["status"]))


def malformed(found: list[Violation]) -> Answer:
    """The API front end could not read the message: no detail of FCM's."""
    message = "\n".join(violation.description for violation in found)
    return google_error(400, message, [_bad_request(found)])


def invalid(violation: Violation) -> Answer:
    """FCM read the message and does not take it."""
    details = [_bad_request([violation]), _fcm_error("INVALID_ARGUMENT")]
    return google_error(400, violation.description, details)


def too_large() -> Answer:
    """The message is too large: no details whatever."""
    return google_error(400, _INVALID, [])


def unauthenticated(reason: str) -> Answer:
    """The access token is missing, unknown or old; `reason` as in google.rpc.ErrorInfo."""
    message = (
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
        "authentication credential."
    )
    answer = google_error(401, message, [_error_info(reason)], reason=reason)
    challenge = ("www-authenticate", 'Bearer realm="https://accounts.google.com/", error="invalid_token"')
    return msgspec.structs.replace(answer, headers=(*answer.headers, challenge))


def permission_denied(project: str) -> Answer:
    """The account may not send for the project: no detail of FCM's."""
    resource = f"//cloudresourcemanager.googleapis.com/projects/{project}"
    message = f"Permission 'cloudmessaging.messages.create' denied on resource '{resource}' (or it may not exist)."
    return google_error(403, message, [_error_info("IAM_PERMISSION_DENIED")])


def html_page(status: int) -> Answer:
    """What comes when nothing behind the front end answers, or nothing is at that path."""
    body = f"<!DOCTYPE html>\n<html lang=en>\n<title>Error {status}</title>\n<p><b>{status}.</b> That's an error.\n"
    return Answer(status, body.encode(), headers=(("content-type", "text/html; charset=UTF-8"),))


def scripted_error(scripted: ScriptedAnswer) -> Answer:
    """The form that Google gives a scripted status and error code."""
    status, code = scripted.status, scripted.cause or _SCRIPTED_CODE.get(scripted.status, "")
    if scripted.html or (status not in GOOGLE_STATUS and not code):
        return html_page(status)
    if code == "ACCESS_TOKEN_EXPIRED":
        return unauthenticated(code)
    if code not in _FCM_CODES:
        return google_error(status, _MESSAGES.get(code, code or GOOGLE_STATUS[status]), [], reason=code)
    return google_error(status, _MESSAGES.get(code, code), _details(code, scripted.field), reason=code)


def _details(code: str, field: str | None) -> list[dict[str, object]]:
    """A bad token is FCM's finding; another field is the front end's; an empty one has no details."""
    match code, field:
        case "INVALID_ARGUMENT", None | "message.token" | "message.fid":
            return [_fcm_error(code), _bad_request([Violation(field or "message.token", BAD_TOKEN)])]
        case "INVALID_ARGUMENT", "":
            return []
        case "INVALID_ARGUMENT", str(name):
            return [_bad_request([Violation(name, f"Invalid value at '{name}'")])]
        case "QUOTA_EXCEEDED", _:
            violation = {"subject": "device", "description": "Message rate exceeded"}
            return [_fcm_error(code), {"@type": _QUOTA_FAILURE, "violations": [violation]}]
        case _:
            return [_fcm_error(code)]


def _fcm_error(code: str) -> dict[str, object]:
    return {"@type": _FCM_ERROR, "errorCode": code}


def _bad_request(found: list[Violation]) -> dict[str, object]:
    return {"@type": _BAD_REQUEST, "fieldViolations": [msgspec.structs.asdict(one) for one in found]}


def _error_info(reason: str) -> dict[str, object]:
    return {"@type": _ERROR_INFO, "reason": reason, "domain": "googleapis.com"}
