from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import pytest

from handmade_http2 import (
    CONTINUATION,
    DATA,
    END_STREAM,
    FRAME_SIZE,
    HEADERS,
    LIST_SIZE,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    STABLE,
    STREAMS,
    TABLE_SIZE,
    WINDOW,
    WINDOW_UPDATE,
    Reader,
    accepted,
    batch,
    connected,
    ok,
    others,
    rst_stream,
    send,
    settings,
    split,
    window_update,
)
from wakeline.wire.http2 import Connection, Ends, Fields, Lost, OneField, RequestBatch


def apns_id(index: int) -> Fields:
    return ((b"apns-id", b"00000000-0000-0000-0000-%012x" % index),)


def test_a_connection_begins_with_the_preface_and_our_settings() -> None:
    data = Connection(now=0.0).take()
    assert data.startswith(PREFACE)
    first, window = split(data[len(PREFACE) :])
    pairs = {
        int.from_bytes(first.payload[at : at + 2], "big"): int.from_bytes(first.payload[at + 2 : at + 6], "big")
        for at in range(0, len(first.payload), 6)
    }
    assert (first.kind, first.flags, first.stream) == (SETTINGS, 0, 0)
    assert pairs == {1: 0, 2: 0, 4: 131_072, 6: 65_536}
    assert (window.kind, window.stream) == (WINDOW_UPDATE, 0)


def test_nothing_is_sent_before_the_server_announced_its_limits() -> None:
    connection = Connection(now=0.0)
    assert connection.capacity == 0
    assert connection.send(batch(3), range(3)) == 0


def test_a_pool_may_allow_requests_before_the_settings() -> None:
    connection = Connection(now=0.0, start_streams=1)
    assert connection.send(batch(3), range(3)) == 1


def test_a_request_carries_its_fields_in_order_and_its_body() -> None:
    connection = connected()
    requests = batch(2, body=b'{"aps":{}}', literal=((b"authorization", b"bearer t"),), own=apns_id)
    first, second = Reader().read(send(connection, requests))
    assert first.stream == 1
    assert first.fields == [
        *STABLE[:3],
        (b":path", b"/3/device/0000"),
        STABLE[3],
        (b"authorization", b"bearer t"),
        *apns_id(0),
    ]
    assert (first.body, first.whole, second.stream) == (b'{"aps":{}}', True, 3)
    assert dict(second.fields)[b":path"] == b"/3/device/0001"


def test_each_request_may_have_its_own_body() -> None:
    sent = Reader().read(send(connected(), batch(3, body=[b"a", b"bb", b""])))
    assert [(request.body, request.whole) for request in sent] == [(b"a", True), (b"bb", True), (b"", True)]


def test_a_request_without_body_ends_with_its_headers() -> None:
    (only,) = send(connected(), batch(1, body=b""))
    assert (only.kind, only.flags & END_STREAM) == (HEADERS, END_STREAM)


def test_a_path_among_the_stable_fields_is_every_requests_path() -> None:
    stable = (*STABLE, (b":path", b"/v1/projects/p/messages:send"))
    sent = Reader().read(send(connected(), batch(3, stable=stable, body=[b"a", b"b", b"c"])))
    assert [[value for name, value in request.fields if name == b":path"] for request in sent] == [
        [b"/v1/projects/p/messages:send"]
    ] * 3
    assert all(not names_after_regular(request.fields) for request in sent)


def names_after_regular(fields: list[tuple[bytes, bytes]]) -> bool:
    seen = [name.startswith(b":") for name, _ in fields]
    return seen != sorted(seen, reverse=True)


def test_requests_with_different_numbers_of_own_fields_are_sent() -> None:
    def own(index: int) -> Fields:
        return tuple((b"x-%d" % at, b"v" * index) for at in range(index % 4))

    sent = Reader().read(send(connected(), batch(12, own=own)))
    assert [request.fields[len(STABLE) + 1 :] for request in sent] == [list(own(index)) for index in range(12)]


