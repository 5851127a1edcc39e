"""What stands behind one base64 of a batch.

For Apple it is a frame of Apple's former binary interface, "enhanced format" (Apple, Local and Remote Notification
Programming Guide, "Legacy Notification Format"): command 1, an id, the expiry in Unix seconds, the token, the payload. For
Google and Huawei it is an HTTP message without its first line: headers, an empty line, JSON.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from wakeline.wire.bitrix_broker.entry import Broken, document

_HEAD = struct.Struct(">BIIH")
_SIZE = struct.Struct(">H")
_ENHANCED = 1
_LONGEST_TOKEN = 100
"""Bytes; tokens have 32, and Apple asks not to rely on that."""

_DIGITS = 9


class Frame(NamedTuple):
    """A frame: the portal's number of the push, when it expires (Unix seconds, 0: one try), the token in hex, the payload."""

    mark: int
    expires: int
    token: str
    payload: dict[str, Any]


def frame(data: bytes) -> Frame:
    """Read Apple's binary frame. Raises Broken."""
    if len(data) < _HEAD.size:
        raise Broken(f"the frame ends after {len(data)} bytes, inside its head")
    command, mark, expires, size = _HEAD.unpack_from(data)
    if command != _ENHANCED:
        raise Broken(f"the frame has command {command}, and {_ENHANCED} is read")
    if not 0 < size <= _LONGEST_TOKEN:
        raise Broken(f"the frame announces a token of {size} bytes")
    begin = _HEAD.size + size
    if len(data) < begin + _SIZE.size:
        raise Broken("the frame ends inside its token")
    (length,) = _SIZE.unpack_from(data, begin)
    payload = data[begin + _SIZE.size :]
    if len(payload) != length:
        raise Broken(f"the frame announces a payload of {length} bytes, and there are {len(payload)}")
    return Frame(mark, expires, data[_HEAD.size : begin].hex(), document(payload))


def message(data: bytes) -> dict[str, Any]:
    """Read the JSON of an HTTP message without its first line. Raises Broken."""
    head, found, body = data.partition(b"\r\n\r\n")
    if not found:
        raise Broken("there is no empty line between headers and JSON")
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            _check_length(value.strip(), len(body))
    return document(body)


def _check_length(announced: bytes, there: int) -> None:
    if not announced.isdigit() or len(announced) > _DIGITS:
        raise Broken("the Content-length is no number")
    if int(announced) != there:
        raise Broken(f"the Content-length says {int(announced)} bytes, and there are {there}")
