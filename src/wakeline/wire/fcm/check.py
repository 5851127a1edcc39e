"""What is refused before it is accepted, and how large a message is. Pure; run once per notification, not per device."""

from __future__ import annotations

from typing import Any

from wakeline.model.errors import InvalidRequest, PayloadTooLarge
from wakeline.model.notification import Content, PushType
from wakeline.wire.content import (
    Measure,
    check_alert,
    check_headers,
    check_text,
    fit,
    largest_field,
    pointer,
    tags_of,
    texts_for,
)
from wakeline.wire.fcm.message import LONGEST_TTL, Timing
from wakeline.wire.fcm.names import camel
from wakeline.wire.fcm.request import LIMIT, size

# Ids and times are made when sending; these are as long as any of them.
_LONGEST = Timing(ttl=LONGEST_TTL, expiration=10**10 - 1, collapse="0" * 36)
_RESERVED = frozenset({"from", "message_type"})
_RESERVED_BEGINNINGS = ("google.", "gcm.notification.")
_TARGETS = frozenset({"token", "fid", "topic", "condition", "name", "message", "validateOnly"})
_FIELDS = frozenset({"data", "notification", "android", "androidV2", "apns", "webpush", "fcmOptions"})


def validate(content: Content) -> Measure:
    """Refuse content that FCM could not take, and return how large it is.

    Raises InvalidRequest or PayloadTooLarge, with the field's JSON Pointer.
    """
    check(content)
    found = measure(content)
    if found.size > found.limit:
        raise PayloadTooLarge(
            f"notification and data have {found.size} bytes, {found.size - found.limit} more than FCM takes",
            pointer=found.field,
            fix="Shorten it, or set `truncate` to have the text shortened.",
        )
    return found


def check(content: Content) -> None:
    """Refuse content that FCM could not take, whatever its size. Raises InvalidRequest, with the field's JSON Pointer."""
    if content.alert is not None:
        check_alert(content.alert)
    if content.type is PushType.BACKGROUND and content.alert is not None:
        raise InvalidRequest("a background push shows nothing", pointer="/alert", fix="Set `type` to `alert`.")
    if content.call is not None and "call" in content.data:
        raise InvalidRequest("`call` is the key of the call's own fields", pointer="/data/call")
    check_text(content)
    check_headers(content.fcm.headers, "fcm")
    _check_data(content.data, "data")
    _check_override(content.fcm.payload, "payload")
    if content.fcm.raw is not None:
        _check_override(content.fcm.raw, "raw")


def _check_data(data: dict[str, Any], *home: str) -> None:
    for key in data:
        if key in _RESERVED or key.startswith(_RESERVED_BEGINNINGS):
            raise InvalidRequest(f"{key!r} is reserved by FCM", pointer=pointer(*home, key), fix="Use another key.")


def _check_override(override: dict[str, Any], part: str) -> None:
    for key, value in override.items():
        (name,) = camel({key: None})
        if name in _TARGETS:
            raise InvalidRequest(
                f"{key!r} is set by the gateway",
                pointer=pointer("fcm", part, key),
                fix="Give the message's inner fields only.",
            )
        if name not in _FIELDS:
            raise InvalidRequest(f"an FCM message has no field {key!r}", pointer=pointer("fcm", part, key))
        if not isinstance(value, dict):
            raise InvalidRequest(f"{key!r} of an FCM message is an object", pointer=pointer("fcm", part, key))
    if not override:
        return
    names = camel(override)
    if "android" in names and "androidV2" in names:
        raise InvalidRequest("`android` and `androidV2` exclude each other", pointer=pointer("fcm", part))
    for where in (("data",), ("android", "data"), ("androidV2", "data")):
        inner: Any = names
        for step in where:
            inner = inner.get(step) if isinstance(inner, dict) else None
        if isinstance(inner, dict):
            _check_data(inner, "fcm", part, *where)


def measure(content: Content) -> Measure:
    """Return how large notification and data are in their longest language."""
    tags = tags_of(content.alert) if content.alert is not None else ("",)
    longest, tag = max(((_size(content, tag), tag) for tag in tags), key=lambda pair: pair[0])
    field = largest_field(content, "fcm", content.fcm, tag) if longest > LIMIT else ""
    return Measure(longest, LIMIT, field)


def _size(content: Content, locale: str) -> int:
    shown = texts_for(content.alert, locale) if content.alert is not None else None
    if shown is not None and content.truncate and content.fcm.raw is None:
        shown = fit(shown, lambda texts: size(content, texts, _LONGEST) - LIMIT)
    return size(content, shown, _LONGEST)
