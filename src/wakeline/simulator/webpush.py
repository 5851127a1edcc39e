"""The fake Web Push service: `POST /wp/<subscription>` (RFC 8030), as FCM serves it to browsers.

Checked in this order: method, VAPID (RFC 8292), headers, size, encryption, script. A subscription made by
`POST /subscriptions` is also the browser: what it can decrypt the journal shows as the body. Any other id is live too.

A script can have it speak as other push services do: `reason` is Apple's JSON, `error` is Google's sentence, and `error` of the
form `errno 106` is Mozilla's JSON.
"""

from __future__ import annotations

import binascii
import http
import re
import secrets

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from wakeline.simulator.exchange import JSON_TYPE, Answer, Request
from wakeline.simulator.jws import read_jws, unpadded
from wakeline.simulator.script import ScriptedAnswer, performed
from wakeline.simulator.state import State
from wakeline.simulator.subscriptions import Subscription

PROVIDER = "webpush"
PATH = "/wp/"
_BODY_LIMIT = 4096
_URGENCIES = ("very-low", "low", "normal", "high")
_TOPIC = re.compile(r"[A-Za-z0-9\-_]{1,32}")
_VAPID = re.compile(r"vapid\s+(?:t=([^,\s]+)\s*,\s*k=([^,\s]+)|k=([^,\s]+)\s*,\s*t=([^,\s]+))", re.IGNORECASE)
_VAPID_LIFETIME_S = 24 * 3600
_CLOCK_SKEW_S = 60
_LONGEST_KEPT_S = 4 * 7 * 86_400
_ERRNO = re.compile(r"errno (\d{1,4})")
_TEXT = ("content-type", "text/plain; charset=utf-8")
_ANOTHER_KEY = "the VAPID credentials do not correspond to the credentials used to create the subscription\n"


def message_answer(request: Request, state: State) -> Answer:
    """The answer to one request under `/wp/`."""
    identity = request.path.partition("?")[0].removeprefix(PATH)
    subscription = state.subscriptions.get(identity)
    answer = _fault(request, subscription, state)
    if answer is None:
        scripted = state.scripts.next(PROVIDER, identity)
        answer = _accepted(request, identity) if scripted is None else _played(request, identity, scripted)
    plaintext = None if subscription is None else subscription.plaintext(request.body)
    return msgspec.structs.replace(
        answer,
        provider=PROVIDER,
        target=identity,
        collapse=request.headers.get("topic", ""),
        plaintext=plaintext,
    )


def _fault(request: Request, subscription: Subscription | None, state: State) -> Answer | None:
    if request.method != "POST":
        return _refused(405, "only POST is taken", ("allow", "POST"))
    return _vapid_fault(request, subscription, state) or _message_fault(request, subscription)


def _message_fault(request: Request, subscription: Subscription | None) -> Answer | None:
    headers, body = request.headers, request.body
    if not re.fullmatch(r"[0-9]{1,18}", headers.get("ttl", "")):
        return _refused(400, "a TTL header with seconds is mandatory")
    if headers.get("urgency", "normal") not in _URGENCIES:
        return _refused(400, f"urgency is one of {', '.join(_URGENCIES)}")
    if not _TOPIC.fullmatch(headers.get("topic", "-")):
        return _refused(400, "topic is at most 32 characters of base64url")
    if len(body) > _BODY_LIMIT:
        return _refused(413, f"a message has at most {_BODY_LIMIT} bytes")
    if body and headers.get("content-encoding") != "aes128gcm":
        return _refused(400, "the body is not encrypted with aes128gcm")
    if body and subscription is not None and subscription.plaintext(body) is None:
        return _refused(400, "the body is not encrypted for this subscription")
    return None


def _vapid_fault(request: Request, subscription: Subscription | None, state: State) -> Answer | None:
    wanted = "" if subscription is None else subscription.vapid_public_key
    authorization = request.headers.get("authorization")
    if authorization is None:
        if not wanted:
            return None
        return _refused(401, "the subscription was made for a VAPID key", ("www-authenticate", "vapid"))
    found = _VAPID.fullmatch(authorization)
    token, key = (found[1] or found[4], found[2] or found[3]) if found else ("", "")
    why = _token_fault(token, key, request, state.clock())
    if why:
        return _refused(403, why)
    return _refused(403, _ANOTHER_KEY) if wanted and key.rstrip("=") != wanted else None


def _token_fault(token: str, key: str, request: Request, now: float) -> str:
    jws, public_key = read_jws(token), _public_key(key)
    if jws is None or public_key is None or jws.header.get("alg") != "ES256":
        return "the authorization is no vapid with a token t and a key k"
    if len(jws.signature) != 64 or not jws.verified_by(public_key):
        return "the key k did not sign the token t"
    authority = request.headers.get(":authority") or request.headers.get("host", "")
    if jws.claims.get("aud") != f"https://{authority}":
        return f"aud is not https://{authority}"
    expires_at = jws.claims.get("exp")
    if not isinstance(expires_at, int | float) or not now < expires_at <= now + _VAPID_LIFETIME_S + _CLOCK_SKEW_S:
        return "exp is not within the next 24 hours"
    if not str(jws.claims.get("sub", "mailto:")).startswith(("mailto:", "https:")):
        return "sub is neither mailto: nor https:"
    return ""


def _public_key(text: str) -> ec.EllipticCurvePublicKey | None:
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), unpadded(text.rstrip("=")))
    except (ValueError, binascii.Error):
        return None


def _played(request: Request, identity: str, scripted: ScriptedAnswer) -> Answer:
    if scripted.status in (200, 201):
        return performed(_accepted(request, identity), scripted)
    return performed(_spoken(scripted), scripted)


def _spoken(scripted: ScriptedAnswer) -> Answer:
    status, cause = scripted.status, scripted.cause
    if scripted.reason:
        return _document(status, cause, {"reason": cause})
    if found := _ERRNO.fullmatch(cause):
        error = http.HTTPStatus(status).phrase if status in set(http.HTTPStatus) else "Unknown"
        return _document(status, cause, {"code": status, "errno": int(found[1]), "error": error, "message": "scripted"})
    return _refused(status, cause or f"scripted {status}")


def _accepted(request: Request, identity: str) -> Answer:
    """Each message is a resource of its own (RFC 8030 section 5); a ttl is shortened to what is kept at most (5.2)."""
    authority = request.headers.get(":authority") or request.headers.get("host", "")
    location = f"https://{authority}{PATH}{identity}/{secrets.token_urlsafe(12)}"
    kept = min(int(request.headers["ttl"]), _LONGEST_KEPT_S)
    return Answer(201, headers=(("location", location), ("ttl", str(kept))))


def _document(status: int, cause: str, document: dict[str, object]) -> Answer:
    return Answer(status, msgspec.json.encode(document), headers=(JSON_TYPE,), reason=cause)


def _refused(status: int, why: str, *more: tuple[str, str]) -> Answer:
    return Answer(status, why.encode(), headers=(_TEXT, *more), reason=why.strip())
