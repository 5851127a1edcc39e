"""An entry of a portal as a notification to one raw token: its payload is passed on as it is.

Rule: the portal has said all there is to say, so its document goes out as an override that replaces ours. What Apple would
punish or ignore is the exception: an alert without a word is left out, and what then shows nothing is a background push.
"""

from __future__ import annotations

import math
from typing import Any

from wakeline.model.device import TargetKind
from wakeline.model.notification import Audience, Call, NotificationRequest, Override, Priority, PushType, RawTarget
from wakeline.model.outcome import Outcome
from wakeline.pipeline.terms import MAX_TTL
from wakeline.wire.bitrix_broker import Entry, Service
from wakeline.wire.outcomes import Refusal, ours

_SEEN_OR_HEARD = ("alert", "sound", "badge")
_WORDS = ("title", "subtitle", "body", "title-loc-key", "subtitle-loc-key", "loc-key")
_TITLES = ("contentTitle", "contentText")

KINDS = {
    Service.APNS: TargetKind.APNS,
    Service.APNS_VOIP: TargetKind.APNS_VOIP,
    Service.FCM: TargetKind.FCM,
}
"""The kind of token that an entry names; Huawei's are none of ours."""


def request_of(entry: Entry, token: str, topic: str, now: int) -> NotificationRequest | Outcome:
    """Return the notification, or why there is none. `topic`: Apple's bundle id (empty: the credential's own); `now` in Unix ms."""
    ttl = _ttl(entry, now)
    if isinstance(ttl, Outcome):
        return ttl
    match entry.service:
        case Service.HUAWEI:
            return ours(Refusal.NO_CREDENTIAL, detail="Huawei's push service is not served by this gateway.")
        case Service.FCM:
            return _google(entry.payload, _to(RawTarget(kind=TargetKind.FCM, value=token)), ttl)
        case Service.APNS | Service.APNS_VOIP:
            kind = KINDS[entry.service]
            to = _to(RawTarget(kind=kind, value=token, environment=entry.environment.value, topic=topic))
            if entry.service is Service.APNS_VOIP:
                return _call(entry, to, ttl)
            return _apple(entry.payload, to, ttl)


def _to(target: RawTarget) -> Audience:
    return Audience(targets=(target,))


def _ttl(entry: Entry, now: int) -> int | Outcome | None:
    """Return the lifetime in seconds: an expiry of 0 means one try (Apple: "apns-expiration")."""
    if entry.expires is None:
        return None if entry.ttl is None else min(entry.ttl, MAX_TTL)
    if entry.expires == 0:
        return 0
    # Rounded so that what Apple is told is the portal's own second.
    left = entry.expires - math.ceil(now / 1000)
    return min(left, MAX_TTL) if left > 0 else ours(Refusal.EXPIRED)


def _apple(payload: dict[str, Any], to: Audience, ttl: int | None) -> NotificationRequest:
    aps = _aps(payload)
    shows = any(key in aps for key in _SEEN_OR_HEARD)
    if not shows:
        aps["content-available"] = 1
    return NotificationRequest(
        to=to,
        type=PushType.ALERT if shows else PushType.BACKGROUND,
        ttl=ttl,
        apns=Override(raw=payload | {"aps": aps}),
    )


def _aps(payload: dict[str, Any]) -> dict[str, Any]:
    """Return Apple's own dictionary without what is null, and without an alert that has no text."""
    given = payload.get("aps")
    aps = {key: value for key, value in given.items() if value is not None} if isinstance(given, dict) else {}
    alert = aps.get("alert")
    spoken = any(alert.get(key) for key in _WORDS) if isinstance(alert, dict) else bool(alert)
    if not spoken:
        aps.pop("alert", None)
    return aps


def _call(entry: Entry, to: Audience, ttl: int | None) -> NotificationRequest:
    """Return a push to a VoIP token: whatever comes there has to ring."""
    payload = entry.payload if isinstance(entry.payload.get("aps"), dict) else entry.payload | {"aps": {}}
    return NotificationRequest(
        to=to, type=PushType.CALL, call=Call(id=f"portal-{entry.mark}"), ttl=ttl, apns=Override(raw=payload)
    )


def _google(message: dict[str, Any], to: Audience, ttl: int | None) -> NotificationRequest:
    data, android = message.get("data"), message.get("android")
    urgent = isinstance(android, dict) and str(android.get("priority", "")).lower() == "high"
    worded = isinstance(data, dict) and any(data.get(key) for key in _TITLES)
    shows = bool(message.get("notification")) or worded or (urgent and bool(data))
    return NotificationRequest(
        to=to,
        type=PushType.ALERT if shows else PushType.BACKGROUND,
        priority=Priority.HIGH if urgent or shows else Priority.NORMAL,
        ttl=ttl,
        fcm=Override(raw=message),
    )
