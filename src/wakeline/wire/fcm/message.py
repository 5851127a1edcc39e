"""The message: neutral content as an FCM v1 Message without its target.

Rules: what is shown goes into `notification` and its Android additions, everything else is `data`, all of it text. A call
is a data message of high priority, because the app itself must ring: `data.call` is the JSON text of `id`, `caller` and
`video`. The `apns` part is for iPhones that registered through Firebase; without it they would keep a push for 30 days,
and a message of data alone would be refused at priority 10. The notification's `tag` makes a repeat replace the first.

An image, a title and a body are the same on both platforms. `thread` and `category` have no counterpart on Android; a
channel is named by an override (`android.notification.channelId`).

A Live Activity is Apple's alone: FCM hands `apns.payload` on to the activity that `apns.liveActivityToken`, an override,
names.

Source: Firebase, REST reference: Message, AndroidConfig, AndroidNotification, ApnsConfig.
"""

from __future__ import annotations

from itertools import compress
from typing import Any, NamedTuple

import msgspec

from wakeline.model.notification import Alert, Content, Priority, PushType
from wakeline.wire.content import HOLE, Texts, encode, live_activity, merge
from wakeline.wire.fcm.names import camel, texts

LONGEST_TTL = 4 * 7 * 86400
"""Seconds; Google stores a message no longer."""

APPLE_COLLAPSE_LIMIT = 64
"""Bytes; on Android a collapse key may be longer."""


class Timing(NamedTuple):
    """What is of one sending: seconds left, when it expires (epoch seconds, 0: one try), and the id that a repeat shares.

    `timestamp` (epoch seconds) orders the updates of a Live Activity.
    """

    ttl: int
    expiration: int
    collapse: str
    timestamp: int = 0


def message(content: Content, shown: Texts | None, timing: Timing, badge: int | msgspec.Raw | None) -> dict[str, Any]:
    """Return the Message for one language; `badge` is a number, HOLE for a device's own one, or None."""
    if content.fcm.raw is not None:
        return camel(content.fcm.raw)
    override = camel(content.fcm.payload) if content.fcm.payload else {}
    if content.type is PushType.LIVEACTIVITY:
        return merge({"apns": _apple_live_activity(content, shown, timing)}, override)
    alert = content.alert if content.type is not PushType.CALL else None
    whole: dict[str, Any] = {"android": _android(content, timing)}
    if data := _data(content):
        whole["data"] = data
    if alert is not None and shown is not None:
        if words := _words(shown, alert):
            whole["notification"] = words
        whole["android"]["notification"] = _android_notification(shown, alert, timing, badge)
        whole["apns"] = _apple_alert(shown, alert, timing, badge)
    elif "notification" not in override:
        whole["apns"] = {
            "headers": {
                "apns-priority": "5",
                "apns-push-type": "background",
                "apns-expiration": str(timing.expiration),
            },
            "payload": {"aps": {"content-available": 1}},
        }
    return _overridden(whole, override) if override else whole


def _overridden(whole: dict[str, Any], override: dict[str, Any]) -> dict[str, Any]:
    if "androidV2" in override:
        # The two exclude each other; what both know is carried over.
        first = whole.pop("android")
        whole["androidV2"] = {key: first[key] for key in ("ttl", "collapseKey") if key in first}
    return merge(whole, override)


def _data(content: Content) -> dict[str, str]:
    data = texts(content.data) if content.data else {}
    if content.call is not None:
        data["call"] = encode(
            {"id": content.call.id, "caller": content.call.caller, "video": content.call.video}
        ).decode()
    return data


def _android(content: Content, timing: Timing) -> dict[str, Any]:
    urgent = content.type is PushType.CALL or content.priority is Priority.HIGH
    config: dict[str, Any] = {"priority": "HIGH" if urgent else "NORMAL", "ttl": f"{timing.ttl}s"}
    if content.collapse_id:
        config["collapseKey"] = content.collapse_id
    return config


def _words(shown: Texts, alert: Alert) -> dict[str, Any]:
    # Android has no subtitle; leaving it out would lose what the caller wanted read.
    body = f"{shown.subtitle}\n{shown.body}" if shown.subtitle and shown.body else shown.subtitle or shown.body
    return _given({"title": shown.title, "body": body, "image": alert.image})


def _android_notification(
    shown: Texts, alert: Alert, timing: Timing, badge: int | msgspec.Raw | None
) -> dict[str, Any]:
    notification: dict[str, Any] = {"tag": timing.collapse}
    if alert.sound:
        notification["sound"] = alert.sound
    notification |= _keys(("titleLocKey", "titleLocArgs", "bodyLocKey", "bodyLocArgs"), shown)
    # A count of 0 means "do not change" on Android, and no number at all is said the same way.
    if badge is not None and badge != 0:
        notification["notificationCount"] = badge
    return notification


def _apple_alert(shown: Texts, alert: Alert, timing: Timing, badge: int | msgspec.Raw | None) -> dict[str, Any]:
    aps = _given({"sound": alert.sound, "category": alert.category, "thread-id": alert.thread})
    # FCM copies title and body; keys of strings inside the app it knows for Android alone.
    if keys := _keys(("title-loc-key", "title-loc-args", "loc-key", "loc-args"), shown):
        aps["alert"] = keys
    if badge is not None:
        aps["badge"] = badge
    if alert.image:
        aps["mutable-content"] = 1
    headers = {"apns-expiration": str(timing.expiration)}
    if len(timing.collapse.encode()) <= APPLE_COLLAPSE_LIMIT:
        headers["apns-collapse-id"] = timing.collapse
    return {"headers": headers, "payload": {"aps": aps}} if aps else {"headers": headers}


def _apple_live_activity(content: Content, shown: Texts | None, timing: Timing) -> dict[str, Any]:
    headers = {
        "apns-priority": "10" if content.priority is Priority.HIGH else "5",
        "apns-expiration": str(timing.expiration),
    }
    if content.liveactivity is None:
        return {"headers": headers}
    aps = live_activity(content.liveactivity, content.alert, shown, timing.timestamp)
    return {"headers": headers, "payload": {"aps": aps} | content.data}


def _keys(names: tuple[str, str, str, str], shown: Texts) -> dict[str, Any]:
    """Return the keys of strings inside the app with their arguments, under the names of one platform."""
    values = (shown.title_loc_key, shown.title_loc_args, shown.body_loc_key, shown.body_loc_args)
    return dict(compress(zip(names, values, strict=True), values)) if any(values) else {}


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value}


def badge_of(content: Content) -> int | msgspec.Raw | None:
    """Return the badge to write: a number, HOLE for a device's own, or None."""
    badge = content.alert.badge if content.alert is not None else None
    return HOLE if isinstance(badge, str) else badge
