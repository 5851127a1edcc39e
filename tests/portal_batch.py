"""Batches as a self-hosted Bitrix24 portal writes them, made byte by byte from the facts and not by our own reader."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Mapping
from typing import Any

APPLE_TOKEN = "5e" * 32
APPLE = {
    "aps": {"alert": {"body": "Deal №7 is won", "title": "Anna"}, "mutable-content": 1, "badge": 3, "sound": "default"},
    "group": "local.x",
    "params": {"LINK": "/crm/deal/7/"},
    "target": "9a" * 16,
}
GOOGLE = {
    "message": {
        "data": {"contentTitle": "Anna", "contentText": "Deal №7 is won", "badge": "3", "messageParams": '{"a":1}'},
        "android": {"ttl": "43200s", "priority": "high"},
        "token": "f:APA91token",
    }
}
GCM = {
    "data": {"contentTitle": "Anna", "contentText": "Deal №7 is won", "badge": 3},
    "time_to_live": 43200,
    "priority": "high",
    "collapse_key": "deal",
    "registration_ids": ["old:APA91a", "old:APA91b"],
}
HUAWEI = {"message": {"data": "{}", "token": ["hms-token"]}}


def apple(payload: Mapping[str, Any], token: str = APPLE_TOKEN, *, expires: int = 0, mark: int = 1) -> str:
    """Apple's legacy frame: `>B I I H token H` and JSON."""
    value, text = bytes.fromhex(token), json.dumps(payload, ensure_ascii=False).encode()
    head = struct.pack(">BIIH", 1, mark, expires, len(value))
    return _base64(head + value + struct.pack(">H", len(text)) + text)


def http(document: Mapping[str, Any]) -> str:
    """Headers, an empty line, JSON: what goes to Google and Huawei."""
    text = json.dumps(document, ensure_ascii=False).encode()
    return _base64(b"Content-type: application/json\r\nContent-length: %d\r\n\r\n" % len(text) + text)


def block(mode: int, *pushes: str, app: str = "Bitrix24", host: str = "portal.example") -> str:
    """One part of a batch: mode, APP_ID, host, pushes."""
    return f";{mode};tkey={app};h={host};" + ";".join(pushes)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
