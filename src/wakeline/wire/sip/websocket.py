"""SIP over WebSocket, the server's side: how phones that are web pages speak (RFC 7118 over RFC 6455).

Bytes go in as they come; whole SIP messages and keep-alives come out as from `framing`, and `Say`: bytes that are written back at
once (the handshake's answer, a pong, a close). One WebSocket message is one SIP message. No extension is agreed to, so nothing is
compressed. Origin is not looked at: what opens a door here is a SIP password, which no page of somebody else knows.
"""

from __future__ import annotations

import base64
import hashlib
import re

import msgspec

from wakeline.wire.sip.framing import Framed, KeepAlive
from wakeline.wire.sip.message import MAX_MESSAGE

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_MAX_HANDSHAKE = 8192
_MAX_PARTS = 64
_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_FIN = 0x80
_PROTOCOL_ERROR, _TOO_BIG = 1002, 1009


class Say(msgspec.Struct, frozen=True):
    """Bytes to write back as they are; `last`: and then close."""

    data: bytes
    last: bool = False


class Nothing(msgspec.Struct, frozen=True):
    """A frame that completes nothing: more may follow in what was read."""


Heard = Framed | Say


class WebSocketFramer:
    """Cuts one connection's bytes into messages, from its handshake on."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._open = False
        self._over = False
        self._parts: list[bytes] = []
        self._begun = False

    @property
    def waiting(self) -> int:
        """Return how many bytes of something unfinished are held."""
        return len(self._buffer) + sum(map(len, self._parts))

    def feed(self, data: bytes) -> list[Heard]:
        """Take bytes; return what they complete, in order. Behind a `Say` that is the last, nothing more is returned."""
        heard: list[Heard] = []
        self._buffer += data
        while not self._over and (item := self._next()) is not None:
            if not isinstance(item, Nothing):
                heard.append(item)
            self._over = isinstance(item, Say) and item.last
        return heard

    def wrap(self, data: bytes) -> bytes:
        """Return a SIP message as a frame: text, or binary where it is no UTF-8 (RFC 7118 section 4.2)."""
        return _frame(_TEXT if _is_utf8(data) else _BINARY, data)

    def _next(self) -> Heard | Nothing | None:
        return self._frame() if self._open else self._handshake()

    # --- handshake ---------------------------------------------------------------------------------------------------

    def _handshake(self) -> Heard | None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return _refusal("400 Bad Request") if len(self._buffer) > _MAX_HANDSHAKE else None
        start, *lines = bytes(self._buffer[:end]).decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        fields: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = f"{fields[name]}, {value.strip()}" if name in fields else value.strip()
        return self._answer(start, fields)

    def _answer(self, start: str, fields: dict[str, str]) -> Say:
        """Agree to speak SIP (RFC 6455 section 4.2, RFC 7118 section 4.1), or say why not."""
        asks = start.startswith("GET ") and start.endswith(" HTTP/1.1") and "websocket" in _items(fields, "upgrade")
        key = fields.get("sec-websocket-key", "")
        if not asks or "upgrade" not in _items(fields, "connection") or _KEY.fullmatch(key) is None:
            return _refusal("400 Bad Request")
        if fields.get("sec-websocket-version") != "13":
            return _refusal("426 Upgrade Required", "Sec-WebSocket-Version: 13\r\n")
        if "sip" not in _items(fields, "sec-websocket-protocol"):
            return _refusal("400 Bad Request")
        self._open = True
        accept = base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()
        return Say(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: sip\r\n\r\n".encode()
        )

    # --- frames ------------------------------------------------------------------------------------------------------

    def _frame(self) -> Heard | Nothing | None:
        """Read one frame (RFC 6455 section 5.2)."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        first, second = buffer[0], buffer[1]
        opcode, length, head = first & 0x0F, second & 0x7F, 2
        if first & 0x70 or not second & 0x80 or (opcode >= _CLOSE and (length > 125 or not first & _FIN)):
            return _closing(_PROTOCOL_ERROR)
        if length >= 126:
            size = 2 if length == 126 else 8
            if len(buffer) < head + size:
                return None
            length, head = int.from_bytes(buffer[head : head + size]), head + size
        if length + self.waiting - len(buffer) > MAX_MESSAGE:
            return _closing(_TOO_BIG)
        if len(buffer) < head + 4 + length:
            return None
        payload = _unmasked(buffer[head : head + 4], buffer[head + 4 : head + 4 + length])
        del buffer[: head + 4 + length]
        return self._control(opcode, payload) if opcode >= _CLOSE else self._part(opcode, payload, bool(first & _FIN))

    def _control(self, opcode: int, payload: bytes) -> Heard | Nothing:
        match opcode:
            case 0x8:  # close
                return Say(_frame(_CLOSE, payload[:2]), last=True)
            case 0x9:  # ping
                return Say(_frame(_PONG, payload))
            case 0xA:  # pong
                return KeepAlive.PONG
            case _:
                return _closing(_PROTOCOL_ERROR)

    def _part(self, opcode: int, payload: bytes, final: bool) -> Heard | Nothing:
        """Put the frames of one message together (RFC 6455 section 5.4)."""
        in_order = opcode in (_CONTINUATION, _TEXT, _BINARY) and self._begun == (opcode == _CONTINUATION)
        if not in_order or len(self._parts) >= _MAX_PARTS:
            return _closing(_PROTOCOL_ERROR)
        self._begun = not final
        self._parts.append(payload)
        if not final:
            return Nothing()
        whole = b"".join(self._parts)
        self._parts.clear()
        if whole.strip(b"\r\n"):
            return whole
        return KeepAlive.PING if len(whole) >= 4 else KeepAlive.PONG


def _items(fields: dict[str, str], name: str) -> list[str]:
    return [item.strip().lower() for item in fields.get(name, "").split(",")]


def _refusal(status: str, more: str = "") -> Say:
    return Say(f"HTTP/1.1 {status}\r\n{more}Connection: close\r\nContent-Length: 0\r\n\r\n".encode(), last=True)


def _closing(code: int) -> Say:
    return Say(_frame(_CLOSE, code.to_bytes(2)), last=True)


def _frame(opcode: int, payload: bytes) -> bytes:
    """Return a frame of a server: whole and not masked."""
    length = len(payload)
    if length < 126:
        head = bytes((_FIN | opcode, length))
    elif length < 65_536:
        head = bytes((_FIN | opcode, 126)) + length.to_bytes(2)
    else:
        head = bytes((_FIN | opcode, 127)) + length.to_bytes(8)
    return head + payload


def _unmasked(mask: bytearray, payload: bytearray) -> bytes:
    """Return a payload without its mask, as one large number: a loop over bytes would cost more than all else."""
    length = len(payload)
    repeated = bytes(mask) * (length // 4 + 1)
    return (int.from_bytes(payload) ^ int.from_bytes(repeated[:length])).to_bytes(length)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
