"""Integer keys inside, UUIDv7 outside, with nothing stored to tie them.

A key is 62 bits: 48 bits of Unix milliseconds, 14 bits of counter. Its UUID (RFC 9562 section 5.7) is made of the key alone:

    time (48) | 7 | counter, high 12 | 10 | counter, low 2; mark (12) | mix (48)

`mark` and `mix` are a fixed hash of the key, so that a mistyped id is recognised and no table of ids is needed.
A delivery's id is its notification's UUID with the last 48 bits replaced by the target's row id. It is what APNs gets as
`apns-id`: the same after a crash, unique for each delivery, and it leads from Apple's console back to the notification.
"""

from __future__ import annotations

import re
import struct
from functools import lru_cache

from wakeline.model.errors import NotFound

COUNTER_BITS = 14
TARGET_BITS = 48
HEAD = 24
"""Characters of an id before the 48 bits that tell deliveries apart."""

_KEYS_IN_USE = 4096
# A notification is written out four times between its 202 and its last event, within a second: answer, apns-id, collapse id,
# event. Looking the text up takes a tenth of making it.

_MASK60 = (1 << 60) - 1
_MASK48 = (1 << 48) - 1
_HALVES = struct.Struct(">QQ").pack
_ODD = 0x9E3779B97F4A7C15 & _MASK60 | 1
_TEXT = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")


def _mix(key: int) -> int:
    """Spread a key over 60 bits; a bijection, so that two keys never share a hash."""
    mixed = key & _MASK60
    mixed = (mixed ^ (mixed >> 29)) * _ODD & _MASK60
    return mixed ^ (mixed >> 31)


def key_at(milliseconds: int, counter: int) -> int:
    """Return the key for a Unix time in milliseconds and a counter below 2**14."""
    return milliseconds << COUNTER_BITS | counter


def milliseconds_of(key: int) -> int:
    """Return the Unix time in milliseconds at which the key was made."""
    return key >> COUNTER_BITS


@lru_cache(maxsize=_KEYS_IN_USE)
def uuid_of(key: int) -> str:
    """Return the UUIDv7 by which the world knows this key."""
    first = key >> COUNTER_BITS << 16 | 0x7000 | key >> 2 & 0xFFF
    digits = _HALVES(first, 0x8000 << 48 | (key & 3) << 60 | _mix(key)).hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def head_of(key: int) -> str:
    """Return the `HEAD` characters that the ids of a notification and of all its deliveries share."""
    return uuid_of(key)[:HEAD]


def delivery_id(key: int, target: int) -> str:
    """Return the id of the delivery of notification `key` to the target with that row id."""
    return f"{head_of(key)}{target:012x}"


def parse(text: str) -> tuple[int, int | None]:
    """Return (key, None) for a notification's id and (key, target row id) for a delivery's.

    Raises NotFound when the text is no id of ours: whoever asks for it is told the same as for an absent one.
    """
    lowered = text.lower()
    if not _TEXT.match(lowered) or lowered[14] != "7":
        raise NotFound(f"{text[:64]!r} is not an id of this gateway", fix="Use the id that the 202 answer gave.")
    digits = lowered.replace("-", "")
    group = int(digits[16:20], 16)
    key = int(digits[:12], 16) << COUNTER_BITS | int(digits[13:16], 16) << 2 | group >> 12 & 3
    if f"{group:04x}" != head_of(key)[19:23]:
        raise NotFound(f"{text[:64]!r} is not an id of this gateway", fix="Use the id that the 202 answer gave.")
    tail = int(digits[20:], 16)
    return (key, None) if tail == _mix(key) & _MASK48 else (key, tail)


def parse_key(text: str) -> int:
    """Return the key of a notification's id; a delivery's id leads to its notification. Raises NotFound."""
    return parse(text)[0]


def uuid_at(created: int, number: int) -> str:
    """Return the UUIDv7 of a stored thing that is no notification: when it was made (Unix ms) and its row id."""
    return uuid_of(key_at(created, number & (1 << COUNTER_BITS) - 1))
