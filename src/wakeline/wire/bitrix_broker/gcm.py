"""Google's messages: those of FCM v1 without their target, and those of the former GCM turned into such ones.

Source: Firebase, "Migrate from legacy FCM APIs to HTTP v1", tables of keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from wakeline.wire.bitrix_broker.entry import MOST_TOKENS, Broken
from wakeline.wire.fcm.names import texts

_TARGETS = ("token", "topic", "condition", "fid", "name")
_SHOWN = ("title", "body", "image")
_ANDROID = {
    "icon": "icon",
    "color": "color",
    "sound": "sound",
    "tag": "tag",
    "click_action": "clickAction",
    "android_channel_id": "channelId",
    "title_loc_key": "titleLocKey",
    "title_loc_args": "titleLocArgs",
    "body_loc_key": "bodyLocKey",
    "body_loc_args": "bodyLocArgs",
}
_URGENT = ("high", "10", 10)
_LEGACY = frozenset({"registration_ids", "registration_id", "to", "time_to_live", "collapse_key", "priority"})


class ForGoogle(NamedTuple):
    """A message of FCM v1 without its target, the tokens it is for, and how long it is good (seconds; None: not said)."""

    tokens: tuple[str, ...]
    message: dict[str, Any]
    ttl: int | None


def is_legacy(document: Mapping[str, Any]) -> bool:
    """Tell whether a message has a key that only GCM knew at its top."""
    return not _LEGACY.isdisjoint(document)


def of_v1(document: Mapping[str, Any]) -> ForGoogle:
    """Read the body of FCM v1's `messages:send`. Raises Broken."""
    message = document.get("message")
    if not isinstance(message, dict):
        raise Broken("there is no `message`")
    token = message.get("token")
    android = message.get("android")
    ttl = _seconds(android.get("ttl")) if isinstance(android, dict) else None
    rest = {key: value for key, value in message.items() if key not in _TARGETS}
    return ForGoogle(_tokens(token), rest, ttl)


def of_legacy(document: Mapping[str, Any]) -> ForGoogle:
    """Read a message of GCM. Raises Broken."""
    named = document.get("registration_ids") or document.get("to") or document.get("registration_id")
    ttl = _seconds(document.get("time_to_live"))
    android: dict[str, Any] = {"priority": "HIGH" if document.get("priority") in _URGENT else "NORMAL"}
    if ttl is not None:
        android["ttl"] = f"{ttl}s"
    for key, name in (("collapse_key", "collapseKey"), ("restricted_package_name", "restrictedPackageName")):
        if document.get(key):
            android[name] = str(document[key])
    message: dict[str, Any] = {"android": android}
    if data := _object(document, "data"):
        message["data"] = texts(data)
    notification = _object(document, "notification")
    if shown := {key: notification[key] for key in _SHOWN if notification.get(key)}:
        message["notification"] = texts(shown)
    if more := {name: notification[key] for key, name in _ANDROID.items() if notification.get(key)}:
        android["notification"] = more
    return ForGoogle(_tokens(named), message, ttl)


def _object(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key)
    # PHP writes an empty map as an empty list.
    if value in (None, []):
        return {}
    if not isinstance(value, dict):
        raise Broken(f"`{key}` is no object")
    return value


def _tokens(named: Any) -> tuple[str, ...]:
    """Return one token or several; none is right where they are said beside the message."""
    found = [] if named is None else named if isinstance(named, list) else [named]
    if len(found) > MOST_TOKENS or not all(isinstance(token, str) and token for token in found):
        raise Broken(f"the tokens are no list of up to {MOST_TOKENS} texts")
    return tuple(found)


def _seconds(said: Any) -> int | None:
    """Return a lifetime: `43200s`, `"43200"` or 43200."""
    text = str(said).removesuffix("s")
    whole = text.partition(".")[0]
    return int(whole) if whole.isascii() and whole.isdigit() and len(whole) <= len("2419200") else None
