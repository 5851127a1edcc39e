"""What is refused before it is accepted, and how large a payload is. Pure; run once per notification, not per device."""

from __future__ import annotations

from wakeline.model.errors import InvalidRequest, PayloadTooLarge
from wakeline.model.notification import Content
from wakeline.wire.apns.payload import Variant, write
from wakeline.wire.apns.shape import check_shape
from wakeline.wire.apns.types import Rule, rule_for
from wakeline.wire.content import (
    LONGEST_TIMESTAMP,
    SURPLUS,
    Measure,
    Texts,
    check_alert,
    check_headers,
    check_live_activity,
    check_text,
    fit,
    largest_field,
    pointer,
    tags_of,
    texts_for,
)

COLLAPSE_ID_LIMIT = 64
"""Bytes of UTF-8."""

# The id leads back to the delivery. The topic is the route's: another one would be answered with refusals that count against
# the credential and the tokens of this one.
_RESERVED = frozenset({"apns-id", "apns-topic"})


def validate(content: Content, kind: str = "") -> Measure:
    """Refuse content that APNs could not take, and return how large it is.

    `kind` is the target's, where that matters (a call to an alert token).
    Raises InvalidRequest or PayloadTooLarge, with the field's JSON Pointer.
    """
    check(content, kind)
    found = measure(content, kind)
    if found.size > found.limit:
        raise PayloadTooLarge(
            f"the APNs payload has {found.size} bytes, {found.size - found.limit} more than this push type may have",
            pointer=found.field,
            fix="Shorten it, or set `truncate` to have the text shortened.",
        )
    return found


def judge(content: Content) -> Measure:
    """Refuse content that APNs could not take, and return how large it is; of what surely fits, how large at most.

    Raises InvalidRequest, with the field's JSON Pointer; what is too large is left to the caller.
    """
    written, limit = check(content), rule_for(content.type).limit
    # As an alert, a call names its caller twice.
    most = SURPLUS + (written if content.call is None else 2 * written)
    return Measure(most, limit, "") if most <= limit else measure(content)


def check(content: Content, kind: str = "") -> int:
    """Refuse content that APNs could not take, whatever its size. Raises InvalidRequest, with the field's JSON Pointer.

    Returns the bytes that it has as JSON (`check_text`).
    """
    rule = rule_for(content.type, kind)
    if content.alert is not None:
        check_alert(content.alert)
    if "aps" in content.data:
        raise InvalidRequest(
            "`aps` is Apple's own key", pointer="/data/aps", fix="Put additions to it into `apns.payload`."
        )
    if content.call is not None and "call" in content.data:
        raise InvalidRequest("`call` is the key of the call's own fields", pointer="/data/call", fix="Use another key.")
    written = check_text(content)
    if content.liveactivity is not None:
        check_live_activity(content)
    check_shape(content, rule)
    if content.collapse_id:
        _check_collapse_id(content.collapse_id, "/collapse_id")
    if content.apns.headers:
        _check_headers(content.apns.headers, rule)
    return written


def _check_collapse_id(value: str, where: str) -> None:
    if len(value.encode()) > COLLAPSE_ID_LIMIT:
        raise InvalidRequest(
            f"the collapse id is longer than {COLLAPSE_ID_LIMIT} bytes", pointer=where, fix="Use a shorter one."
        )
    if not value.isprintable() or value != value.strip():
        raise InvalidRequest(
            "the collapse id holds control characters or outer spaces", pointer=where, fix="Leave them out."
        )


def _check_headers(headers: dict[str, str], rule: Rule) -> None:
    check_headers(headers, "apns", reserved=_RESERVED)
    where = pointer("apns", "headers")
    _check_collapse_id(headers.get("apns-collapse-id", ""), f"{where}/apns-collapse-id")
    allowed = [str(priority) for priority in rule.priorities]
    if headers.get("apns-priority", "5") not in allowed:
        raise InvalidRequest(
            f"a push of type {rule.name} has priority {' or '.join(allowed)}",
            pointer=f"{where}/apns-priority",
            fix="Leave the header out: it follows from `type` and `priority`.",
        )
    if not headers.get("apns-expiration", "0").isdecimal():
        raise InvalidRequest(
            "the expiration is given in seconds since 1970",
            pointer=f"{where}/apns-expiration",
            fix="Use `ttl` instead.",
        )
    if headers.get("apns-push-type", rule.name) != rule.name:
        raise InvalidRequest(
            f"the push type is {rule.name}, as `type` says",
            pointer=f"{where}/apns-push-type",
            fix="Leave the header out and set `type`.",
        )


def measure(content: Content, kind: str = "") -> Measure:
    """Return how large the payload is in its longest language."""
    rule = rule_for(content.type, kind)
    tags = tags_of(content.alert) if content.alert is not None else ("",)
    sizes = [(fitted(content, rule, _texts(content, tag), LONGEST_TIMESTAMP).longest, tag) for tag in tags]
    size, tag = max(sizes, key=lambda pair: pair[0])
    field = largest_field(content, "apns", content.apns, tag) if size > rule.limit else ""
    return Measure(size, rule.limit, field)


def _texts(content: Content, locale: str) -> Texts | None:
    return texts_for(content.alert, locale) if content.alert is not None else None


def fitted(content: Content, rule: Rule, texts: Texts | None, timestamp: int) -> Variant:
    """Write one language; if it is too large and shortening was asked for, shorten its texts. `timestamp`: epoch seconds."""
    if texts is not None and content.truncate and content.apns.raw is None:
        texts = fit(texts, lambda shown: write(content, rule, shown, timestamp).longest - rule.limit)
    return write(content, rule, texts, timestamp)
