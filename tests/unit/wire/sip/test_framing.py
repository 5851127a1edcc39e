"""Messages and keep-alives are cut out of a stream, however it is chopped."""

from __future__ import annotations

import pytest

from wakeline.wire.sip.framing import PING, PONG, BrokenStream, Framed, Framer, KeepAlive

ONE = b"OPTIONS sip:h SIP/2.0\r\nContent-Length: 5\r\nX: y\r\n\r\nhello"
TWO = b"SIP/2.0 200 OK\r\nl:\r\n  0\r\n\r\n"
NONE = b"ACK sip:h SIP/2.0\r\nVia: x\r\n\r\n"


def fed(stream: bytes, step: int) -> list[Framed]:
    framer = Framer()
    return [item for at in range(0, len(stream), step) for item in framer.feed(stream[at : at + step])]


@pytest.mark.parametrize("step", [1, 2, 3, 7, 50, 1000])
def test_messages_are_the_same_in_all_portions(step: int) -> None:
    assert fed(ONE + TWO + NONE + ONE, step) == [ONE, TWO, NONE, ONE]


@pytest.mark.parametrize("step", [4, 1000])
def test_a_ping_stands_between_messages(step: int) -> None:
    stream = PING + ONE + b"" + PING + PING + TWO
    assert [item for item in fed(stream, step) if isinstance(item, KeepAlive)].count(KeepAlive.PING) == 3
    assert [item for item in fed(stream, step) if isinstance(item, bytes)] == [ONE, TWO]


def test_a_single_line_end_is_a_pong() -> None:
    assert Framer().feed(PONG) == [KeepAlive.PONG]
    assert Framer().feed(ONE + PONG + TWO) == [ONE, KeepAlive.PONG, TWO]


def test_a_ping_in_two_reads_is_answered_too() -> None:
    framer = Framer()
    assert framer.feed(b"\r\n") == [KeepAlive.PONG]
    assert framer.feed(b"\r\n") == [KeepAlive.PING]
    assert framer.feed(b"\r\n\r") == []
    assert framer.feed(b"\n") == [KeepAlive.PING]
    assert framer.feed(b"\r") == []
    assert framer.feed(b"\n" + ONE) == [KeepAlive.PONG, ONE]


@pytest.mark.parametrize(
    ("stream", "answer"),
    [
        (b"OPTIONS sip:h SIP/2.0\r\nContent-Length: x\r\n\r\n", 400),
        (b"OPTIONS sip:h SIP/2.0\r\nContent-Length: -5\r\n\r\n", 400),
        (b"OPTIONS sip:h SIP/2.0\r\nContent-Length: 5\r\nl: 6\r\n\r\n", 400),
        (b"OPTIONS sip:h SIP/2.0\r\nContent-Length: 65536\r\n\r\n", 513),
        (b"OPTIONS sip:h SIP/2.0\r\nContent-Length: " + b"9" * 6000 + b"\r\n\r\n", 513),
        (b"OPTIONS sip:h SIP/2.0\r\nX: " + b"y" * 70_000, 513),
        (b"\r\rOPTIONS", 400),
        (b"\nOPTIONS", 400),
    ],
)
def test_a_stream_without_ends_is_broken_for_good(stream: bytes, answer: int) -> None:
    framer = Framer()
    items = framer.feed(ONE + stream)
    assert items[0] == ONE
    broken = items[-1]
    assert isinstance(broken, BrokenStream)
    assert broken.wrong.answer == answer
    assert framer.feed(ONE) == []
    assert framer.waiting == 0


def test_a_message_of_64_kib_is_whole_and_a_larger_one_is_too_large() -> None:
    header = b"OPTIONS sip:h SIP/2.0\r\nContent-Length: %d\r\n\r\n"
    body = b"x" * (65_536 - len(header % 65_000))
    assert Framer().feed(header % len(body) + body) == [header % len(body) + body]
    (broken,) = Framer().feed(header % (len(body) + 1))
    assert isinstance(broken, BrokenStream)
    assert broken.wrong.answer == 513


def test_a_ping_is_not_made_of_line_ends_around_a_message() -> None:
    framer = Framer()
    assert framer.feed(PONG) == [KeepAlive.PONG]
    assert framer.feed(ONE) == [ONE]
    assert framer.feed(PONG) == [KeepAlive.PONG]
    assert framer.feed(PING) == [KeepAlive.PING]
    assert framer.feed(PONG) == [KeepAlive.PONG]


def test_what_broke_the_stream_can_be_answered() -> None:
    header = b"OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/TCP h\r\nContent-Length: x\r\n\r\n"
    (broken,) = Framer().feed(header + b"more")
    assert isinstance(broken, BrokenStream)
    assert broken.header == header


def test_bytes_of_an_unfinished_message_are_counted() -> None:
    framer = Framer()
    framer.feed(ONE + ONE[:-1])
    assert framer.waiting == len(ONE) - 1


def test_a_slow_header_costs_no_more_than_it_is_long() -> None:
    framer = Framer()
    header = b"OPTIONS sip:h SIP/2.0\r\nContent-Length: 0" + b" " * 60_000 + b"\r\n\r\n"
    items = [item for at in range(0, len(header), 100) for item in framer.feed(header[at : at + 100])]
    assert items == [header]
