from __future__ import annotations

import pytest

from handmade_http2 import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_SIZE,
    GOAWAY,
    HEADERS,
    OK,
    PADDED,
    PING,
    PRIORITY,
    PRIORITY_FLAG,
    PUSH,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW,
    WINDOW_UPDATE,
    accepted,
    batch,
    block,
    connected,
    frame,
    goaway,
    number,
    ok,
    others,
    refused,
    rst_stream,
    send,
    settings,
    split,
    window_update,
)
from wakeline.wire.http2 import ConnectFailure, Connection, ErrorCode, Lost

# --- resets --------------------------------------------------------------------------------------------------------------


def test_a_refused_stream_may_be_sent_again() -> None:
    connection = connected()
    requests = batch(3)
    connection.send(requests, range(3), attempt=2)
    (part,) = connection.receive(rst_stream(3, 7), 0.0)
    assert (part.refused, part.others, part.attempt) == ([1], [], 2)
    assert connection.in_flight == 2


@pytest.mark.parametrize(("code", "name"), [(0, "NO_ERROR"), (2, "INTERNAL_ERROR"), (8, "CANCEL"), (0xEE, "0xee")])
def test_any_other_reset_loses_the_answer(code: int, name: str) -> None:
    connection = connected()
    send(connection, batch(1))
    answer = others(connection.receive(rst_stream(1, code), 0.0))[0]
    assert (answer.lost, answer.status) == (Lost.UNKNOWN, 0)
    assert name in answer.detail


def test_a_refusal_after_the_head_of_an_answer_is_not_believed() -> None:
    connection = connected()
    send(connection, batch(1))
    told = connection.receive(frame(HEADERS, END_HEADERS, 1, OK) + rst_stream(1, 7), 0.0)
    assert refused(told) == []
    assert others(told)[0].lost is Lost.UNKNOWN


def test_a_reset_stops_the_rest_of_a_body() -> None:
    connection = connected((WINDOW, 1))
    send(connection, batch(1))
    connection.receive(rst_stream(1, 7) + window_update(0, 100) + settings((WINDOW, 100)), 0.0)
    assert [one.kind for one in split(connection.take())] == [SETTINGS]


# --- goaway --------------------------------------------------------------------------------------------------------------


def test_goaway_gives_back_what_is_above_and_lets_the_rest_finish() -> None:
    connection = connected()
    send(connection, batch(4))
    assert refused(connection.receive(goaway(3), 0.0)) == [2, 3]
    assert (connection.usable, connection.capacity, connection.in_flight) == (False, 0, 2)
    assert accepted(connection.receive(ok(1) + ok(3), 0.0)) == [0, 1]
    assert connection.in_flight == 0


def test_goaway_keeps_what_apple_says() -> None:
    connection = connected()
    connection.receive(goaway(0, 2, b'{"reason":"BadCertificate"}'), 0.0)
    assert connection.goaway is not None
    assert (connection.goaway.last_stream, connection.goaway.code) == (0, 2)
    assert connection.goaway.debug == b'{"reason":"BadCertificate"}'


def test_a_second_goaway_may_lower_the_last_stream() -> None:
    connection = connected()
    send(connection, batch(3))
    assert connection.receive(goaway(2**31 - 1), 0.0) == []
    assert refused(connection.receive(goaway(1), 0.0)) == [1, 2]
    connection.receive(goaway(9), 0.0)
    assert connection.goaway is not None
    assert connection.goaway.last_stream == 1


def test_nothing_is_sent_after_goaway() -> None:
    connection = connected()
    connection.receive(goaway(2**31 - 1), 0.0)
    assert connection.send(batch(1), range(1)) == 0


def test_our_own_goodbye_is_a_goaway_and_answers_still_count() -> None:
    connection = connected()
    send(connection, batch(1))
    connection.close()
    connection.close()
    assert split(connection.take()) == [(GOAWAY, 0, 0, bytes(8))]
    assert connection.capacity == 0
    assert accepted(connection.receive(ok(1), 0.0)) == [0]


# --- pings ---------------------------------------------------------------------------------------------------------------


def test_pings_are_answered() -> None:
    connection = connected()
    connection.receive(frame(PING, 0, 0, b"12345678"), 0.0)
    assert split(connection.take()) == [(PING, ACK, 0, b"12345678")]


def test_our_ping_waits_for_its_own_answer() -> None:
    connection = connected()
    connection.ping(5.0)
    (ping,) = split(connection.take())
    connection.receive(frame(PING, ACK, 0, b"another!"), 6.0)
    assert connection.ping_sent == 5.0
    connection.receive(frame(PING, ACK, 0, ping.payload), 7.0)
    assert connection.ping_sent is None
    assert connection.last_received == 7.0


# --- deadlines and ends --------------------------------------------------------------------------------------------------


def test_overdue_requests_are_given_up_and_cancelled() -> None:
    connection = connected()
    send(connection, batch(2, deadline=5.0))
    send(connection, batch(1, deadline=9.0))
    connection.receive(ok(1), 1.0)
    assert connection.expire(4.9) == []
    told = connection.expire(5.0)
    assert {index: answer.lost for index, answer in others(told).items()} == {1: Lost.TIMEOUT}
    assert split(connection.take()) == [(RST_STREAM, 0, 3, number(8))]
    assert connection.in_flight == 1
    assert connection.expire(5.1) == []


