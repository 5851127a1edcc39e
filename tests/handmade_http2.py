"""A server's half of HTTP/2 made by hand for tests: frames built and read byte by byte, headers by `hpack`.

It imports nothing of `wakeline.wire.http2.frames`: what both sides got wrong together would pass.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple

from hpack import Decoder, Encoder

from wakeline.wire.http2 import Answer, Answered, Connection, Fields, RequestBatch

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY_FLAG = 0x1, 0x1, 0x4, 0x8, 0x20
TABLE_SIZE, PUSH, STREAMS, WINDOW, FRAME_SIZE, LIST_SIZE = 1, 2, 3, 4, 5, 6
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
OK = b"\x88"

STABLE: Fields = (
    (b":method", b"POST"),
    (b":scheme", b"https"),
    (b":authority", b"push.example:443"),
    (b"apns-topic", b"com.example.chat"),
)


class Frame(NamedTuple):
    kind: int
    flags: int
    stream: int
    payload: bytes


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def settings(*pairs: tuple[int, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in pairs))


def number(value: int) -> bytes:
    return struct.pack(">I", value)


def window_update(stream: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, number(increment))


def rst_stream(stream: int, code: int) -> bytes:
    return frame(RST_STREAM, 0, stream, number(code))


def goaway(last: int, code: int = 0, debug: bytes = b"") -> bytes:
    return frame(GOAWAY, 0, 0, number(last) + number(code) + debug)


def block(*fields: tuple[str, str], huffman: bool = True) -> bytes:
    """A header block of an encoder that has no table."""
    encoder = Encoder()
    encoder.header_table_size = 0
    encoded: bytes = encoder.encode(fields, huffman=huffman)
    return encoded[1:] if encoded[:1] == b"\x20" else encoded


def ok(stream: int) -> bytes:
    return frame(HEADERS, END_STREAM | END_HEADERS, stream, OK)


def split(data: bytes) -> list[Frame]:
    """Read whole frames."""
    frames = []
    while data:
        length, kind, flags = int.from_bytes(data[:3], "big"), data[3], data[4]
        frames.append(Frame(kind, flags, int.from_bytes(data[5:9], "big"), data[9 : 9 + length]))
        assert len(frames[-1].payload) == length
        data = data[9 + length :]
    return frames


class Request(NamedTuple):
    stream: int
    fields: list[tuple[bytes, bytes]]
    body: bytes
    whole: bool


class Reader:
    """Puts requests together from frames, with one HPACK decoder for the connection."""

    def __init__(self) -> None:
        self.decoder = Decoder()
        self.fields: dict[int, list[tuple[bytes, bytes]]] = {}
        self.bodies: dict[int, bytes] = {}
        self.whole: set[int] = set()
        self._block = b""

    def read(self, frames: Sequence[Frame]) -> list[Request]:
        """Return every request that these frames touch, as known so far."""
        touched = [one.stream for one in frames if one.kind in {HEADERS, DATA, CONTINUATION}]
        for one in frames:
            if one.kind in {HEADERS, CONTINUATION}:
                self._on_block(one)
            if one.kind == DATA:
                self.bodies[one.stream] += one.payload
            if one.kind in {HEADERS, DATA} and one.flags & END_STREAM:
                self.whole.add(one.stream)
        return [
            Request(stream, self.fields[stream], self.bodies[stream], stream in self.whole)
            for stream in dict.fromkeys(touched)
        ]

    def _on_block(self, one: Frame) -> None:
        self._block += one.payload
        if one.flags & END_HEADERS:
            decoded = self.decoder.decode(self._block, raw=True)
            self.fields[one.stream] = [(bytes(name), bytes(value)) for name, value in decoded]
            self.bodies[one.stream] = b""
            self._block = b""


def ignore(batch: RequestBatch, accepted: Sequence[int], others: list[tuple[int, Answer]]) -> None:
    """An `on_answers` for tests that look at what `receive` returns."""


def batch(
    count: int = 1,
    *,
    body: bytes | Sequence[bytes] = b"{}",
    stable: Fields = STABLE,
    literal: Fields = (),
    own: Callable[[int], Fields] | None = None,
    call: bool = False,
    deadline: float = 10.0,
    keep_bodies: bool = False,
) -> RequestBatch:
    return RequestBatch(
        stable=stable,
        paths=[b"/3/device/%04x" % index for index in range(count)],
        body=body,
        deadline=deadline,
        on_answers=ignore,
        extra=[own(index) for index in range(count)] if own else (),
        literal=literal,
        call=call,
        keep_bodies=keep_bodies,
    )


def connected(*pairs: tuple[int, int], max_streams: int = 1000) -> Connection:
    """A connection whose server has sent these settings; its first words are taken."""
    connection = Connection(now=0.0, max_streams=max_streams)
    connection.receive(settings(*pairs), 0.0)
    connection.take()
    return connection


def send(connection: Connection, requests: RequestBatch) -> list[Frame]:
    """Send as much of a batch as goes and return the frames."""
    connection.send(requests, range(len(requests.paths)))
    return split(connection.take())


def accepted(told: list[Answered]) -> list[int]:
    return [index for part in told for index in part.accepted]


def refused(told: list[Answered]) -> list[int]:
    return [index for part in told for index in part.refused]


def others(told: list[Answered]) -> dict[int, Answer]:
    return {index: answer for part in told for index, answer in part.others}
