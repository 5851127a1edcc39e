"""Whether the message as a whole is one that its push type means: judged is what would be sent, overrides laid over it.

Sources: Firebase, REST reference of ApnsConfig (data alone goes to an iPhone with priority 5) and "Get started with Live
Activity".
"""

from __future__ import annotations

from functools import partial
from typing import Any

from wakeline.model.errors import InvalidRequest
from wakeline.model.notification import Content, PushType
from wakeline.wire.content import check_activity_fields, place_of, pointer, speaks, texts_for
from wakeline.wire.fcm.message import badge_of, message
from wakeline.wire.fcm.names import camel
from wakeline.wire.fcm.overrides import LONGEST, at, spelled
from wakeline.wire.fcm.schema import Steps

_APS: Steps = ("apns", "payload", "aps")
_PRIORITY: Steps = ("apns", "headers", "apns-priority")
_TOKEN: Steps = ("apns", "liveActivityToken")
_TEXTS: tuple[Steps, ...] = (
    ("notification", "title"),
    ("notification", "body"),
    *(("android", "notification", name) for name in ("title", "body", "titleLocKey", "bodyLocKey")),
    *(
        ("androidV2", "remoteNotification", "notification", name)
        for name in ("title", "body", "titleLocKey", "bodyLocKey")
    ),
    (*_APS, "alert"),
    ("webpush", "notification"),
    # An app may make its own notification of data alone.
    ("data",),
    ("android", "data"),
    ("androidV2", "data"),
)


def check_whole(content: Content) -> None:
    """Refuse a message that would not do what its type says. Raises InvalidRequest, with the field's JSON Pointer."""
    plain = not content.fcm.payload and content.fcm.raw is None
    if plain and (content.type in (PushType.BACKGROUND, PushType.CALL) or _shows(content)):
        return
    shown = texts_for(content.alert, "") if content.alert is not None else None
    whole = message(content, shown, LONGEST, badge_of(content))
    match content.type:
        case PushType.LIVEACTIVITY:
            _check_live_activity(content, whole)
        case PushType.ALERT if not any(at(whole, place) for place in _TEXTS):
            raise InvalidRequest(
                "the alert has no text, so a phone would show nothing",
                pointer=_where(content, ("notification",)) if content.fcm.raw is not None else "/alert",
                fix="Give `alert` a title or a body, or set `type` to `background`.",
            )
        case _:
            _check_priority(content, whole)


def _shows(content: Content) -> bool:
    return content.type is PushType.ALERT and speaks(content.alert)


def _check_live_activity(content: Content, whole: dict[str, Any]) -> None:
    if not at(whole, _TOKEN):
        raise InvalidRequest(
            "FCM reaches a Live Activity by the activity's own token",
            pointer=_where(content, _TOKEN),
            fix="Give the push token of the activity as `fcm.payload.apns.live_activity_token`.",
        )
    aps = at(whole, _APS)
    check_activity_fields(aps if isinstance(aps, dict) else {}, partial(_where_of_aps, content))


def _check_priority(content: Content, whole: dict[str, Any]) -> None:
    """Refuse to wake an iPhone at once with a push that shows nothing."""
    aps = at(whole, _APS)
    silent = isinstance(aps, dict) and aps.get("content-available") and not aps.get("alert")
    if silent and "notification" not in whole and at(whole, _PRIORITY) == "10":
        raise InvalidRequest(
            "a background push to an iPhone has priority 5",
            pointer=_where(content, _PRIORITY),
            fix="Leave `apns-priority` out, or give `apns.payload.aps` an alert.",
        )


def _where(content: Content, steps: Steps) -> str:
    """Point to a place of the message in `fcm.raw`, else in `fcm.payload`, as the caller spelled it."""
    part, override = ("raw", content.fcm.raw) if content.fcm.raw is not None else ("payload", content.fcm.payload)
    return pointer("fcm", part, *spelled(override, steps))


def _where_of_aps(content: Content, key: str) -> str:
    given = at(camel(content.fcm.payload), _APS) if content.fcm.raw is None else content.fcm.raw
    if content.fcm.raw is not None or content.liveactivity is None or (isinstance(given, dict) and key in given):
        return _where(content, (*_APS, key))
    return place_of(key)
