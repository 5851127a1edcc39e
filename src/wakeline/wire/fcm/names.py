"""One spelling of names. Callers write overrides as either documentation has it, `collapse_key` or `collapseKey`.

FCM reads both, but refuses a message that has one field under both names, which is what merging an override into our
message could make. So overrides are brought to the spelling of the discovery document. What is the app's own is left
alone: the maps `data`, `headers` and `payload`, and the notification of a browser.
"""

from __future__ import annotations

import re
from typing import Any

from wakeline.wire.content import encode

_FREE = frozenset({"headers", "payload"})
_UNDERSCORE = re.compile(r"_([a-z0-9])")


def camel(message: dict[str, Any]) -> dict[str, Any]:
    """Return a Message, or a part of one, with names in lowerCamelCase and `data` as FCM wants it."""
    return {_name(key): _value(_name(key), value) for key, value in message.items()}


def _name(key: str) -> str:
    if key == "android_v2":  # the only name whose parts the rule would not find
        return "androidV2"
    return _UNDERSCORE.sub(lambda found: found[1].upper(), key)


def _value(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [camel(item) if isinstance(item, dict) else item for item in value]
    if not isinstance(value, dict) or name in _FREE:
        return value
    if name == "data":
        return texts(value)
    if name == "webpush":
        # A browser's Notification options are passed on as they are.
        kept = {key: inner for key, inner in value.items() if key == "notification"}
        return camel({key: inner for key, inner in value.items() if key != "notification"}) | kept
    return camel(value)


def texts(data: dict[str, Any]) -> dict[str, str]:
    """Return `data` as FCM takes it: text stays as it is, everything else becomes its JSON text."""
    return {key: value if isinstance(value, str) else encode(value).decode() for key, value in data.items()}
