"""SIP over WebSocket, RFC 6455 and RFC 7118: the handshake, frames of browsers, what breaks the rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeline.wire.sip.framing import KeepAlive
from wakeline.wire.sip.websocket import Heard, Say, WebSocketFramer

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: sip.example.org\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: https://example.org\r\n"
    b"Sec-WebSocket-Protocol: sip\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
MESSAGE = b"OPTIONS sip:bob@example.org SIP/2.0\r\n\r\n"


def masked(opcode: int, payload: bytes, *, final: bool = True, mask: bytes = b"\x01\x02\x03\x04") -> bytes:
    """Return a frame as a browser sends it."""
    length = len(payload)
    first = bytes([opcode | (0x80 if final else 0)])
    if length < 126:
        head = bytes([0x80 | length])
    elif length < 65_536:
        head = b"\xfe" + length.to_bytes(2)
    else:
        head = b"\xff" + length.to_bytes(8)
    return first + head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def opened() -> WebSocketFramer:
    framer = WebSocketFramer()
    framer.feed(HANDSHAKE)
    return framer


def test_the_handshake_is_answered_as_in_rfc_6455_section_1_3() -> None:
    said = WebSocketFramer().feed(HANDSHAKE)
    assert len(said) == 1
    assert isinstance(said[0], Say)
    assert said[0].data.startswith(b"HTTP/1.1 101 ")
    assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in said[0].data
    assert b"\r\nSec-WebSocket-Protocol: sip\r\n" in said[0].data
    assert not said[0].last


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ((b"GET /", b"POST /"), b"400"),
        ((b"HTTP/1.1", b"HTTP/1.0"), b"400"),
        ((b"Upgrade: websocket", b"Upgrade: h2c"), b"400"),
        ((b"keep-alive, Upgrade", b"keep-alive"), b"400"),
        ((b"dGhlIHNhbXBsZSBub25jZQ==", b"short"), b"400"),
        ((b"Protocol: sip", b"Protocol: xmpp, chat"), b"400"),
        ((b"Version: 13", b"Version: 8"), b"426"),
        ((b"Origin: https://example.org", b"X: " + b"x" * 9000), b"400"),
    ],
)
def test_a_handshake_that_is_none_is_refused_and_hung_up_on(change: tuple[bytes, bytes], status: bytes) -> None:
    framer = WebSocketFramer()
    asked = HANDSHAKE.replace(*change)
    said = framer.feed(asked[:8500] if len(asked) > 8500 else asked)
    assert isinstance(said[0], Say)
    assert said[0].last
    assert said[0].data.split()[1] == status
    assert framer.feed(masked(1, MESSAGE)) == []


@pytest.mark.parametrize("length", [0, 125, 126, 5000, 65_535, 65_536 - 4])
def test_a_message_of_any_length_comes_whole_and_leaves_whole(length: int) -> None:
    message = MESSAGE + b"x" * max(0, length - len(MESSAGE))
    assert opened().feed(masked(1, message)) == [message]
    frame = opened().wrap(message)
    assert frame[0] == 0x81
    assert frame.endswith(message)
    assert not frame[1] & 0x80


def test_what_is_no_utf_8_is_binary() -> None:
    assert opened().wrap(b"\xff")[0] == 0x82
    assert opened().feed(masked(2, b"\xff")) == [b"\xff"]


def test_messages_in_parts_with_a_ping_between() -> None:
    framer = opened()
    data = masked(1, MESSAGE[:10], final=False) + masked(9, b"here?") + masked(0, MESSAGE[10:])
    assert framer.feed(data) == [Say(b"\x8a\x05here?"), MESSAGE]


def test_keep_alives() -> None:
    assert opened().feed(masked(1, b"\r\n\r\n") + masked(1, b"\r\n") + masked(10, b"")) == [
        KeepAlive.PING,
        KeepAlive.PONG,
        KeepAlive.PONG,
    ]


def test_a_close_is_answered_and_ends_it() -> None:
    framer = opened()
    assert framer.feed(masked(8, b"\x03\xe8bye") + masked(1, MESSAGE)) == [Say(b"\x88\x02\x03\xe8", last=True)]
    assert framer.feed(masked(1, MESSAGE)) == []


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        pytest.param(b"\x81\x03abc", 1002, id="not masked"),
        pytest.param(b"\xc1" + masked(1, b"abc")[1:], 1002, id="compressed"),
        pytest.param(masked(3, b"abc"), 1002, id="an opcode that is none"),
        pytest.param(masked(11, b""), 1002, id="a control opcode that is none"),
        pytest.param(masked(0, b"abc"), 1002, id="a part of nothing"),
        pytest.param(masked(1, b"a", final=False) + masked(1, b"b"), 1002, id="a message in another"),
        pytest.param(masked(9, b"", final=False), 1002, id="a control frame in parts"),
        pytest.param(masked(9, b"x" * 126), 1002, id="a long control frame"),
        pytest.param(b"\x81\xff" + (1 << 40).to_bytes(8), 1009, id="too large"),
        pytest.param(masked(1, b"x" * 40_000, final=False) + masked(0, b"x" * 40_000), 1009, id="too large in parts"),
        pytest.param(masked(1, b"", final=False) + masked(0, b"", final=False) * 64, 1002, id="parts without end"),
    ],
)
def test_what_breaks_the_rules_closes_it(frame: bytes, code: int) -> None:
    assert opened().feed(frame)[-1] == Say(b"\x88\x02" + code.to_bytes(2), last=True)


@given(
    payloads=st.lists(st.binary(min_size=1, max_size=300), max_size=8),
    cuts=st.lists(st.integers(1, 50), min_size=1, max_size=20),
)
def test_where_reads_end_makes_no_difference(payloads: list[bytes], cuts: list[int]) -> None:
    data = HANDSHAKE + b"".join(masked(2, payload) for payload in payloads)
    framer, at, heard, turn = WebSocketFramer(), 0, list[Heard](), 0
    while at < len(data):
        heard += framer.feed(data[at : at + cuts[turn % len(cuts)]])
        at, turn = at + cuts[turn % len(cuts)], turn + 1
    assert heard == WebSocketFramer().feed(data)
    assert framer.waiting == 0


@given(data=st.binary(max_size=400))
def test_no_bytes_break_it(data: bytes) -> None:
    assert all(item is not None for item in opened().feed(data))
    WebSocketFramer().feed(data)