def test_a_call_sent_later_may_be_overdue_earlier() -> None:
    connection = connected()
    send(connection, batch(1, deadline=100.0))
    call = batch(1, deadline=5.0, call=True)
    send(connection, call)
    assert connection.calls_in_flight == 1
    assert [part.batch for part in connection.expire(6.0)] == [call]
    assert (connection.calls_in_flight, connection.in_flight) == (0, 1)


def test_an_overdue_request_that_was_not_whole_was_not_written() -> None:
    connection = connected((WINDOW, 1))
    send(connection, batch(1, deadline=5.0))
    assert others(connection.expire(5.0))[0].lost is Lost.NOT_WRITTEN
    connection.receive(window_update(1, 10), 6.0)
    assert all(one.kind != DATA for one in split(connection.take()))


def test_an_answer_half_read_can_be_overdue() -> None:
    connection = connected()
    send(connection, batch(1, deadline=5.0))
    connection.receive(frame(HEADERS, END_HEADERS, 1, OK), 1.0)
    assert others(connection.expire(5.0))[0].lost is Lost.TIMEOUT


def test_an_answer_after_its_deadline_is_told_once() -> None:
    connection = connected()
    send(connection, batch(1, deadline=5.0))
    connection.expire(5.0)
    assert connection.receive(ok(1), 6.0) == []
    assert connection.error is None


def test_a_lost_connection_loses_the_answers_of_what_was_sent() -> None:
    connection = connected((WINDOW, 2))
    requests = batch(3, body=[b"12", b"123", b"12"])
    send(connection, requests)
    failure = ConnectFailure("tls_alert", "x")
    answers = others(connection.abandon("gone", failure))
    assert [answers[index].lost for index in range(3)] == [Lost.UNKNOWN, Lost.NOT_WRITTEN, Lost.UNKNOWN]
    assert (answers[0].detail, answers[0].failure) == ("gone", failure)
    assert (connection.in_flight, connection.usable) == (0, False)


def test_calls_in_flight_are_counted() -> None:
    connection = connected()
    send(connection, batch(3, call=True))
    send(connection, batch(3))
    connection.receive(ok(1) + ok(7), 0.0)
    assert (connection.calls_in_flight, connection.in_flight) == (2, 4)


# --- what a peer must not do ---------------------------------------------------------------------------------------------

