"""Chat messages that wait for phones. Times in Unix ms."""

from __future__ import annotations

import msgspec


class WaitingMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A MESSAGE (RFC 3428) that was answered 202 and is kept for the phones of an AoR. `id` grows: it is their order.

    `request` is the request as it goes out, but for its Via and Request-URI. `key` makes a repeated request the same message
    (Call-ID and CSeq, RFC 3261 section 8.2.2.2). `uids` are the phones that have not taken it yet.
    """

    id: int
    aor: str
    request: bytes
    key: str
    call_id: str
    at: int
    expires: int
    uids: tuple[str, ...]
