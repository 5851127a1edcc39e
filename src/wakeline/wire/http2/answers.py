"""What became of a request: an answer, or why there is none; and the lazy reading of answer headers.

We announce SETTINGS_HEADER_TABLE_SIZE = 0, so every header block stands alone and nobody has to decode one that nobody
reads. Only `:status` is looked at: by its first byte where that is an entry of the static table, by a small cache of
literals seen before, and by `hpack` for all else. The fast ways cover exactly the encodings they name and never guess.
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import Literal

import msgspec
from hpack import Decoder, HPACKError

from wakeline.model.errors import RemoteProtocolError
from wakeline.wire.http2.frames import ErrorCode, PeerBroke

Fields = tuple[tuple[bytes, bytes], ...]

STATUS_200 = 0x88
"""RFC 7541 appendix A: static entry 8, `:status: 200`, as an indexed field."""
_INDEXED_STATUS = {0x88: 200, 0x89: 204, 0x8A: 206, 0x8B: 304, 0x8C: 400, 0x8D: 404, 0x8E: 500}
# `:status` (name of entry 8) as a literal: without indexing, never indexed, with incremental indexing.
_LITERAL_STATUS = frozenset({0x08, 0x18, 0x48})
_MAX_HEADER_LIST = 65_536


class Lost(StrEnum):
    """Why a request has no answer, in the order of how little the provider can have done with it."""

    CONNECT = "connect"
    """No connection could be made; never sent. `Answer.failure` says why."""
    NOT_WRITTEN = "not_written"
    """Its deadline passed, or the pool was closed, before it was sent whole."""
    REFUSED = "refused"
    """Sent and not processed (REFUSED_STREAM, or above the last stream of a GOAWAY), several times in a row."""
    TIMEOUT = "timeout"
    """Sent; its deadline passed without an answer. It may have been processed."""
    UNKNOWN = "unknown"
    """Sent; then its stream was reset or its connection died. It may have been processed."""


FailureKind = Literal["dns", "refused", "timeout", "tls_verify", "tls_alert", "alpn", "proxy", "closed"]


class ConnectFailure(msgspec.Struct, frozen=True):
    """Why a connection could not be made, or did not live to its first answer.

    `tls_alert`: the peer ended TLS, or closed a connection on which we present a client certificate before it answered
    anything; with TLS 1.3 that is how a refused certificate looks, after a handshake that succeeded on our side.
    """

    kind: FailureKind
    detail: str


class Malformed(RemoteProtocolError):
    """One answer breaks HTTP (RFC 9113 section 8.1.1); its stream ends, the connection lives."""


class Answer(msgspec.Struct, frozen=True):
    """The answer to one request; `status` is 0 and `lost` says why if there is none.

    `detail` is for people. `failure` is set if the connection never worked. `block` is the header block as received.
    """

    status: int
    body: bytes = b""
    lost: Lost | None = None
    detail: str = ""
    failure: ConnectFailure | None = None
    block: bytes = b""

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The fields without `:status`, names in lower case, decoded at every call; [] if the block is broken."""
        try:
            return [field for field in decode_block(self.block) if not field[0].startswith(b":")]
        except HPACKError:
            return []

    def header(self, name: bytes) -> bytes:
        """Return the first value of a field, or b""."""
        return next((value for key, value in self.headers if key == name), b"")


def decode_block(block: bytes) -> list[tuple[bytes, bytes]]:
    """Decode a whole header block. Raises HPACKError, also for what needs a dynamic table (ours has size 0)."""
    decoder = Decoder(_MAX_HEADER_LIST)
    decoder.header_table_size = 0
    decoder.max_allowed_table_size = 0
    try:
        return [(bytes(name), bytes(value)) for name, value in decoder.decode(block, raw=True)]
    except (IndexError, ValueError) as error:  # a block cut inside a field
        raise HPACKError("the block ends inside a field") from error


def status_of(block: bytes) -> int:
    """Return the status of an answer's header block.

    Raises PeerBroke(COMPRESSION_ERROR) for a block that cannot be decoded, Malformed for one without a proper `:status`.
    """
    first = block[0] if block else 0
    if first in _INDEXED_STATUS:
        return _INDEXED_STATUS[first]
    if first in _LITERAL_STATUS and len(block) > 1 and (size := block[1] & 0x7F) <= 3:
        return _first_status(block[: 2 + size])
    return _first_status(block)


@lru_cache(maxsize=256)
def _first_status(block: bytes) -> int:
    try:
        fields = decode_block(block)
    except HPACKError as error:
        raise PeerBroke(ErrorCode.COMPRESSION_ERROR, f"a header block cannot be decoded: {error}") from error
    name, value = fields[0] if fields else (b"", b"")
    if name != b":status" or len(value) != 3 or not value.isdigit() or value < b"100":
        raise Malformed("an answer without a proper :status in front")
    return int(value)
