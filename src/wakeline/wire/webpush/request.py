"""From a notification to requests: what all browsers share is made once; each body is encrypted for one of them.

    ttl      seconds left, at most four weeks, which is as long as Google keeps a message
    urgency  of type and priority (RFC 8030 section 5.3); a background push is one step less urgent than an alert
    topic    a later message replaces an undelivered one of the same topic: the collapse id, else the notification's id, so
             that a repeat after a crash is not delivered twice

Rule of topics: the alphabet of base64url, at most 32 characters (RFC 8030 section 5.4). Apple decodes it, and so refuses a
length that base64 cannot have. A collapse id that cannot be a topic is hashed into one.

The encryption (RFC 8291) is http-ece's, with the salt and the private key given, so that it is a pure function. A body costs
0.13 ms, half of which is the one multiplication on the curve that no code avoids; written out by hand it would be 0.11 ms.
"""

from __future__ import annotations

import hashlib
import re

import http_ece
import msgspec

from wakeline.model.ids import uuid_of
from wakeline.model.notification import Content, Notification, Priority, PushType
from wakeline.wire.content import Template, Texts, fit, texts_for
from wakeline.wire.webpush.keys import encoded, private_key
from wakeline.wire.webpush.payload import Naming, badge_of, payload
from wakeline.wire.webpush.subscription import Subscription

Fields = tuple[tuple[bytes, bytes], ...]

BODY_LIMIT = 4096
"""Bytes of body that every push service takes (RFC 8030 section 7.2)."""
LIMIT = 3993
"""Bytes of plaintext: the body without its header (86), the delimiter (1) and the tag (16), RFC 8291 section 4."""
LONGEST_TTL = 4 * 7 * 86_400
"""Seconds; Google keeps a message no longer, and what a push service would shorten is better said by us."""
SALT_BYTES = 16
ENTROPY_BYTES = SALT_BYTES + 32
"""What one body takes: the salt and the seed of the sender's key. Never the same twice."""

_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,32}").fullmatch
OF_A_BODY = frozenset({"content-encoding", "content-type"})
"""Header fields of a push that is not empty."""
_SENT_AS: Fields = ((b"content-encoding", b"aes128gcm"), (b"content-type", b"application/octet-stream"))
_URGENCY = {Priority.HIGH: "high", Priority.NORMAL: "normal", Priority.LOW: "low"}
_BACKGROUND_URGENCY = {Priority.HIGH: "normal", Priority.NORMAL: "low", Priority.LOW: "very-low"}


class Variant(msgspec.Struct, frozen=True):
    """One language of a message: for a device whose badge is known, and for one whose is not."""

    counted: Template
    bare: Template

    def plaintext(self, badge: int | None) -> bytes:
        """Return the JSON that a browser reads."""
        return self.bare.parts[0] if badge is None else self.counted.fill(badge)


class Prepared(msgspec.Struct, eq=False):
    """A notification ready for every browser. `counts_badges`: each device gets its own number."""

    content: Content
    naming: Naming
    fields: Fields
    counts_badges: bool
    variants: dict[str, Variant] = msgspec.field(default_factory=dict)

    def plaintext(self, locale: str = "", badge: int | None = None) -> bytes:
        """Return what a device's service worker reads."""
        found = self.variants.get(locale)
        if found is None:
            alert = self.content.alert
            shown = texts_for(alert, locale) if alert is not None else None
            found = self.variants[locale] = write(self.content, shown, self.naming)
        return found.plaintext(badge)

    def body(self, subscription: Subscription, locale: str, entropy: bytes, badge: int | None = None) -> bytes:
        """Return the encrypted body for a device; `entropy` is ENTROPY_BYTES of a secret source, used for this body alone.

        For one without keys it is empty.
        """
        if subscription.bare:
            return b""
        return encrypted(self.plaintext(locale, badge), subscription, entropy)

    def headers(self, authorization: bytes = b"") -> Fields:
        """Return the request's own header fields; `authorization` as `vapid` makes it, or empty for none."""
        return (*self.fields, (b"authorization", authorization)) if authorization else self.fields


def encrypted(plaintext: bytes, subscription: Subscription, entropy: bytes) -> bytes:
    """Return `plaintext` encrypted for a subscription, as one record (RFC 8291 section 4)."""
    if len(entropy) != ENTROPY_BYTES:
        raise ValueError(f"a body takes {ENTROPY_BYTES} bytes of entropy")
    body: bytes = http_ece.encrypt(
        plaintext,
        salt=entropy[:SALT_BYTES],
        private_key=private_key(entropy[SALT_BYTES:]),
        dh=subscription.p256dh,
        auth_secret=subscription.auth,
        rs=BODY_LIMIT,
        version="aes128gcm",
    )
    return body


def prepare(notification: Notification, now: int) -> Prepared:
    """Return what all devices share; `now` in Unix milliseconds, for a push service counts the ttl from its own arrival."""
    content, name = notification.content, uuid_of(notification.key)
    left = 0 if notification.now_or_never else -(-(notification.expires - now) // 1000)
    headers = {
        "ttl": str(max(0, min(left, LONGEST_TTL))),
        "urgency": urgency_of(content),
        "topic": topic_of(content.collapse_id or name.replace("-", "")),
    }
    headers |= content.webpush.headers
    return Prepared(
        content=content,
        naming=Naming(id=name, tag=content.collapse_id or name),
        fields=(*((name.encode(), value.encode()) for name, value in headers.items()), *_SENT_AS),
        counts_badges=content.alert is not None and content.alert.badge == "+1" and content.webpush.raw is None,
    )


def urgency_of(content: Content) -> str:
    """Return how urgent a push is: a call rings on a low battery too, a background push waits for power or Wi-Fi."""
    if content.type is PushType.CALL:
        return "high"
    return (_BACKGROUND_URGENCY if content.type is PushType.BACKGROUND else _URGENCY)[content.priority]


def is_topic(text: str) -> bool:
    """Tell whether every push service takes this text as a topic."""
    return bool(_TOPIC(text)) and len(text) % 4 != 1


def topic_of(collapse_id: str) -> str:
    """Return the topic for a collapse id: itself where it can be one, else its hash."""
    if is_topic(collapse_id):
        return collapse_id
    return encoded(hashlib.sha256(collapse_id.encode()).digest()[:24])


def write(content: Content, shown: Texts | None, naming: Naming) -> Variant:
    """Write the message for one language, shortened if that was asked for and is needed."""
    if shown is not None and content.truncate and content.webpush.raw is None:
        shown = fit(shown, lambda texts: size(content, texts, naming) - LIMIT)
    counted = Template.of(payload(content, shown, naming, badge_of(content)))
    bare = Template.of(payload(content, shown, naming)) if counted.has_holes else counted
    return Variant(counted=counted, bare=bare)


def size(content: Content, shown: Texts | None, naming: Naming) -> int:
    """Return the bytes of plaintext, with the longest badge."""
    return Template.of(payload(content, shown, naming, badge_of(content))).longest
