"""The payload: neutral content as the dictionary that an iPhone understands.

Rules: what is ours to say goes into `aps`; the caller's `data` goes beside it, key by key. A call's fields are the object
`call` (`id`, `caller`, `video`) beside `aps`. An image is the key `image` beside `aps`; a key of that name in `data` wins. With an
image, or with what a receipt needs, goes `mutable-content`: the app's notification service extension then runs, which loads the
image, or says that the phone has the push. Overrides are merged last; `raw` replaces all.

Source: Apple, "Generating a remote notification", tables of the `aps` and `alert` keys.
"""

from __future__ import annotations

from itertools import compress
from typing import Any

import msgspec

from wakeline.model.notification import Alert, Call, Content, PushType
from wakeline.wire import receipt_token
from wakeline.wire.apns.types import RULES, Rule
from wakeline.wire.content import HOLE, Template, Texts, encode, live_activity, merge

_NO_TEXTS = Texts()
_WORDS = ("title", "subtitle", "body", "title-loc-key", "title-loc-args", "loc-key", "loc-args")
"""The keys of `aps.alert`, in the order of the fields of `Texts`."""


def payload(
    content: Content, rule: Rule, texts: Texts | None, badge: int | msgspec.Raw | None, timestamp: int
) -> dict[str, Any]:
    """Return the payload for one language; `badge` is a number, HOLE for a device's own one, or None.

    `timestamp`, in epoch seconds, orders the updates of a Live Activity.
    """
    if content.apns.raw is not None:
        return content.apns.raw
    if content.liveactivity is not None:
        activity = live_activity(content.liveactivity, content.alert, texts, timestamp)
        return merge({"aps": activity} | content.data, content.apns.payload)
    alert = content.alert
    aps: dict[str, Any] = rule.aps.copy() if rule.aps else {}
    if texts is None and content.call is not None and rule is RULES[PushType.ALERT]:
        texts = Texts(title=content.call.caller or "Incoming call")
        aps["sound"] = "default"
    if shown := _shown(texts or _NO_TEXTS):
        aps["alert"] = shown
    if alert is not None:
        _decorate(aps, alert)
        if receipt_token.FIELD in content.data:
            aps["mutable-content"] = 1
    if badge is not None:
        aps["badge"] = badge
    whole: dict[str, Any] = dict(rule.beside) if rule.aps is None and not aps else {"aps": aps}
    if alert is not None and alert.image:
        whole["image"] = alert.image
    if content.call is not None:
        whole["call"] = call_fields(content.call)
    if content.data:
        whole |= content.data
    return merge(whole, content.apns.payload) if content.apns.payload else whole


def call_fields(call: Call) -> dict[str, Any]:
    """Return what an app needs to ring: documented names, all always present."""
    return {"id": call.id, "caller": call.caller, "video": call.video}


def _shown(texts: Texts) -> dict[str, Any]:
    return dict(compress(zip(_WORDS, texts, strict=False), texts))


def _decorate(aps: dict[str, Any], alert: Alert) -> None:
    if alert.sound:
        aps["sound"] = alert.sound
    if alert.category:
        aps["category"] = alert.category
    if alert.thread:
        aps["thread-id"] = alert.thread
    if alert.image:
        aps["mutable-content"] = 1


class Variant(msgspec.Struct, frozen=True):
    """One language of a payload: for a device whose badge is not known, and for one whose is, if it counts badges."""

    bare: bytes
    counted: Template | None = None

    def body(self, badge: int | None) -> bytes:
        """Return the payload for a device; `badge` is its new number, if the content counts badges."""
        return self.bare if badge is None or self.counted is None else self.counted.fill(badge)

    @property
    def longest(self) -> int:
        """Return the most bytes it can have."""
        return len(self.bare) if self.counted is None else max(self.counted.longest, len(self.bare))


def write(content: Content, rule: Rule, texts: Texts | None, timestamp: int) -> Variant:
    """Write the payload for one language."""
    wanted = content.alert.badge if content.alert is not None else None
    if isinstance(wanted, str):
        counted = Template.of(payload(content, rule, texts, HOLE, timestamp))
        if counted.has_holes:
            return Variant(encode(payload(content, rule, texts, None, timestamp)), counted)
        return Variant(counted.parts[0])
    return Variant(encode(payload(content, rule, texts, wanted, timestamp)))