def test_only_asked_positions_are_sent_and_told() -> None:
    connection = connected()
    requests = batch(10)
    assert connection.send(requests, [7, 2, 9]) == 3
    paths = [dict(request.fields)[b":path"] for request in Reader().read(split(connection.take()))]
    assert paths == [b"/3/device/0007", b"/3/device/0002", b"/3/device/0009"]
    assert accepted(connection.receive(ok(3) + ok(1) + ok(5), 0.0)) == [2, 7, 9]


# --- concurrency ---------------------------------------------------------------------------------------------------------


def test_requests_beyond_the_stream_limit_stay_unsent() -> None:
    connection = connected((STREAMS, 3))
    requests = batch(5)
    assert connection.send(requests, range(5)) == 3
    assert connection.capacity == 0
    assert connection.send(requests, range(3, 5)) == 0
    connection.receive(ok(3), 0.0)
    assert connection.send(requests, range(3, 5)) == 1


def test_the_stream_limit_may_fall_to_one_and_rise_again() -> None:
    connection = connected((STREAMS, 10))
    send(connection, batch(5))
    connection.receive(settings((STREAMS, 1)), 0.0)
    assert (connection.capacity, connection.in_flight, connection.peer_limit) == (0, 5, 1)
    connection.receive(b"".join(ok(stream) for stream in (1, 3, 5, 7)), 0.0)
    assert connection.capacity == 0
    connection.receive(ok(9), 0.0)
    assert connection.capacity == 1
    connection.receive(settings((STREAMS, 1000)), 0.0)
    assert connection.capacity == 1000


def test_a_limit_of_zero_is_obeyed() -> None:
    assert connected((STREAMS, 0)).capacity == 0


def test_our_own_limit_holds_where_the_server_announces_none() -> None:
    assert connected(max_streams=50).capacity == 50
    assert connected((STREAMS, 2**31), max_streams=50).capacity == 50


def test_settings_are_acknowledged() -> None:
    connection = Connection(now=0.0)
    connection.take()
    connection.receive(settings((STREAMS, 5)), 0.0)
    assert split(connection.take()) == [(SETTINGS, 1, 0, b"")]


def test_stream_ids_run_out() -> None:
    connection = connected()
    connection._out.next_stream = 2**31 - 3
    assert connection.capacity == 2
    assert connection.send(batch(5), range(5)) == 2
    assert (connection.usable, connection.capacity) == (False, 0)
    assert accepted(connection.receive(ok(2**31 - 3) + ok(2**31 - 1), 0.0)) == [0, 1]


def test_a_turn_ends_after_its_bytes() -> None:
    connection = connected()
    assert connection.send(batch(100, body=b"x" * 1000), range(100), max_bytes=10_000) == 10
    assert 10_000 <= connection.unwritten < 12_000
    connection.take()
    assert connection.unwritten == 0


# --- windows and frames --------------------------------------------------------------------------------------------------


def test_a_body_longer_than_a_frame_is_split() -> None:
    frames = send(connected((WINDOW, 100_000)), batch(1, body=b"x" * 40_000))
    assert [(one.kind, len(one.payload), one.flags) for one in frames[1:]] == [
        (DATA, 16_384, 0),
        (DATA, 16_384, 0),
        (DATA, 7_232, END_STREAM),
    ]


def test_a_larger_frame_size_is_used() -> None:
    frames = send(connected((WINDOW, 100_000), (FRAME_SIZE, 50_000)), batch(1, body=b"x" * 40_000))
    assert [len(one.payload) for one in frames[1:]] == [40_000]


def test_a_body_beyond_the_connection_window_goes_on_when_it_opens() -> None:
    connection = connected((WINDOW, 2**20))
    reader = Reader()
    (request,) = reader.read(send(connection, batch(2, body=b"x" * 70_000)))
    assert (len(request.body), request.whole) == (65_535, False)
    assert connection.capacity == 0
    connection.receive(window_update(1, 10_000), 0.0)
    assert connection.take() == b""
    connection.receive(window_update(0, 10_000), 0.0)
    (request,) = reader.read(split(connection.take()))
    assert (len(request.body), request.whole) == (70_000, True)
    assert connection.capacity > 0


