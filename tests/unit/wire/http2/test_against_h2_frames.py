"""Answers in every encoding that RFC 7541 and RFC 9113 allow, also those that h2 itself never writes.

Frames are made by hyperframe, Huffman strings by hpack; the encodings are drawn. Whatever the encoding and wherever the
bytes are cut, the same answers must come out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest

import msgspec
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived
from hpack.hpack import encode_integer
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hpack.table import HeaderTable
from hyperframe.frame import (
    AltSvcFrame,
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzing import REPEATABLE, examples
from wakeline.wire.http2 import Answer, Answered, Connection, Fields, RequestBatch

HUFFMAN = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)
STATIC = HeaderTable.STATIC_TABLE
STABLE: Fields = ((b":method", b"POST"), (b":scheme", b"https"), (b":authority", b"push.example"))


class Sent(msgspec.Struct, frozen=True):
    """One answer as the server means it, and the frames that carry it."""

    status: int
    fields: Fields
    body: bytes
    frames: list[Callable[[int], Frame]]

    def __repr__(self) -> str:
        return f"Sent({self.status}, {self.fields}, {len(self.body)} bytes)"


# --- HPACK, all representations (RFC 7541 section 6) -----------------------------------------------------------------


@st.composite
def string(draw: st.DrawFn, text: bytes) -> bytes:
    if draw(st.booleans()):
        packed = HUFFMAN.encode(text)
        return _prefixed(0x80, 7, len(packed)) + packed
    return _prefixed(0, 7, len(text)) + text


def _prefixed(pattern: int, bits: int, value: int) -> bytes:
    encoded = encode_integer(value, bits)
    encoded[0] |= pattern
    return bytes(encoded)


@st.composite
def field(draw: st.DrawFn, name: bytes, value: bytes) -> bytes:
    """A field: indexed if the static table has it and the dice say so, else one of the three literals."""
    indexed, named = draw(st.booleans()), draw(st.booleans())
    whole = [index for index, entry in enumerate(STATIC, 1) if entry == (name, value)]
    if whole and indexed:
        return _prefixed(0x80, 7, whole[0])
    pattern, bits = draw(st.sampled_from([(0x00, 4), (0x10, 4), (0x40, 6)]))
    names = [index for index, entry in enumerate(STATIC, 1) if entry[0] == name]
    if names and named:
        return _prefixed(pattern, bits, draw(st.sampled_from(names))) + draw(string(value))
    return bytes([pattern]) + draw(string(name)) + draw(string(value))


@st.composite
def block(draw: st.DrawFn, fields: Fields) -> bytes:
    """A header block; our table has size 0, and a server may say so again in front (section 4.2)."""
    updates = b"\x20" * draw(st.sampled_from([0, 0, 0, 1, 2]))
    return updates + b"".join(draw(field(name, value)) for name, value in fields)


# --- frames (RFC 9113 section 6) -------------------------------------------------------------------------------------


@st.composite
def header_frames(draw: st.DrawFn, fields: Fields, *, ends: bool) -> list[Callable[[int], Frame]]:
    """HEADERS with or without padding and priority, and as many CONTINUATION as drawn; some may be empty."""
    data = draw(block(fields))
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=3)))
    parts = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    padding, priority = draw(st.none() | st.integers(0, 255)), draw(st.booleans())

    def head(stream: int) -> Frame:
        frame = HeadersFrame(stream, data=parts[0])
        frame.flags |= {"END_STREAM"} if ends else set()
        frame.flags |= {"END_HEADERS"} if len(parts) == 1 else set()
        if padding is not None:
            frame.flags.add("PADDED")
            frame.pad_length = padding
        if priority:
            frame.flags.add("PRIORITY")
            frame.depends_on, frame.stream_weight = 0, 15
        return frame

    def continuation(part: bytes, *, last: bool) -> Callable[[int], Frame]:
        flags = ["END_HEADERS"] if last else []
        return lambda stream: ContinuationFrame(stream, data=part, flags=flags)

    return [head, *(continuation(parts[at], last=at == len(parts) - 1) for at in range(1, len(parts)))]


def data_frame(part: bytes, padding: int | None, *, ends: bool) -> Callable[[int], Frame]:
    def make(stream: int) -> Frame:
        frame = DataFrame(stream, data=part, flags=["END_STREAM"] if ends else [])
        if padding is not None:
            frame.flags.add("PADDED")
            frame.pad_length = padding
        return frame

    return make


TOKEN = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=12).map(str.encode)
VALUE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=40).map(str.encode)
COMMON = st.sampled_from([(b"content-type", b"application/json"), (b"content-length", b"33"), (b"accept", b"")])
FIELDS = st.lists(COMMON | st.tuples(TOKEN, VALUE), max_size=4).map(tuple)


@st.composite
def answer(draw: st.DrawFn) -> Sent:
    """Interim answers, a head, a body in pieces, perhaps trailers."""
    status = draw(st.sampled_from([200, 200, 204, 400, 404, 410, 429, 500, 503]) | st.integers(200, 599))
    fields: Fields = draw(FIELDS)
    parts = draw(st.lists(st.binary(max_size=200), max_size=3))
    trailers: Fields | None = draw(st.none() | st.just(((b"x-trailer", b"1"),)))
    frames: list[Callable[[int], Frame]] = []
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        frames += draw(header_frames(((b":status", b"103"), (b"link", b"</a>")), ends=False))
    head: Fields = ((b":status", b"%d" % status), *fields)
    frames += draw(header_frames(head, ends=not parts and trailers is None))
    for number, part in enumerate(parts, 1):
        ends = number == len(parts) and trailers is None
        frames.append(data_frame(part, draw(st.none() | st.integers(0, 255)), ends=ends))
    if trailers is not None:
        frames += draw(header_frames(trailers, ends=True))
    return Sent(status=status, fields=fields, body=b"".join(parts), frames=frames)


NOISE: st.SearchStrategy[Callable[[int], Frame]] = st.sampled_from(
    [
        lambda _: AltSvcFrame(0, origin=b"https://push.example", field=b'h3=":443"'),
        lambda _: PingFrame(0, opaque_data=b"sameping"),
        lambda stream: PriorityFrame(stream, depends_on=0, stream_weight=3),
        lambda _: SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 70_000}),
        lambda _: SettingsFrame(0, settings={0xF00D: 1}),
        lambda _: WindowUpdateFrame(0, window_increment=9),
        lambda stream: WindowUpdateFrame(stream, window_increment=9),
    ]
)


# --- the tests -------------------------------------------------------------------------------------------------------


def opened(count: int, *, keep: bool) -> Connection:
    """A connection with `count` requests on streams 1, 3, 5 ... written and unanswered."""
    connection = Connection(now=0.0)
    connection.receive(SettingsFrame(0).serialize(), 0.0)
    batch = RequestBatch(
        stable=STABLE,
        paths=[b"/%d" % index for index in range(count)],
        body=b"{}",
        deadline=1e9,
        on_answers=_ignored,
        keep_bodies=keep,
    )
    assert connection.send(batch, range(count)) == count
    connection.take()
    return connection


def _ignored(batch: RequestBatch, accepted: Sequence[int], others: list[tuple[int, Answer]]) -> None:
    """Answers are read from what `receive` returns."""


def collected(parts: list[list[Answered]]) -> dict[int, Answer | None]:
    """What was told for each request, each at most once; None: accepted, unread."""
    told: dict[int, Answer | None] = {}
    for part in (part for some in parts for part in some):
        assert not part.refused
        for index, result in [*((index, None) for index in part.accepted), *part.others]:
            assert index not in told
            told[index] = result
    return told


@st.composite
def conversations(draw: st.DrawFn) -> tuple[list[Sent], bytes]:
    """Answers to some requests and their bytes: interleaved frame by frame, with noise where frames may stand."""
    sent = draw(st.lists(answer(), min_size=1, max_size=4))
    lanes = [[(frame, 2 * index + 1) for frame in one.frames] for index, one in enumerate(sent)]
    rows = zip_longest(*lanes) if draw(st.booleans()) else lanes
    pending = [turn for row in rows for turn in row if turn]
    output = b""
    while pending:
        make, stream = pending.pop(0)
        frame = make(stream)
        output += frame.serialize()
        while isinstance(frame, HeadersFrame | ContinuationFrame) and "END_HEADERS" not in frame.flags:
            position = next(at for at, (_, owner) in enumerate(pending) if owner == stream)
            frame = pending.pop(position)[0](stream)  # nothing may stand between the parts of a block
            output += frame.serialize()
        for noise in draw(st.lists(NOISE, max_size=1)):
            output += noise(stream).serialize()
    return sent, output


@settings(max_examples=examples(200), deadline=None, derandomize=REPEATABLE)
@given(conversations(), st.booleans(), st.lists(st.integers(0, 3000), max_size=6))
def test_any_encoding_gives_the_same_answers(
    conversation: tuple[list[Sent], bytes], keep: bool, cuts: list[int]
) -> None:
    sent, data = conversation
    borders = sorted({min(cut, len(data)) for cut in cuts})
    pieces = [data[start:end] for start, end in zip([0, *borders], [*borders, len(data)], strict=True)]
    connection = opened(len(sent), keep=keep)

    told = collected([connection.receive(piece, 0.0) for piece in pieces])

    assert connection.error is None
    assert set(told) == set(range(len(sent)))
    for index, one in enumerate(sent):
        got = told[index]
        if one.status == 200 and not keep:
            assert got is None
        else:
            assert got is not None
            assert (got.status, got.body, got.lost) == (one.status, one.body, None)
            assert got.headers == list(one.fields)


@settings(max_examples=examples(60), deadline=None, derandomize=REPEATABLE)
@given(conversations(), st.booleans())
def test_bytes_one_by_one_give_what_one_read_gives(conversation: tuple[list[Sent], bytes], keep: bool) -> None:
    sent, data = conversation
    whole, slow = opened(len(sent), keep=keep), opened(len(sent), keep=keep)

    at_once = collected([whole.receive(data, 0.0)])
    one_by_one = collected([slow.receive(data[at : at + 1], 0.0) for at in range(len(data))])

    assert one_by_one == at_once
    assert slow.take() == whole.take()


@settings(max_examples=examples(200), deadline=None, derandomize=REPEATABLE)
@given(conversations(), st.data())
def test_damaged_bytes_end_the_connection_or_a_stream_and_nothing_else(
    conversation: tuple[list[Sent], bytes], data: st.DataObject
) -> None:
    sent, intact = conversation
    broken = bytearray(intact)
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    connection = opened(len(sent), keep=True)

    told = collected([connection.receive(bytes(broken), 0.0)])
    refused = [index for part in connection.collect() for index in part.refused]
    left = collected([connection.abandon("the end")])

    assert sorted([*told, *left, *refused]) == list(range(len(sent)))


@pytest.mark.parametrize("length", [16_300, 16_384, 20_000, 40_000])
def test_a_request_head_longer_than_a_frame_arrives_whole(length: int) -> None:
    server = H2Connection(H2Configuration(client_side=False, header_encoding=None))
    server.initiate_connection()
    connection = Connection(now=0.0)
    connection.receive(server.data_to_send(), 0.0)
    long = (b"x-long", bytes(97 + index % 26 for index in range(length)))
    batch = RequestBatch(stable=STABLE, paths=[b"/1"], body=b"{}", deadline=1e9, on_answers=_ignored, extra=[(long,)])

    assert connection.send(batch, [0]) == 1
    events = server.receive_data(connection.take())

    request = next(event for event in events if isinstance(event, RequestReceived))
    assert long in [(bytes(name), bytes(value)) for name, value in request.headers]
