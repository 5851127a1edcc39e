"""Compact JSON with holes: a payload is written once, and what differs per device is filled in.

Text stays UTF-8 (nothing is escaped that need not be), because limits count bytes. A hole is a NUL byte: JSON never holds
one, since text escapes it, so splitting at NUL cannot meet anything of the caller's.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

HOLE = msgspec.Raw(b"\x00")
"""Put where a device's own number goes."""

LONGEST_NUMBER = 10
"""Digits that a hole is counted with: a badge is a 32-bit number."""

_encoder = msgspec.json.Encoder()


def encode(value: Any) -> bytes:
    """Return compact UTF-8 JSON."""
    return _encoder.encode(value)


class Template(NamedTuple):
    """JSON, split at its holes."""

    parts: tuple[bytes, ...]

    @classmethod
    def of(cls, value: Any) -> Template:
        """Write `value`, which may contain HOLE."""
        return cls(tuple(encode(value).split(b"\x00")))

    @property
    def has_holes(self) -> bool:
        """Tell whether the text differs per device."""
        return len(self.parts) > 1

    @property
    def longest(self) -> int:
        """Return the most bytes that it can have when filled."""
        return sum(map(len, self.parts)) + (len(self.parts) - 1) * LONGEST_NUMBER

    def fill(self, number: int) -> bytes:
        """Return the text with a number in every hole."""
        return str(number).encode().join(self.parts) if len(self.parts) > 1 else self.parts[0]


def merge(inner: dict[str, Any], outer: dict[str, Any]) -> dict[str, Any]:
    """Return `inner` with `outer` laid over it: objects are merged key by key, everything else is replaced."""
    merged = dict(inner)
    for key, value in outer.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