def test_many_small_bodies_never_exceed_the_connection_window() -> None:
    connection = connected((WINDOW, 2**20))
    assert connection.send(batch(100, body=b"x" * 1000), range(100), max_bytes=2**20) == 66
    frames = split(connection.take())
    assert sum(len(one.payload) for one in frames if one.kind == DATA) == 65_535


def test_a_body_beyond_the_stream_window_goes_on_when_it_opens() -> None:
    connection = connected((WINDOW, 10))
    reader = Reader()
    sent = reader.read(send(connection, batch(2, body=b"x" * 25)))
    assert [len(request.body) for request in sent] == [10, 10]
    connection.receive(window_update(3, 15), 0.0)
    (request,) = reader.read(split(connection.take()))
    assert (request.stream, request.whole) == (3, True)
    connection.receive(settings((WINDOW, 20)), 0.0)
    (request,) = reader.read([one for one in split(connection.take()) if one.kind == DATA])
    assert (request.stream, len(request.body), request.whole) == (1, 20, False)


def test_a_window_of_zero_sends_headers_only() -> None:
    connection = connected((WINDOW, 0))
    (only,) = send(connection, batch(1))
    assert (only.kind, only.flags & END_STREAM) == (HEADERS, 0)
    connection.receive(window_update(1, 2), 0.0)
    assert split(connection.take()) == [(DATA, END_STREAM, 1, b"{}")]


def test_a_stream_window_may_become_negative() -> None:
    connection = connected((WINDOW, 100))
    reader = Reader()
    reader.read(send(connection, batch(1, body=b"x" * 150)))
    connection.receive(settings((WINDOW, 20)), 0.0)  # the stream's window is now -80
    connection.receive(window_update(1, 80), 0.0)
    assert [one.kind for one in split(connection.take())] == [SETTINGS]
    connection.receive(window_update(1, 50), 0.0)
    (request,) = reader.read(split(connection.take()))
    assert (len(request.body), request.whole) == (150, True)


def test_an_early_answer_cancels_the_rest_of_the_request() -> None:
    connection = connected((WINDOW, 10))
    send(connection, batch(1, body=b"x" * 25))
    assert accepted(connection.receive(ok(1) + rst_stream(1, 0), 0.0)) == [0]
    connection.receive(window_update(0, 100), 0.0)
    assert all(one.kind != DATA for one in split(connection.take()))


def test_an_answer_to_an_unfinished_request_resets_the_stream() -> None:
    connection = connected((WINDOW, 10))
    send(connection, batch(1, body=b"x" * 25))
    connection.receive(ok(1), 0.0)
    assert split(connection.take()) == [(RST_STREAM, 0, 1, b"\0\0\0\x08")]


def test_a_header_block_longer_than_a_frame_is_continued() -> None:
    literal = ((b"authorization", b"bearer " + b"t" * 40_000),)
    connection = connected()
    frames = send(connection, batch(2, literal=literal))
    assert [one.kind for one in frames] == [HEADERS, CONTINUATION, CONTINUATION, DATA] * 2
    assert all(len(one.payload) <= 16_384 for one in frames)
    assert [dict(request.fields)[b"authorization"] for request in Reader().read(frames)] == [literal[0][1]] * 2


# --- header lists --------------------------------------------------------------------------------------------------------


def listed(fields: list[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) + 32 for name, value in fields)


@pytest.mark.parametrize("own", [None, apns_id])
def test_the_servers_header_list_limit_is_exact(own: Callable[[int], Fields] | None) -> None:
    size = listed(Reader().read(send(connected(), batch(1, own=own)))[0].fields)
    connection = connected((LIST_SIZE, size))
    assert len(Reader().read(send(connection, batch(3, own=own)))) == 3
    connection = connected((LIST_SIZE, size - 1))
    assert send(connection, batch(3, own=own)) == []
    told = connection.collect()
    assert [(answer.lost, answer.status) for answer in others(told).values()] == [(Lost.NOT_WRITTEN, 0)] * 3
    assert f"{size} bytes" in others(told)[0].detail


