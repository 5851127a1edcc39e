"""What is refused before it is accepted, and how large a message is. Pure; run once per notification, not per device."""

from __future__ import annotations

from wakeline.model.errors import InvalidRequest, PayloadTooLarge
from wakeline.model.notification import Content, PushType
from wakeline.wire.content import (
    SURPLUS,
    Measure,
    check_alert,
    check_headers,
    check_live_activity,
    check_text,
    fit,
    largest_field,
    tags_of,
    texts_for,
)
from wakeline.wire.fcm.overrides import LONGEST, check_keys, check_override
from wakeline.wire.fcm.request import LIMIT, size
from wakeline.wire.fcm.shape import check_whole
from wakeline.wire.fcm.target import TOPIC_LIMIT


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


def judge(content: Content) -> Measure:
    """Refuse content that FCM could not take, and return how large it is; of what surely fits, how large at most.

    Raises InvalidRequest, with the field's JSON Pointer; what is too large is left to the caller.
    """
    most = 2 * check(content) + SURPLUS
    return Measure(most, LIMIT, "") if most <= LIMIT else measure(content)


def check(content: Content) -> int:
    """Refuse content that FCM could not take, whatever its size. Raises InvalidRequest, with the field's JSON Pointer.

    Returns the bytes that it has as JSON (`check_text`).
    """
    if content.alert is not None:
        check_alert(content.alert)
    if content.type is PushType.BACKGROUND and content.alert is not None:
        raise InvalidRequest("a background push shows nothing", pointer="/alert", fix="Set `type` to `alert`.")
    if content.call is not None and "call" in content.data:
        raise InvalidRequest("`call` is the key of the call's own fields", pointer="/data/call", fix="Use another key.")
    written = check_text(content)
    check_live_activity(content)
    check_headers(content.fcm.headers, "fcm")
    check_keys(content.data, "data")
    check_override(content.fcm.payload, "payload")
    if content.fcm.raw is not None:
        check_override(content.fcm.raw, "raw")
    check_whole(content)
    return written


def check_topic_size(content: Content) -> None:
    """Refuse what is too large for a topic or a condition. Raises PayloadTooLarge."""
    found = measure(content)
    if found.size > TOPIC_LIMIT:
        raise PayloadTooLarge(
            f"notification and data have {found.size} bytes, and FCM takes {TOPIC_LIMIT} to a topic or a condition",
            pointer=_largest(content),
            fix="Shorten it: `truncate` shortens to what a single device may get.",
        )


def _largest(content: Content) -> str:
    tags = tags_of(content.alert) if content.alert is not None else ("",)
    return largest_field(content, "fcm", content.fcm, max(tags, key=lambda tag: _size(content, tag)))


def measure(content: Content) -> Measure:
    """Return how large notification and data are in their longest language."""
    tags = tags_of(content.alert) if content.alert is not None else ("",)
    longest, tag = max(((_size(content, tag), tag) for tag in tags), key=lambda pair: pair[0])
    field = largest_field(content, "fcm", content.fcm, tag) if longest > LIMIT else ""
    return Measure(longest, LIMIT, field)


def _size(content: Content, locale: str) -> int:
    shown = texts_for(content.alert, locale) if content.alert is not None else None
    if shown is not None and content.truncate and content.fcm.raw is None:
        shown = fit(shown, lambda texts: size(content, texts, LONGEST) - LIMIT)
    return size(content, shown, LONGEST)