VIOLATIONS = {
    "DATA on stream 0": (frame(DATA, 0, 0, b"x"), ErrorCode.PROTOCOL_ERROR),
    "DATA on an idle stream": (frame(DATA, 0, 99, b"x"), ErrorCode.PROTOCOL_ERROR),
    "HEADERS on an idle stream": (frame(HEADERS, 5, 99, OK), ErrorCode.PROTOCOL_ERROR),
    "HEADERS on a stream of the server": (frame(HEADERS, 5, 2, OK), ErrorCode.PROTOCOL_ERROR),
    "RST_STREAM on an idle stream": (rst_stream(99, 0), ErrorCode.PROTOCOL_ERROR),
    "RST_STREAM on stream 0": (rst_stream(0, 0), ErrorCode.PROTOCOL_ERROR),
    "RST_STREAM of a wrong size": (frame(RST_STREAM, 0, 1, b"x"), ErrorCode.FRAME_SIZE_ERROR),
    "PUSH_PROMISE": (frame(PUSH_PROMISE, 4, 1, number(2) + OK), ErrorCode.PROTOCOL_ERROR),
    "PRIORITY of a wrong size": (frame(PRIORITY, 0, 1, b"x"), ErrorCode.FRAME_SIZE_ERROR),
    "PING on a stream": (frame(PING, 0, 1, bytes(8)), ErrorCode.PROTOCOL_ERROR),
    "PING of a wrong size": (frame(PING, 0, 0, bytes(7)), ErrorCode.FRAME_SIZE_ERROR),
    "GOAWAY on a stream": (frame(GOAWAY, 0, 1, bytes(8)), ErrorCode.PROTOCOL_ERROR),
    "GOAWAY cut": (frame(GOAWAY, 0, 0, bytes(7)), ErrorCode.PROTOCOL_ERROR),
    "SETTINGS on a stream": (frame(SETTINGS, 0, 1), ErrorCode.PROTOCOL_ERROR),
    "SETTINGS cut": (frame(SETTINGS, 0, 0, bytes(5)), ErrorCode.FRAME_SIZE_ERROR),
    "SETTINGS acknowledgement with content": (frame(SETTINGS, ACK, 0, bytes(6)), ErrorCode.FRAME_SIZE_ERROR),
    "a server that enables push": (settings((PUSH, 1)), ErrorCode.PROTOCOL_ERROR),
    "an initial window over 2^31-1": (settings((WINDOW, 2**31)), ErrorCode.FLOW_CONTROL_ERROR),
    "a frame size under 2^14": (settings((FRAME_SIZE, 16_383)), ErrorCode.PROTOCOL_ERROR),
    "a frame size over 2^24-1": (settings((FRAME_SIZE, 2**24)), ErrorCode.PROTOCOL_ERROR),
    "a window update of nothing": (window_update(0, 0), ErrorCode.PROTOCOL_ERROR),
    "a window over 2^31-1": (window_update(0, 2**31 - 1), ErrorCode.FLOW_CONTROL_ERROR),
    "WINDOW_UPDATE of a wrong size": (frame(WINDOW_UPDATE, 0, 0, b"x"), ErrorCode.FRAME_SIZE_ERROR),
    "WINDOW_UPDATE on an idle stream": (window_update(99, 1), ErrorCode.PROTOCOL_ERROR),
    "a frame over our frame size": (frame(DATA, 0, 1, bytes(16_385)), ErrorCode.FRAME_SIZE_ERROR),
    "padding over its frame": (frame(HEADERS, 5 | PADDED, 1, b"\x02" + OK), ErrorCode.PROTOCOL_ERROR),
    "padding without a length": (frame(DATA, PADDED, 1), ErrorCode.PROTOCOL_ERROR),
    "HEADERS too short for priority": (frame(HEADERS, 5 | PRIORITY_FLAG, 1, b"1234"), ErrorCode.FRAME_SIZE_ERROR),
    "CONTINUATION alone": (frame(CONTINUATION, 4, 1, OK), ErrorCode.PROTOCOL_ERROR),
    "CONTINUATION of another stream": (
        frame(HEADERS, 0, 1, OK) + frame(CONTINUATION, 4, 3, b""),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "another answer inside a header block": (frame(HEADERS, 1, 1, OK) + ok(3), ErrorCode.PROTOCOL_ERROR),
    "an unknown frame inside a header block": (frame(HEADERS, 1, 1, OK) + frame(0xF0, 0, 1), ErrorCode.PROTOCOL_ERROR),
    "DATA beyond the connection window": (
        frame(DATA, 0, 1, bytes(16_384)) * 257,
        ErrorCode.FLOW_CONTROL_ERROR,
    ),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_violation_ends_the_connection_with_the_right_error(name: str) -> None:
    data, code = VIOLATIONS[name]
    connection = connected()
    send(connection, batch(3))
    told = connection.receive(ok(5) + data, 0.0)
    assert accepted(told) == [2]  # what was read before counts
    assert connection.error is not None
    assert connection.error.error_code is code
    last = split(connection.take())[-1]
    assert (last.kind, last.stream, last.payload[4:8]) == (GOAWAY, 0, number(code))
    assert (connection.usable, connection.capacity) == (False, 0)
    assert connection.receive(ok(1), 0.0) == []


def test_the_first_frame_has_to_be_settings() -> None:
    for first in (ok(1), frame(PING, 0, 0, bytes(8)), frame(SETTINGS, ACK, 0), b"HTTP/1.1 400 Bad Request\r\n\r\n"):
        connection = Connection(now=0.0)
        connection.receive(first, 0.0)
        assert connection.error is not None


def test_a_stream_window_error_ends_its_stream_only() -> None:
    for update in (window_update(1, 0), window_update(1, 2**31 - 1)):
        connection = connected((WINDOW, 2**20))
        send(connection, batch(1, body=b"x" * 70_000))  # stopped by the connection's window, its own is open
        assert others(connection.receive(update, 0.0))[0].lost is Lost.UNKNOWN
        assert (connection.error, connection.in_flight) == (None, 0)
        assert split(connection.take())[-1].kind == RST_STREAM


def test_settings_that_overflow_a_stream_window_end_the_connection() -> None:
    connection = connected((WINDOW, 1))
    send(connection, batch(1, body=b"x" * 100_000))
    connection.receive(window_update(1, 65_534), 0.0)  # the connection's window is used up now
    connection.receive(window_update(1, 2**31 - 10) + settings((WINDOW, 2**31 - 1)), 0.0)
    assert connection.error is not None
    assert connection.error.error_code is ErrorCode.FLOW_CONTROL_ERROR


def test_unknown_frames_and_settings_are_ignored() -> None:
    connection = connected()
    send(connection, batch(1))
    noise = frame(0x42, 0xFF, 7, b"?") + settings((0x99, 5)) + frame(PRIORITY, 0, 1, bytes(5))
    assert accepted(connection.receive(noise + ok(1), 0.0)) == [0]


def test_the_reserved_bit_of_stream_ids_is_ignored() -> None:
    connection = connected()
    send(connection, batch(1))
    assert accepted(connection.receive(frame(HEADERS, END_STREAM | END_HEADERS, 2**31 + 1, OK), 0.0)) == [0]


def test_answers_are_counted_whatever_their_status() -> None:
    connection = connected()
    send(connection, batch(3))
    gone = frame(HEADERS, END_STREAM | END_HEADERS, 3, block((":status", "410")))
    connection.receive(ok(1) + gone + rst_stream(5, 2), 0.0)
    assert connection.answers == 2
