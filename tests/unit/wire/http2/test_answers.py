from __future__ import annotations

import pytest

from handmade_http2 import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    OK,
    PADDED,
    PRIORITY_FLAG,
    RST_STREAM,
    STREAMS,
    WINDOW_UPDATE,
    accepted,
    batch,
    block,
    connected,
    frame,
    ok,
    others,
    send,
    split,
)
from wakeline.wire.http2 import BODY_LIMIT, Answered, Connection, ErrorCode, Lost, RequestBatch

WHOLE = END_STREAM | END_HEADERS
GONE = block((":status", "410"), ("apns-id", "7"))


def one_request(*, keep_bodies: bool = False) -> tuple[Connection, RequestBatch]:
    connection = connected((STREAMS, 100))
    requests = batch(1, keep_bodies=keep_bodies)
    send(connection, requests)
    return connection, requests


def test_a_plain_200_is_told_by_its_position() -> None:
    connection, requests = one_request()
    (part,) = connection.receive(ok(1), 0.0)
    assert (part.batch, part.accepted, part.others, part.refused) == (requests, [0], [], [])
    assert connection.in_flight == 0


def test_answers_in_any_order_find_their_requests() -> None:
    connection = connected()
    send(connection, batch(5))
    told = connection.receive(ok(7) + ok(1) + frame(HEADERS, WHOLE, 5, GONE) + ok(9), 0.0)
    assert accepted(told) == [3, 0, 4]
    assert {index: answer.status for index, answer in others(told).items()} == {2: 410}
    assert connection.in_flight == 1


def test_answers_of_several_batches_in_one_read_come_batch_by_batch() -> None:
    connection = connected()
    first, second = batch(2), batch(2)
    send(connection, first)
    send(connection, second)
    told = connection.receive(ok(5) + ok(1) + ok(7) + ok(3), 0.0)
    assert {id(part.batch): sorted(part.accepted) for part in told} == {id(first): [0, 1], id(second): [0, 1]}
    assert len(told) == 2


ANSWERS = (
    ok(1)
    + frame(HEADERS, END_HEADERS, 3, GONE)
    + frame(DATA, 0, 3, b'{"reason":')
    + frame(DATA, END_STREAM, 3, b'"Unregistered"}')
    + frame(HEADERS, END_STREAM, 5, b"")
    + frame(CONTINUATION, END_HEADERS, 5, OK)
    + frame(0xFA, 0, 5, b"unknown")
    + ok(7)
)


@pytest.mark.parametrize("cut", range(len(ANSWERS) + 1))
def test_frames_may_be_cut_at_every_byte(cut: int) -> None:
    connection = connected()
    send(connection, batch(4))
    told = connection.receive(ANSWERS[:cut], 0.0) + connection.receive(ANSWERS[cut:], 0.0)
    assert sorted(accepted(told)) == [0, 2, 3]
    assert others(told)[1].body == b'{"reason":"Unregistered"}'


def test_bytes_may_come_one_by_one() -> None:
    connection = connected()
    send(connection, batch(4))
    told = [part for byte in ANSWERS for part in connection.receive(bytes((byte,)), 0.0)]
    assert sorted(accepted(told)) == [0, 2, 3]
    assert others(told)[1].status == 410


@pytest.mark.parametrize("status", [200, 204, 206, 304, 400, 403, 404, 410, 413, 429, 500, 503])
@pytest.mark.parametrize("huffman", [True, False])
@pytest.mark.parametrize("update", [b"", b"\x20"])
def test_every_spelling_of_a_status_is_read(*, status: int, huffman: bool, update: bytes) -> None:
    connection, _ = one_request(keep_bodies=True)
    encoded = update + block((":status", str(status)), ("apns-id", "a-b"), huffman=huffman)
    answer = others(connection.receive(frame(HEADERS, WHOLE, 1, encoded), 0.0))[0]
    assert (answer.status, answer.headers, answer.header(b"apns-id")) == (status, [(b"apns-id", b"a-b")], b"a-b")


@pytest.mark.parametrize("start", [b"\x08", b"\x18", b"\x48"])
def test_a_status_as_a_literal_of_any_kind_is_read(start: bytes) -> None:
    connection, _ = one_request()
    assert accepted(connection.receive(frame(HEADERS, WHOLE, 1, start + b"\x03200"), 0.0)) == [0]


