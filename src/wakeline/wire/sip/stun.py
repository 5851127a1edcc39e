"""STUN as a keep-alive between SIP datagrams: who asks for their address is told it (RFC 5626 section 8, RFC 5389).

A phone behind a NAT that registered over UDP sends a Binding Request every half minute: the NAT keeps its mapping, and the answer
says whether that has changed, so that the phone registers again. SIP begins with a letter, STUN with two zero bits.
"""

from __future__ import annotations

import ipaddress
import struct

COOKIE = 0x2112A442
_HEADER = struct.Struct("!HHI12s")
_REQUEST = 0x0001
_SUCCESS = 0x0101
_XOR_MAPPED_ADDRESS = 0x0020
_FAMILIES = {4: 1, 6: 2}


def is_stun(data: bytes) -> bool:
    """Return whether a datagram is STUN and not SIP."""
    return len(data) >= _HEADER.size and data[0] < 0x40 and data[4:8] == COOKIE.to_bytes(4)


def stun_answer(data: bytes, host: str, port: int) -> bytes | None:
    """Return the answer to a Binding Request from there; None if it is none, or bears what a keep-alive does not."""
    kind, length, _, transaction = _HEADER.unpack_from(data)
    if kind != _REQUEST or length != len(data) - _HEADER.size or _asks_more(data[_HEADER.size :]):
        return None
    address = ipaddress.ip_address(host)
    mask = COOKIE.to_bytes(4) + transaction
    hidden = bytes(one ^ other for one, other in zip(address.packed, mask, strict=False))
    value = struct.pack("!BBH", 0, _FAMILIES[address.version], port ^ (COOKIE >> 16)) + hidden
    attribute = struct.pack("!HH", _XOR_MAPPED_ADDRESS, len(value)) + value
    return _HEADER.pack(_SUCCESS, len(attribute), COOKIE, transaction) + attribute


def _asks_more(attributes: bytes) -> bool:
    """Return whether there is an attribute that must be understood: authentication and the like, which nobody set up here."""
    at = 0
    while at + 4 <= len(attributes):
        kind, length = struct.unpack_from("!HH", attributes, at)
        if kind < 0x8000:
            return True
        at += 4 + (length + 3) // 4 * 4
    return False
