"""What is refused before it is accepted, and how large a message is. Pure; run once per notification, not per device."""

from __future__ import annotations

from wakeline.model.errors import InvalidRequest, PayloadTooLarge
from wakeline.model.notification import Content, PushType
from wakeline.wire.content import (
    SURPLUS,
    Measure,
    check_alert,
    check_headers,
    check_text,
    largest_field,
    pointer,
    speaks,
    tags_of,
    texts_for,
)
from wakeline.wire.webpush.payload import Naming
from wakeline.wire.webpush.request import LIMIT, LONGEST_TTL, is_topic, size, write

_NAMELESS = "0" * 36  # ids are made when accepting, and all are as long
# How a body is encrypted follows from how we encrypt it; the two names are those of the scheme before RFC 8188.
_RESERVED = frozenset({"content-encoding", "crypto-key", "encryption"})
_URGENCIES = ("very-low", "low", "normal", "high")


def validate(content: Content) -> Measure:
    """Refuse content that a push service could not take, and return how large it is.

    Raises InvalidRequest or PayloadTooLarge, with the field's JSON Pointer.
    """
    check(content)
    found = measure(content)
    if found.size > found.limit:
        raise PayloadTooLarge(
            f"the message has {found.size} bytes, {found.size - found.limit} more than Web Push takes",
            pointer=found.field,
            fix="Shorten it, or set `truncate` to have the text shortened.",
        )
    return found


def judge(content: Content) -> Measure:
    """Refuse content that a push service could not take, and return how large it is; of what surely fits, how large at most.

    Raises InvalidRequest, with the field's JSON Pointer; what is too large is left to the caller.
    """
    most = check(content) + SURPLUS
    return Measure(most, LIMIT, "") if most <= LIMIT else measure(content)


def check(content: Content) -> int:
    """Refuse content that a push service could not take, whatever its size. Raises InvalidRequest with a JSON Pointer.

    Returns the bytes that it has as JSON (`check_text`).
    """
    if content.alert is not None:
        check_alert(content.alert)
    if content.type is PushType.BACKGROUND and content.alert is not None:
        raise InvalidRequest("a background push shows nothing", pointer="/alert", fix="Set `type` to `alert`.")
    override = content.webpush
    if content.type is PushType.ALERT and not (
        speaks(content.alert) or content.data or override.payload or override.raw
    ):
        raise InvalidRequest(
            "the alert has no text, so a browser would show nothing",
            pointer="/alert",
            fix="Give `alert` a title or a body, or set `type` to `background`.",
        )
    written = check_text(content)
    _check_headers(content.webpush.headers)
    return written


def _check_headers(headers: dict[str, str]) -> None:
    check_headers(headers, "webpush", reserved=_RESERVED)
    ttl = headers.get("ttl", "0")
    if not (ttl.isdecimal() and len(ttl) < 8 and int(ttl) <= LONGEST_TTL):
        raise InvalidRequest(
            f"the ttl of Web Push is a number of seconds up to {LONGEST_TTL}",
            pointer=pointer("webpush", "headers", "ttl"),
        )
    if headers.get("urgency", "normal") not in _URGENCIES:
        raise InvalidRequest(
            f"the urgency of Web Push is one of {', '.join(_URGENCIES)}",
            pointer=pointer("webpush", "headers", "urgency"),
        )
    if not is_topic(headers.get("topic", "none")):
        raise InvalidRequest(
            "a topic has at most 32 characters of base64url, and as many as base64 can have",
            pointer=pointer("webpush", "headers", "topic"),
            fix="Give `collapse_id` instead: a topic is made of it.",
        )


def measure(content: Content) -> Measure:
    """Return how large the plaintext is in its longest language."""
    tags = tags_of(content.alert) if content.alert is not None else ("",)
    longest, tag = max(((_size(content, tag), tag) for tag in tags), key=lambda pair: pair[0])
    field = largest_field(content, "webpush", content.webpush, tag) if longest > LIMIT else ""
    return Measure(longest, LIMIT, field)


def _size(content: Content, locale: str) -> int:
    shown = texts_for(content.alert, locale) if content.alert is not None else None
    naming = Naming(id=_NAMELESS, tag=content.collapse_id or _NAMELESS)
    if content.truncate:
        return write(content, shown, naming).counted.longest
    return size(content, shown, naming)
