"""What callers may lay over a Message (`fcm.payload`, `fcm.raw`): its fields, their types, and the bounds that Google names.

Source: Firebase, REST reference of projects.messages: Message, AndroidConfig, AndroidConfigV2, WebpushFcmOptions,
FcmOptions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from wakeline.model.errors import InvalidRequest
from wakeline.wire.content import LONGEST_TIMESTAMP, pointer
from wakeline.wire.fcm.message import LONGEST_TTL, Timing
from wakeline.wire.fcm.names import camel
from wakeline.wire.fcm.schema import Fault, Steps, faults

LONGEST = Timing(ttl=LONGEST_TTL, expiration=LONGEST_TIMESTAMP, collapse="0" * 36, timestamp=LONGEST_TIMESTAMP)
"""Ids and times are made when sending; these are as long as any of them."""

_RESERVED = frozenset({"from", "message_type"})
_RESERVED_BEGINNINGS = ("google.", "gcm.notification.")
_OURS = frozenset({"token", "fid", "topic", "condition", "name", "message", "validateOnly"})
_LABEL = re.compile(r"[a-zA-Z0-9\-_.~%]{1,50}").fullmatch
_DATA = (("data",), ("android", "data"), ("androidV2", "data"))


def check_keys(data: dict[str, Any], *home: str) -> None:
    """Refuse the keys of `data` that are FCM's own; `home` is where it stands. Raises InvalidRequest."""
    for key in data:
        if not key:
            raise InvalidRequest("a key of `data` has no name", pointer=pointer(*home, key), fix="Name it.")
        if key in _RESERVED or key.startswith(_RESERVED_BEGINNINGS):
            raise InvalidRequest(f"{key!r} is reserved by FCM", pointer=pointer(*home, key), fix="Use another key.")


def check_override(override: dict[str, Any], part: str) -> None:
    """Refuse an override that Google would not take. Raises InvalidRequest, with the field as the caller spelled it."""
    if not override:
        return
    for key in override:
        (name,) = camel({key: None})
        if name in _OURS:
            raise InvalidRequest(
                f"{key!r} is set by the gateway",
                pointer=pointer("fcm", part, key),
                fix="Give the message's inner fields only; whom it is for stands under `to`.",
            )
    named = camel(override)
    for fault in _faults(named):
        raise InvalidRequest(
            fault.why,
            pointer=pointer("fcm", part, *spelled(override, fault.steps)),
            fix="See the fields of a message in Firebase's REST reference, projects.messages.",
        )
    for where in _DATA:
        if isinstance(data := at(named, where), dict):
            check_keys(data, "fcm", part, *(str(step) for step in spelled(override, where)))


def at(document: Any, steps: Steps) -> Any:
    """Return what stands at a place of a document, or None."""
    for step in steps:
        document = document.get(step) if isinstance(document, dict) else None
    return document


def spelled(override: dict[str, Any], steps: Steps) -> Iterator[str | int]:
    """Yield the keys of a place as the caller wrote them, `collapse_key` or `collapseKey`."""
    document: Any = override
    for step in steps:
        keys = list(document) if isinstance(document, dict) else []
        key = next((key for key in keys if key == step or list(camel({key: None})) == [step]), step)
        yield key
        document = document.get(key) if isinstance(document, dict) else None


def _faults(named: dict[str, Any]) -> Iterator[Fault]:
    yield from faults(named)
    if "android" in named and "androidV2" in named:
        yield Fault((), "`android` and `androidV2` exclude each other")
    for block in ("android", "androidV2"):
        ttl = at(named, (block, "ttl"))
        if ttl is not None and not 0 <= float(ttl.removesuffix("s")) <= LONGEST_TTL:
            yield Fault((block, "ttl"), f"FCM keeps a message from 0 to {LONGEST_TTL} seconds (4 weeks)")
    link = at(named, ("webpush", "fcmOptions", "link"))
    if link is not None and not link.startswith("https://"):
        yield Fault(("webpush", "fcmOptions", "link"), "the link is an https URL")
    for block in ("", "android", "androidV2", "apns", "webpush"):
        steps = (*([block] if block else []), "fcmOptions", "analyticsLabel")
        label = at(named, steps)
        if label and not _LABEL(label):
            yield Fault(steps, "a label has 1 to 50 letters, digits and the signs - _ . ~ %")