def test_one_request_over_the_header_list_limit_does_not_hinder_its_neighbours() -> None:
    def own(index: int) -> Fields:
        return ((b"apns-collapse-id", b"c" * (900 if index == 2 else 9)),)

    connection = connected((LIST_SIZE, 600))
    sent = Reader().read(send(connection, batch(5, own=own)))
    assert [dict(request.fields)[b":path"][-1:] for request in sent] == [b"0", b"1", b"3", b"4"]
    assert list(others(connection.collect())) == [2]
    assert accepted(connection.receive(b"".join(ok(request.stream) for request in sent), 0.0)) == [0, 1, 3, 4]
    assert connection.in_flight == 0


def test_a_table_size_change_reaches_the_next_request() -> None:
    connection = connected()
    reader = Reader()
    reader.read(send(connection, batch(2)))
    connection.receive(settings((TABLE_SIZE, 0)), 0.0)
    reader.decoder.max_allowed_table_size = 0
    sent = reader.read([one for one in send(connection, batch(2)) if one.kind != SETTINGS])
    assert [request.fields[:3] for request in sent] == [list(STABLE[:3])] * 2
    assert reader.decoder.header_table_size == 0


def test_stable_fields_cost_one_byte_each_once_they_are_known() -> None:
    connection = connected()
    send(connection, batch(1))
    later = send(connection, batch(3))
    blocks = [one.payload for one in later if one.kind == HEADERS]
    assert [len(block) for block in blocks] == [len(STABLE) + 2 + len(b"/3/device/0000")] * 3


def alike(count: int, body: bytes = b"{}", literal: Fields = ()) -> RequestBatch:
    """Requests in columns; `written_out` says the same one by one."""
    whole = batch(count, body=body, literal=literal)
    paths = Ends(b"/3/device/", [b"%04x" % index for index in range(count)], 4)
    ids = Ends(b"00000000-0000-0000-0000-", [b"%012x" % index for index in range(count)], 12)
    return msgspec.structs.replace(whole, paths=paths, extra=OneField(b"apns-id", ids))


def written_out(requests: RequestBatch) -> RequestBatch:
    return msgspec.structs.replace(requests, paths=list(requests.paths), extra=list(requests.extra))


@pytest.mark.parametrize("literal", [(), ((b"authorization", b"bearer x"),)])
@pytest.mark.parametrize("body", [b"{}", b"x" * 20_000, b""])
@pytest.mark.parametrize("indexes", [range(9), range(3, 7), range(4, 4), [1, 5, 6]])
@pytest.mark.parametrize("pairs", [(), ((WINDOW, 7),), ((LIST_SIZE, 400),), ((LIST_SIZE, 60),), ((TABLE_SIZE, 0),)])
@pytest.mark.parametrize("most", [1, 150, 65_536])
def test_requests_in_columns_are_the_same_requests(
    literal: Fields, body: bytes, indexes: Sequence[int], pairs: tuple[tuple[int, int], ...], most: int
) -> None:
    requests = alike(9, body, literal)
    ours, plain = connected(*pairs), connected(*pairs)
    for _ in range(2):  # the first of all requests fills the server's table
        sent = ours.send(requests, indexes, max_bytes=most)

        assert sent == plain.send(written_out(requests), indexes, max_bytes=most)
        assert ours.unwritten == plain.unwritten
        assert ours.take() == plain.take()
        assert others(ours.collect()) == others(plain.collect())
        assert (ours.in_flight, ours.capacity) == (plain.in_flight, plain.capacity)


def test_columns_can_be_looked_at_one_by_one() -> None:
    requests = alike(5)

    assert len(requests.paths) == len(requests.extra) == 5
    assert list(requests.paths[1:3]) == [b"/3/device/0001", b"/3/device/0002"]
    assert requests.extra[3:] == [apns_id(3), apns_id(4)]


def test_answers_that_follow_each_other_are_a_range() -> None:
    connection = connected()
    connection.send(batch(6), range(6))

    [first] = connection.receive(ok(3) + ok(1) + ok(5), 0.0)
    [second] = connection.receive(ok(7) + ok(11), 0.0)

    assert first.accepted == range(3)
    assert second.accepted == [3, 5]
