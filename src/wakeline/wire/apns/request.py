"""From a notification to HTTP/2 requests: what all devices share is made once, the rest per device.

Rule of headers: what stays the same over many notifications (topic, push type, priority) may enter the peer's header
table; what is of one notification or one device (path, authorization, id, expiration, collapse id) never does, as Apple
advises. Ids follow from the notification and the target alone, so that a repeat after a crash is recognised.

Source: Apple, "Sending notification requests to APNs".
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from wakeline.model.ids import HEAD, uuid_of
from wakeline.model.notification import Content, Notification, PushType
from wakeline.wire.apns.check import fitted
from wakeline.wire.apns.payload import Variant
from wakeline.wire.apns.types import RULES, Rule, priority_of
from wakeline.wire.content import texts_for

Fields = tuple[tuple[bytes, bytes], ...]

_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]+").fullmatch
_SHARED = ("apns-topic", "apns-push-type", "apns-priority")
_ALERT = RULES[PushType.ALERT]


def normal_token(value: str) -> bytes:
    """Return a device token in lower case, or b"" if it is not hexadecimal. Its length is Apple's affair."""
    return value.lower().encode() if _HEXADECIMAL(value) else b""


class Prepared(msgspec.Struct, eq=False):
    """A notification ready for one route. `stable` may be indexed by HPACK, `literal` must not.

    `head` begins every `apns-id`; `timestamp` (epoch seconds) is when it may go out; `counts_badges`: each device gets its
    own number.
    """

    rule: Rule
    content: Content
    stable: Fields
    literal: Fields
    head: bytes
    timestamp: int
    counts_badges: bool
    variants: dict[str, Variant] = msgspec.field(default_factory=dict)

    @property
    def is_uniform(self) -> bool:
        """Tell whether every device gets the same body."""
        return not self.counts_badges and not (self.content.alert is not None and self.content.alert.localized)

    def variant(self, locale: str) -> Variant:
        """Return the payload in a device's language."""
        found = self.variants.get(locale)
        if found is None:
            content = self.content
            texts = texts_for(content.alert, locale) if content.alert is not None else None
            found = self.variants[locale] = fitted(content, self.rule, texts, self.timestamp)
        return found

    def body(self, locale: str = "", badge: int | None = None) -> bytes:
        """Return the payload for a device."""
        return self.variant(locale).body(badge)

    def id_of(self, target: int) -> bytes:
        """Return the `apns-id` for a target's row id: `model.ids.delivery_id` as bytes."""
        return b"%s%012x" % (self.head, target)

    @staticmethod
    def ends_of(targets: Sequence[int]) -> Sequence[bytes]:
        """Return what follows `head` in the `apns-id` of each target: what `id_of` writes, for many at once."""
        digits = struct.pack(f">{len(targets)}Q", *targets).hex().encode()
        return struct.unpack("4x12s" * len(targets), digits)

    @staticmethod
    def path(token: bytes) -> bytes:
        """Return the `:path` for a token from `normal_token`."""
        return b"/3/device/" + token


def prepare(notification: Notification, topic: str, rule: Rule) -> Prepared:
    """Return what all devices share. `topic` is the whole one (`topic_with`), `rule` that of `rule_for`."""
    content, name = notification.content, uuid_of(notification.key)
    given, alert = content.apns.headers, content.alert
    # The caller's id; else, for what is shown, one of the notification, so that a repeat replaces it.
    collapse_id = content.collapse_id or (name if rule is _ALERT else "")
    literal: Fields = (_expiring(0 if notification.now_or_never else -(-notification.expires // 1000)),)
    if collapse_id:
        literal = (*literal, (b"apns-collapse-id", collapse_id.encode()))
    if given:
        literal = _laid_over(literal, given)
        topic = given.get("apns-topic", topic)
    priority = given.get("apns-priority") or str(priority_of(rule, content.priority))
    return Prepared(
        rule=rule,
        content=content,
        stable=_shared(topic, rule.name, priority),
        literal=literal,
        head=name[:HEAD].encode(),
        timestamp=notification.due // 1000,
        counts_badges=alert is not None and alert.badge == "+1" and content.apns.raw is None,
    )


@lru_cache(maxsize=1024)
def _shared(*values: str) -> Fields:
    """Return the fields that many notifications share, in the order of _SHARED."""
    return tuple((name.encode(), value.encode()) for name, value in zip(_SHARED, values, strict=True))


@lru_cache(maxsize=1024)
def _expiring(seconds: int) -> tuple[bytes, bytes]:
    """Return when the push expires, in epoch seconds, or 0 for a ttl of 0: one try, never stored."""
    return b"apns-expiration", b"%d" % seconds


def _laid_over(literal: Fields, given: dict[str, str]) -> Fields:
    """Return the fields of one notification with the caller's own headers in their place."""
    own = {name.encode(): value.encode() for name, value in given.items() if name not in _SHARED}
    return tuple((dict(literal) | own).items())
