"""HTTP/2 frames as numbers: types, flags, settings, error codes, limits, and builders of the frames we send.

Source: RFC 9113 sections 4.1 (layout), 6 (types), 6.5.2 (settings), 7 (error codes).
"""

from __future__ import annotations

import struct
from enum import IntEnum

from wakeline.model.errors import RemoteProtocolError

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

FRAME_HEADER = struct.Struct(">IBI")
"""9 bytes read as (length << 8 | type, flags, reserved bit and stream id)."""
FRAME_HEADER_SIZE = 9
STREAM_ID = struct.Struct(">I")
SETTING = struct.Struct(">HI")

DATA = 0x0
HEADERS = 0x1
PRIORITY = 0x2
RST_STREAM = 0x3
SETTINGS = 0x4
PUSH_PROMISE = 0x5
PING = 0x6
GOAWAY = 0x7
WINDOW_UPDATE = 0x8
CONTINUATION = 0x9

ACK = 0x1
END_STREAM = 0x1
END_HEADERS = 0x4
PADDED = 0x8
HAS_PRIORITY = 0x20

MAX_STREAM_ID = 2**31 - 1
MAX_WINDOW = 2**31 - 1
DEFAULT_WINDOW = 65_535
DEFAULT_FRAME_SIZE = 16_384
LARGEST_FRAME_SIZE = 2**24 - 1


class Setting(IntEnum):
    """RFC 9113 section 6.5.2."""

    HEADER_TABLE_SIZE = 0x1
    ENABLE_PUSH = 0x2
    MAX_CONCURRENT_STREAMS = 0x3
    INITIAL_WINDOW_SIZE = 0x4
    MAX_FRAME_SIZE = 0x5
    MAX_HEADER_LIST_SIZE = 0x6


class ErrorCode(IntEnum):
    """RFC 9113 section 7."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xA
    ENHANCE_YOUR_CALM = 0xB
    INADEQUATE_SECURITY = 0xC
    HTTP_1_1_REQUIRED = 0xD


class PeerBroke(RemoteProtocolError):
    """The peer broke HTTP/2 so that the connection must end; `error_code` goes into our GOAWAY."""

    def __init__(self, error_code: ErrorCode, detail: str) -> None:
        super().__init__(f"{detail} ({error_code.name})")
        self.error_code = error_code


def error_name(code: int) -> str:
    """Return the name of an error code, or its number if RFC 9113 does not know it."""
    try:
        return ErrorCode(code).name
    except ValueError:
        return f"error {code:#x}"


def frame_start(length: int, kind: int, flags: int) -> bytes:
    """Return the first five bytes of a frame; its stream id, four bytes, comes next."""
    return (length << 16 | kind << 8 | flags).to_bytes(5, "big")


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a whole frame."""
    return frame_start(len(payload), kind, flags) + STREAM_ID.pack(stream) + payload


def settings(values: dict[Setting, int]) -> bytes:
    """Return a SETTINGS frame (RFC 9113 section 6.5)."""
    return frame(SETTINGS, 0, 0, b"".join(SETTING.pack(key, value) for key, value in values.items()))


def window_update(stream: int, increment: int) -> bytes:
    """Return a WINDOW_UPDATE frame (RFC 9113 section 6.9); stream 0 is the connection."""
    return frame(WINDOW_UPDATE, 0, stream, STREAM_ID.pack(increment))


def rst_stream(stream: int, code: ErrorCode) -> bytes:
    """Return an RST_STREAM frame (RFC 9113 section 6.4)."""
    return frame(RST_STREAM, 0, stream, STREAM_ID.pack(code))


def goaway(last_stream: int, code: ErrorCode, debug: bytes = b"") -> bytes:
    """Return a GOAWAY frame (RFC 9113 section 6.8)."""
    return frame(GOAWAY, 0, 0, STREAM_ID.pack(last_stream) + STREAM_ID.pack(code) + debug)


def header_frames(stream: int, block: bytes, *, end_stream: bool, max_frame: int) -> bytes:
    """Return HEADERS and, for a block longer than one frame, CONTINUATION (RFC 9113 section 6.10)."""
    first, rest = block[:max_frame], block[max_frame:]
    flags = END_STREAM if end_stream else 0
    pieces = [frame(HEADERS, flags | (0 if rest else END_HEADERS), stream, first)]
    while rest:
        part, rest = rest[:max_frame], rest[max_frame:]
        pieces.append(frame(CONTINUATION, 0 if rest else END_HEADERS, stream, part))
    return b"".join(pieces)
