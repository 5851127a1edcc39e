"""The JSON form: `{"key", "token", "platform", "environment", "payload"}`, or a list of such objects.

`payload` is what the push service of the platform takes: Apple's document with `aps`, a message of FCM v1 (or its body with
`message`), or one of the former GCM. Anything else is taken as plain words for either platform: `title`, `body`, `sound` and
`badge` are shown, whatever stands beside them goes to the app.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from wakeline.model.errors import MalformedRequest
from wakeline.model.route import Environment
from wakeline.wire.bitrix_broker import gcm
from wakeline.wire.bitrix_broker.entry import (
    MOST_ENTRIES,
    Broken,
    Entry,
    Service,
    Unreadable,
    check_depth,
    check_tokens,
    document,
    service_called,
)

_ENVIRONMENTS = {
    "": Environment.PRODUCTION,
    "production": Environment.PRODUCTION,
    "prod": Environment.PRODUCTION,
    "sandbox": Environment.SANDBOX,
    "development": Environment.SANDBOX,
    "dev": Environment.SANDBOX,
}
_MESSAGE = frozenset({"data", "notification", "android", "apns", "webpush", "fcm_options", "fcmOptions"})
_BODIES = ("body", "text", "message")


class Asked(msgspec.Struct, frozen=True):
    """What one object asks for. `key` is the licence key in it (empty: none), `token` its token as it was written."""

    key: str
    token: str
    entry: Entry | Unreadable

    def __repr__(self) -> str:
        """Leave key and token out: a repr ends in logs and tracebacks."""
        return f"Asked(entry={self.entry.number})"


def asked(data: bytes) -> tuple[list[Asked], bool]:
    """Return what a body asks for, and whether it is one object instead of a list. Raises MalformedRequest."""
    try:
        said = msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise MalformedRequest(f"the body is no JSON: {error}") from None
    alone = isinstance(said, dict)
    items = [said] if alone else said
    if not isinstance(items, list):
        raise MalformedRequest("the body is neither an object nor a list of objects")
    if len(items) > MOST_ENTRIES:
        raise MalformedRequest(f"the list has more than {MOST_ENTRIES} objects", fix="Send fewer at once.")
    found = [_one(number, item) for number, item in enumerate(items, start=1)]
    check_tokens([one.entry for one in found])
    return found, alone


def _one(number: int, item: Any) -> Asked:
    if not isinstance(item, dict):
        return Asked("", "", Unreadable(number=number, cause="it is no object"))
    key, token = (item[name] if isinstance(item.get(name), str) else "" for name in ("key", "token"))
    try:
        return Asked(key, token, _entry(number, token, item))
    except Broken as broken:
        return Asked(key, token, Unreadable(number=number, cause=str(broken)))


def _entry(number: int, token: str, item: Mapping[str, Any]) -> Entry:
    if not token:
        raise Broken("`token` is missing")
    platform, world = _text(item, "platform"), _text(item, "environment").strip().lower()
    service = service_called(platform)
    if service is None:
        raise Broken(f"`platform` is {platform[:40]!r}; ios, ios-voip and android are known")
    if world not in _ENVIRONMENTS:
        raise Broken(f"`environment` is {world[:40]!r}; production and sandbox are known")
    payload = item.get("payload")
    if isinstance(payload, str):
        payload = document(payload.encode())
    if not isinstance(payload, dict):
        raise Broken("`payload` is no object")
    check_depth(payload)
    read = _google(payload) if service is Service.FCM else gcm.ForGoogle((), payload, None)
    return Entry(
        number=number,
        service=service,
        tokens=(token,),
        payload=_apple(payload) if service in (Service.APNS, Service.APNS_VOIP) else read.message,
        environment=_ENVIRONMENTS[world],
        ttl=read.ttl,
    )


def _text(item: Mapping[str, Any], name: str) -> str:
    value = item.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Broken(f"`{name}` is no text")
    return value


def _apple(payload: dict[str, Any]) -> dict[str, Any]:
    """Return Apple's document: the payload as it is, or its plain words."""
    if "aps" in payload:
        return payload
    title, body, rest = _words(payload)
    aps: dict[str, Any] = {key: rest.pop(key) for key in ("sound", "badge") if key in rest}
    if alert := {key: text for key, text in (("title", title), ("body", body)) if text}:
        aps["alert"] = alert
    return {"aps": aps, **rest}


def _google(payload: dict[str, Any]) -> gcm.ForGoogle:
    """Return a message of FCM v1: the payload as it is, what GCM's comes to, or its plain words."""
    if isinstance(payload.get("message"), dict):
        return gcm.of_v1(payload)
    if not _MESSAGE.isdisjoint(payload):
        return gcm.of_legacy(payload) if gcm.is_legacy(payload) else gcm.of_v1({"message": payload})
    title, body, rest = _words(payload)
    shown = {key: text for key, text in (("title", title), ("body", body)) if text}
    message: dict[str, Any] = {"notification": shown} if shown else {}
    if rest:
        message["data"] = rest
    return gcm.ForGoogle((), message, None)


def _words(payload: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """Return title, body and what stands beside them."""
    rest = dict(payload)
    title = rest.pop("title") if isinstance(rest.get("title"), str) else ""
    name = next((name for name in _BODIES if isinstance(rest.get(name), str)), "")
    return title, rest.pop(name) if name else "", rest
