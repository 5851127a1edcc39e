"""One push that a portal wants sent: to which push service, to which tokens, with what payload."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

import msgspec

from wakeline.model.errors import MalformedRequest
from wakeline.model.route import Environment

MOST_ENTRIES = 500
"""Entries of one request. A portal sends 100 at most (`push_message_per_hit`)."""

MOST_TOKENS = 1000
"""Tokens of one request: a message of GCM may name several."""

MOST_DEPTH = 40


class Service(StrEnum):
    """Where an entry is to go. Huawei is recognised, so that it can be answered clearly; it is not served."""

    APNS = "apns"
    APNS_VOIP = "apns-voip"
    FCM = "fcm"
    HUAWEI = "huawei"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry. `number` counts from 1 in the order of the request; `mode` is the portal's word for the service (0: JSON).

    `payload` is what the push service gets: Apple's document, or a message of FCM v1 without its target. `application` is the
    portal's APP_ID, `host` the portal's own. `expires` in Unix seconds (0: one try) or, for Google, `ttl` in seconds; None: not
    said. `mark` is the portal's number of the push.
    """

    number: int
    service: Service
    tokens: tuple[str, ...]
    payload: dict[str, Any]
    environment: Environment = Environment.PRODUCTION
    mode: int = 0
    application: str = ""
    host: str = ""
    mark: int = 0
    expires: int | None = None
    ttl: int | None = None


class Unreadable(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that is none, and why."""

    number: int
    cause: str
    mode: int = 0
    host: str = ""


class Broken(Exception):
    """What is wrong with an entry, in words: it becomes an `Unreadable` where its place is known."""


_WORDS = {
    **dict.fromkeys(("ios", "apple", "apns", "iphone", "ipad", "ipados"), Service.APNS),
    **dict.fromkeys(("iosvoip", "applevoip", "apnsvoip", "voip"), Service.APNS_VOIP),
    **dict.fromkeys(("android", "google", "googlerev", "gcm", "fcm", "firebase"), Service.FCM),
    **dict.fromkeys(("huawei", "hms"), Service.HUAWEI),
}

_object = msgspec.json.Decoder(dict[str, Any])


def service_called(word: str) -> Service | None:
    """Return what a platform's or DEVICE_TYPE's name means, such as `APPLE/VOIP`, `GOOGLE/REV2` or `ios`."""
    return _WORDS.get(re.sub(r"[^a-z]", "", word.lower()))


def document(data: bytes) -> dict[str, Any]:
    """Read a JSON object. Raises Broken."""
    try:
        found = _object.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Broken(f"the payload is no JSON object: {error}") from None
    check_depth(found)
    return found


def check_depth(found: dict[str, Any]) -> None:
    """Refuse what is nested deeper than anybody means: writing it would exhaust the stack. Raises Broken."""
    level: list[Any] = [found]
    for _ in range(MOST_DEPTH):
        level = [inner for one in level for inner in _inside(one)]
        if not level:
            return
    raise Broken(f"the payload is nested more than {MOST_DEPTH} deep")


def _inside(value: Any) -> Iterable[Any]:
    match value:
        case dict():
            return value.values()
        case list():
            return value
        case _:
            return ()


def check_tokens(entries: list[Entry | Unreadable]) -> None:
    """Refuse more tokens than one request may name. Raises MalformedRequest."""
    named = sum(len(entry.tokens) for entry in entries if isinstance(entry, Entry))
    if named > MOST_TOKENS:
        raise MalformedRequest(
            f"the request names {named} tokens, and {MOST_TOKENS} are read", fix="Send fewer at once."
        )