def test_a_200_is_kept_with_its_body_where_wanted() -> None:
    connection, _ = one_request(keep_bodies=True)
    head = frame(HEADERS, END_HEADERS, 1, OK)
    answer = others(connection.receive(head + frame(DATA, END_STREAM, 1, b'{"name":"x"}'), 0.0))[0]
    assert (answer.status, answer.body, answer.lost) == (200, b'{"name":"x"}', None)


def test_a_200_without_body_is_kept_where_wanted() -> None:
    connection, _ = one_request(keep_bodies=True)
    assert others(connection.receive(ok(1), 0.0))[0].status == 200


def test_a_200_with_a_body_nobody_wants_counts_as_accepted() -> None:
    connection, _ = one_request()
    told = connection.receive(frame(HEADERS, END_HEADERS, 1, OK) + frame(DATA, END_STREAM, 1, b"hello"), 0.0)
    assert accepted(told) == [0]


def test_interim_answers_are_passed_over() -> None:
    connection, _ = one_request()
    early = frame(HEADERS, END_HEADERS, 1, block((":status", "103"), ("link", "</x>")))
    assert connection.receive(early * 2, 0.0) == []
    assert accepted(connection.receive(ok(1), 0.0)) == [0]


def test_an_interim_answer_must_not_end_the_stream() -> None:
    connection, _ = one_request()
    told = connection.receive(frame(HEADERS, WHOLE, 1, block((":status", "100"))), 0.0)
    assert others(told)[0].lost is Lost.UNKNOWN
    assert split(connection.take())[-1].kind == RST_STREAM


def test_trailers_end_an_answer() -> None:
    connection, _ = one_request()
    head = frame(HEADERS, END_HEADERS, 1, GONE)
    trailers = frame(HEADERS, WHOLE, 1, block(("grpc-status", "0")))
    answer = others(connection.receive(head + frame(DATA, 0, 1, b"x") + trailers, 0.0))[0]
    assert (answer.status, answer.body) == (410, b"x")


def test_a_second_200_on_a_stream_is_a_trailer_and_no_answer_of_its_own() -> None:
    connection, _ = one_request()
    told = connection.receive(frame(HEADERS, END_HEADERS, 1, GONE) + ok(1), 0.0)
    assert accepted(told) == []
    assert others(told)[0].status == 410


def test_trailers_that_do_not_end_the_stream_lose_the_answer() -> None:
    connection, _ = one_request()
    head = frame(HEADERS, END_HEADERS, 1, GONE)
    told = connection.receive(head + frame(HEADERS, END_HEADERS, 1, block(("x", "y"))), 0.0)
    assert others(told)[0].lost is Lost.UNKNOWN


def test_padding_of_headers_and_data_is_cut() -> None:
    connection, _ = one_request()
    head = frame(HEADERS, END_HEADERS | PADDED, 1, b"\x05" + GONE + bytes(5))
    data = frame(DATA, END_STREAM | PADDED, 1, b"\x03abc" + bytes(3))
    assert others(connection.receive(head + data, 0.0))[0].body == b"abc"


def test_priority_in_headers_is_passed_over() -> None:
    connection, _ = one_request()
    told = connection.receive(frame(HEADERS, WHOLE | PRIORITY_FLAG | PADDED, 1, b"\x01" + bytes(5) + OK + b"\0"), 0.0)
    assert accepted(told) == [0]


def test_a_header_block_in_many_continuations_is_put_together() -> None:
    connection, _ = one_request()
    encoded = block((":status", "503"), ("retry-after", "7"), ("x", "y" * 50))
    first, *middle, last = [encoded[at : at + 3] for at in range(0, len(encoded), 3)]
    frames = [frame(HEADERS, END_STREAM, 1, first)]
    frames += [frame(CONTINUATION, 0, 1, part) for part in middle]
    frames += [frame(CONTINUATION, END_HEADERS, 1, last)]
    answer = others(connection.receive(b"".join(frames), 0.0))[0]
    assert (answer.status, answer.header(b"retry-after")) == (503, b"7")


