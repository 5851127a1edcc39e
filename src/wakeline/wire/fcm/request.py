"""From a notification to request bodies: the message is written once, its target put in per device.

Source: Firebase, REST reference of projects.messages.send.
"""

from __future__ import annotations

import msgspec

from wakeline.model.ids import uuid_of
from wakeline.model.notification import Content, Notification
from wakeline.wire.content import Template, Texts, encode, fit, texts_for
from wakeline.wire.fcm.message import LONGEST_TTL, Timing, badge_of, message
from wakeline.wire.fcm.target import address

LIMIT = 4096
"""Bytes of notification and data together."""

_COUNTED = ("notification", "data")


def path_of(project: str) -> bytes:
    """Return the `:path` of a project."""
    return f"/v1/projects/{project}/messages:send".encode()


class Variant(msgspec.Struct, frozen=True):
    """One language of a message: for a device whose badge is known, and for one whose is not."""

    counted: Template
    bare: Template

    def rest(self, badge: int | None) -> bytes:
        """Return the message as JSON, without its target."""
        return self.bare.parts[0] if badge is None else self.counted.fill(badge)


class Prepared(msgspec.Struct, eq=False):
    """A notification ready for one project."""

    content: Content
    timing: Timing
    counts_badges: bool
    variants: dict[str, Variant] = msgspec.field(default_factory=dict)

    def variant(self, locale: str) -> Variant:
        """Return the message in a device's language."""
        found = self.variants.get(locale)
        if found is None:
            alert = self.content.alert
            shown = texts_for(alert, locale) if alert is not None else None
            found = self.variants[locale] = write(self.content, shown, self.timing)
        return found

    def body(self, value: str, locale: str = "", badge: int | None = None) -> bytes:
        """Return the request's body for a target; empty if `value` can be no target."""
        field, name = address(value)
        if not field:
            return b""
        target = b'{"message":{"%s":%s' % (field.encode(), encode(name))
        rest = self.variant(locale).rest(badge)
        return target + (b"," + rest[1:] if len(rest) > 2 else b"}") + b"}"


def prepare(notification: Notification, now: int) -> Prepared:
    """Return what all devices share; `now` in Unix milliseconds, for FCM counts the ttl from its own arrival."""
    content = notification.content
    left = 0 if notification.now_or_never else -(-(notification.expires - now) // 1000)
    timing = Timing(
        ttl=max(0, min(left, LONGEST_TTL)),
        expiration=0 if notification.now_or_never else -(-notification.expires // 1000),
        collapse=content.collapse_id or uuid_of(notification.key),
        timestamp=notification.due // 1000,
    )
    return Prepared(
        content=content, timing=timing, counts_badges=content.alert is not None and content.alert.badge == "+1"
    )


def write(content: Content, shown: Texts | None, timing: Timing) -> Variant:
    """Write the message for one language, shortened if that was asked for and is needed."""
    if shown is not None and content.truncate and content.fcm.raw is None:
        shown = fit(shown, lambda texts: size(content, texts, timing) - LIMIT)
    badge = badge_of(content)
    if not isinstance(badge, msgspec.Raw):
        plain = Template((encode(message(content, shown, timing, badge)),))
        return Variant(counted=plain, bare=plain)
    counted = Template.of(message(content, shown, timing, badge))
    bare = Template.of(message(content, shown, timing, None)) if counted.has_holes else counted
    return Variant(counted=counted, bare=bare)


def size(content: Content, shown: Texts | None, timing: Timing) -> int:
    """Return the bytes that count against LIMIT: notification, data and the payload for iPhones, as JSON.

    Google does not count options such as ttl and priority. What it counts exactly it does not say, so this errs upwards.
    """
    whole = message(content, shown, timing, badge_of(content))
    android = whole.get("android") or whole.get("androidV2") or {}
    counted = {key: whole[key] for key in _COUNTED if key in whole}
    counted |= {f"android.{key}": android[key] for key in _COUNTED if key in android}
    counted |= {f"apns.{key}": value for key, value in whole.get("apns", {}).items() if key == "payload"}
    return Template.of(counted).longest


def validate_only(project_topic: str) -> bytes:
    """Return a body that Google checks as if it were sent, and sends to nobody."""
    return encode({"validateOnly": True, "message": {"topic": project_topic, "data": {"check": "1"}}})
