"""Request headers as HPACK, with a mirror of the table that the peer's decoder keeps for us (RFC 7541).

Policy: the fields of a batch that repeat ("stable") are put into the table once and cost one byte afterwards; all
others are literals that never enter it, as Apple asks for `:path` and `authorization`. Fields enter only if all of the
batch's stable fields fit together, else two of them would push each other out for ever. Nothing is Huffman-coded:
it would save a few bytes of the first request and cost time in every other.
"""

from __future__ import annotations

from collections import deque
from functools import lru_cache

import msgspec
from hpack.table import HeaderTable

from wakeline.wire.http2.answers import Fields

DEFAULT_TABLE_SIZE = 4096
_OVERHEAD = 32  # RFC 7541 section 4.1
_STATIC_SIZE = HeaderTable.STATIC_TABLE_LENGTH
_STATIC_FIELDS = {field: index for index, field in reversed([*enumerate(HeaderTable.STATIC_TABLE, 1)])}
_STATIC_NAMES = {name: index for index, (name, _) in reversed([*enumerate(HeaderTable.STATIC_TABLE, 1)])}

_REMEMBERED = 256  # callers use few sets of fields; one who makes them up must not fill the memory

_INDEXED = (0x80, 7)
_INCREMENTAL = (0x40, 6)
_RESIZE = (0x20, 5)
_NEVER_INDEXED = (0x10, 4)
_NOT_INDEXED = (0x00, 4)


def integer(value: int, form: tuple[int, int] = (0, 7)) -> bytes:
    """Return an HPACK integer (RFC 7541 section 5.1); `form` is (pattern of the first byte, bits of the prefix)."""
    pattern, bits = form
    limit = (1 << bits) - 1
    if value < limit:
        return bytes((pattern | value,))
    encoded = bytearray((pattern | limit,))
    value -= limit
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


@lru_cache(maxsize=1024)
def text_length(size: int) -> bytes:
    """Return the length in front of a plain string literal (RFC 7541 section 5.2)."""
    return integer(size)


@lru_cache(maxsize=256)
def literal_start(name: bytes) -> bytes:
    """Return a literal field without indexing up to its value's length (RFC 7541 section 6.2.2)."""
    return _literal_name(name, _NOT_INDEXED)


def _literal_name(name: bytes, form: tuple[int, int]) -> bytes:
    index = _STATIC_NAMES.get(name)
    if index:
        return integer(index, form)
    return integer(0, form) + text_length(len(name)) + name


def _literal(name: bytes, value: bytes, form: tuple[int, int]) -> bytes:
    return _literal_name(name, form) + text_length(len(value)) + value


def list_size(fields: Fields) -> int:
    """Return the size that SETTINGS_MAX_HEADER_LIST_SIZE limits (RFC 9113 section 6.5.2)."""
    return sum(len(name) + len(value) + _OVERHEAD for name, value in fields)


class Prefix(msgspec.Struct, frozen=True):
    """The encoded fields of a batch: `before` the `:path` (pseudo-header fields come first) and `after` it."""

    before: bytes
    after: bytes


class Encoder:
    """One connection's encoder."""

    def __init__(self) -> None:
        self._limit = DEFAULT_TABLE_SIZE
        self._announced = DEFAULT_TABLE_SIZE
        self._smallest = DEFAULT_TABLE_SIZE
        self._entries: deque[tuple[bytes, bytes]] = deque()  # the newest first, as the peer counts
        self._size = 0
        self._inserted = 0
        self._settled: dict[Fields, Prefix] = {}

    def resize(self, limit: int) -> None:
        """Obey the peer's SETTINGS_HEADER_TABLE_SIZE; we never use more than the default of 4096 bytes."""
        self._limit = min(limit, DEFAULT_TABLE_SIZE)
        self._smallest = min(self._smallest, self._limit)
        self._evict(self._limit)

    def settled(self, stable: Fields, literal: Fields) -> Prefix | None:
        """Return what serves any number of requests unchanged, or None if the next block has to change the table."""
        known = self._settled.get(stable)
        if known is None or self._smallest != self._announced or self._announced != self._limit:
            return None
        return self._with_literal(known, literal) if literal else known

    def prefix(self, stable: Fields, literal: Fields) -> Prefix:
        """Encode for one request, and change the table as the peer will on reading it: the result has to be sent next."""
        updates = self._size_updates()
        prefix, inserted = self._encode_stable(stable)
        if not inserted:
            if len(self._settled) >= _REMEMBERED:
                self._settled.clear()
            self._settled[stable] = prefix
        if literal:
            prefix = self._with_literal(prefix, literal)
        return Prefix(before=updates + prefix.before, after=prefix.after) if updates else prefix

    def _with_literal(self, prefix: Prefix, literal: Fields) -> Prefix:
        encoded = [_literal(name, value, _NEVER_INDEXED) for name, value in literal]
        return Prefix(before=prefix.before, after=prefix.after + b"".join(encoded))

    def _size_updates(self) -> bytes:
        """Return what a block must begin with after the limit changed (RFC 7541 section 4.2): the smallest, the last."""
        updates = b""
        if self._smallest < min(self._announced, self._limit):
            updates += integer(self._smallest, _RESIZE)
            self._announced = self._smallest
        if self._announced != self._limit:
            updates += integer(self._limit, _RESIZE)
        self._announced = self._smallest = self._limit
        return updates

    def _encode_stable(self, fields: Fields) -> tuple[Prefix, bool]:
        dynamic = tuple(field for field in fields if field not in _STATIC_FIELDS)
        indexing = list_size(dynamic) <= self._limit
        pseudo = [field for field in fields if field[0].startswith(b":")]
        regular = [field for field in fields if not field[0].startswith(b":")]
        known = self._inserted
        before = b"".join([self._stable_field(field, indexing=indexing) for field in pseudo])
        after = b"".join([self._stable_field(field, indexing=indexing) for field in regular])
        return Prefix(before=before, after=after), self._inserted != known

    def _stable_field(self, field: tuple[bytes, bytes], *, indexing: bool) -> bytes:
        index = _STATIC_FIELDS.get(field) or self._find(field)
        if index:
            return integer(index, _INDEXED)
        if not indexing:
            return _literal(*field, _NOT_INDEXED)
        self._insert(field)
        return _literal(*field, _INCREMENTAL)

    def _find(self, field: tuple[bytes, bytes]) -> int:
        try:
            return self._entries.index(field) + _STATIC_SIZE + 1
        except ValueError:
            return 0

    def _insert(self, field: tuple[bytes, bytes]) -> None:
        """Add an entry, as the peer will (RFC 7541 section 4.4); all remembered indexes move by one."""
        size = list_size((field,))
        self._evict(self._limit - size)
        self._entries.appendleft(field)
        self._size += size
        self._inserted += 1
        self._settled.clear()

    def _evict(self, limit: int) -> None:
        while self._size > limit:
            self._size -= list_size((self._entries.pop(),))
            self._settled.clear()
