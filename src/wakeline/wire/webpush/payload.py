"""What a service worker reads: neutral content as one JSON object, the same for every browser.

    type    "alert", "call", "background"       id      of the notification
    tag     what a later one of the same name replaces: the collapse id, else the id. Give it to `showNotification`.
    title, body, image, sound, category, thread      as the caller wrote them, in the device's language
    badge   the number for `navigator.setAppBadge`
    title_loc_key, title_loc_args, body_loc_key, body_loc_args      names of strings inside the web app
    call    {"id", "caller", "video"}           data    the caller's own, as it is

`type`, `id` and `tag` are always there, everything else only if it is set. A browser has no subtitle: it is the body's first
line. Overrides (`webpush.payload`) are merged last and may add what the app wants (`icon`, `actions`); `webpush.raw` replaces
all, for example by Apple's declarative form.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from wakeline.model.notification import Content
from wakeline.wire.content import HOLE, Texts, merge


class Naming(NamedTuple):
    """What is of one notification: its id, and the tag that a repeat shares."""

    id: str
    tag: str


def payload(
    content: Content, shown: Texts | None, naming: Naming, badge: int | msgspec.Raw | None = None
) -> dict[str, Any]:
    """Return the object for one language; `badge` is a number, HOLE for a device's own one, or None."""
    if content.webpush.raw is not None:
        return content.webpush.raw
    whole: dict[str, Any] = {"type": content.type.value, "id": naming.id, "tag": naming.tag}
    if shown is not None:
        whole |= _given(_words(shown))
    if (alert := content.alert) is not None:
        decoration = {"image": alert.image, "sound": alert.sound, "category": alert.category, "thread": alert.thread}
        whole |= _given(decoration)
    if badge is not None:
        whole["badge"] = badge
    if (call := content.call) is not None:
        whole["call"] = {"id": call.id, "caller": call.caller, "video": call.video}
    if content.data:
        whole["data"] = content.data
    return merge(whole, content.webpush.payload)


def badge_of(content: Content) -> int | msgspec.Raw | None:
    """Return the badge to write: a number, HOLE for a device's own, or None."""
    badge = content.alert.badge if content.alert is not None else None
    return HOLE if isinstance(badge, str) else badge


def _words(shown: Texts) -> dict[str, Any]:
    return {
        "title": shown.title,
        "body": "\n".join(part for part in (shown.subtitle, shown.body) if part),
        "title_loc_key": shown.title_loc_key,
        "title_loc_args": shown.title_loc_args,
        "body_loc_key": shown.body_loc_key,
        "body_loc_args": shown.body_loc_args,
    }


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value}