def test_a_header_block_without_end_ends_the_connection() -> None:
    connection, _ = one_request()
    connection.receive(frame(HEADERS, 0, 1, OK) + frame(CONTINUATION, 0, 1, b"") * 100, 0.0)
    assert connection.error is not None
    assert connection.error.error_code is ErrorCode.ENHANCE_YOUR_CALM


def test_a_block_that_cannot_be_decoded_ends_the_connection() -> None:
    connection, _ = one_request()
    connection.receive(frame(HEADERS, WHOLE, 1, b"\xff\xff\xff"), 0.0)
    assert connection.error is not None
    assert connection.error.error_code is ErrorCode.COMPRESSION_ERROR


def test_a_block_that_needs_the_table_we_do_not_have_ends_the_connection() -> None:
    connection, _ = one_request()
    connection.receive(frame(HEADERS, WHOLE, 1, b"\x3f\xe1\x1f" + OK), 0.0)  # a table of 4096 bytes
    assert connection.error is not None
    assert connection.error.error_code is ErrorCode.COMPRESSION_ERROR


@pytest.mark.parametrize("broken", [b"", block(("server", "x")), b"\x08\x0299", b"\x08\x03abc", b"\x08\x03099"])
def test_an_answer_without_a_proper_status_ends_its_stream_only(broken: bytes) -> None:
    connection, _ = one_request()
    answer = others(connection.receive(frame(HEADERS, WHOLE, 1, broken), 0.0))[0]
    assert (answer.status, answer.lost) == (0, Lost.UNKNOWN)
    assert connection.error is None
    assert split(connection.take())[-1][:3] == (RST_STREAM, 0, 1)


def test_data_before_the_head_of_an_answer_ends_its_stream_only() -> None:
    connection, _ = one_request()
    assert others(connection.receive(frame(DATA, END_STREAM, 1, b"x"), 0.0))[0].lost is Lost.UNKNOWN
    assert connection.error is None


def test_headers_of_a_broken_block_read_as_none_when_somebody_looks() -> None:
    connection, _ = one_request(keep_bodies=True)
    answer = others(connection.receive(frame(HEADERS, WHOLE, 1, OK + b"\x40\x7f"), 0.0))[0]
    assert (answer.status, answer.headers, answer.header(b"x")) == (200, [], b"")


def test_a_huge_answer_is_cut_and_its_stream_reset() -> None:
    connection, _ = one_request(keep_bodies=True)
    connection.receive(frame(HEADERS, END_HEADERS, 1, OK), 0.0)
    told: list[Answered] = []
    while not told:
        told = connection.receive(frame(DATA, 0, 1, b"x" * 16_000), 0.0)
    answer = others(told)[0]
    assert (answer.status, len(answer.body)) == (200, BODY_LIMIT)
    assert "cut" in answer.detail
    assert split(connection.take())[-1] == (RST_STREAM, 0, 1, b"\0\0\0\x08")


def test_received_data_and_padding_is_returned_to_both_windows() -> None:
    connection, _ = one_request()
    connection.receive(frame(HEADERS, END_HEADERS, 1, GONE), 0.0)
    padded = frame(DATA, PADDED, 1, b"\xff" + bytes(255))
    returned = {0: 0, 1: 0}
    for _ in range(100):
        connection.receive(padded * 100, 0.0)
        for one in split(connection.take()):
            assert one.kind == WINDOW_UPDATE
            returned[one.stream] += int.from_bytes(one.payload, "big")
    sent = 100 * 100 * 256
    assert sent - returned[0] < 4 * 1024 * 1024
    assert sent - returned[1] < 131_072
    assert connection.error is None


def test_late_frames_of_a_stream_that_ended_are_ignored() -> None:
    connection, _ = one_request()
    connection.receive(ok(1), 0.0)
    connection.take()
    late = ok(1) + frame(DATA, END_STREAM, 1, b"x") + frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\x01")
    assert connection.receive(late + frame(RST_STREAM, 0, 1, b"\0\0\0\0"), 0.0) == []
    assert connection.error is None
    assert connection.take() == b""


def test_a_no_error_reset_after_a_whole_answer_is_fine() -> None:
    connection, _ = one_request()
    assert accepted(connection.receive(ok(1) + frame(RST_STREAM, 0, 1, bytes(4)), 0.0)) == [0]
