"""The connection against the `h2` library's server side, in memory: whatever the server does, every request is told once.

h2 is the judge of what we write: it raises on a violated window, frame size, stream limit, header table or state. What
we read is judged here: each request's answer must be the one the server gave to exactly that request.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

import msgspec
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    PingAckReceived,
    RequestReceived,
    SettingsAcknowledged,
    StreamEnded,
    StreamReset,
)
from h2.settings import SettingCodes
from hyperframe.frame import GoAwayFrame
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from fuzzing import REPEATABLE, examples
from wakeline.wire.http2 import Answer, Answered, Connection, ErrorCode, Fields, Lost, RequestBatch

NEVER = 1e9
STABLE: tuple[Fields, ...] = (
    (
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":authority", b"push.example"),
        (b"apns-topic", b"com.example.app"),
        (b"apns-push-type", b"alert"),
    ),
    (
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":authority", b"push.example"),
        (b"apns-topic", b"com.example.other"),
        (b"user-agent", b"u" * 120),
        (b"x-long", b"v" * 900),
    ),
)
LITERAL: Fields = ((b"authorization", b"bearer " + b"t" * 90),)
CODES = st.sampled_from([ErrorCode.INTERNAL_ERROR, ErrorCode.CANCEL, ErrorCode.NO_ERROR, ErrorCode.ENHANCE_YOUR_CALM])
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        SettingCodes.HEADER_TABLE_SIZE: st.sampled_from([0, 40, 100, 300, 1200, 4096, 8192]) | st.integers(0, 8192),
        SettingCodes.INITIAL_WINDOW_SIZE: st.sampled_from([0, 1, 100, 65_535]) | st.integers(0, 70_000),
        SettingCodes.MAX_FRAME_SIZE: st.integers(16_384, 40_000),
        SettingCodes.MAX_CONCURRENT_STREAMS: st.integers(1, 100),
    },
)


Announced = dict[SettingCodes | int, int]


class Wanted(msgspec.Struct):
    """A request as it must arrive, and what the server then did with it."""

    batch: RequestBatch
    index: int
    body: bytes = b""
    outcome: tuple[int, bytes] | ErrorCode | None = None
    told: int = 0

    def check_arrival(self, fields: list[tuple[bytes, bytes]]) -> None:
        expected = [*self.batch.stable, *self.batch.literal, *self.batch.extra[self.index]]
        assert sorted(fields) == sorted([*expected, (b":path", self.batch.paths[self.index])])

    @property
    def expected_body(self) -> bytes:
        return self.batch.body if isinstance(self.batch.body, bytes) else self.batch.body[self.index]


def whole_frames(data: bytes) -> Iterator[bytes]:
    """What the client wrote, frame by frame: h2 obeys an acknowledged frame size from its next `receive_data` on."""
    if data.startswith(b"PRI"):
        yield data[:24]
        data = data[24:]
    while data:
        size = 9 + int.from_bytes(data[:3], "big")
        assert size <= len(data), "the client wrote a part of a frame"
        yield data[:size]
        data = data[size:]


def cut(data: bytes, chance: random.Random) -> Iterator[bytes]:
    """Split at random places: sometimes each byte alone, sometimes not at all."""
    longest = chance.choice([1, 3, 9, 10, 100, 1_000_000])
    while data:
        size = chance.randint(1, longest)
        yield data[:size]
        data = data[size:]


def identity(batch: RequestBatch, index: int) -> bytes:
    """The apns-id of a request."""
    return batch.extra[index][0][1]


def ignore(batch: RequestBatch, accepted: Sequence[int], others: list[tuple[int, Answer]]) -> None:
    """Answers are read from what `receive` returns; this callback belongs to the pool."""


class AgainstH2(RuleBasedStateMachine):
    """Rules are what either side may do at any moment; `teardown` settles everything and looks at the books."""

    wanted: dict[bytes, Wanted]

    def __init__(self) -> None:
        super().__init__()
        self.wanted = {}
        self.unsent: list[tuple[RequestBatch, list[int], int]] = []

    # --- the two ends and the wire between them ---

    @initialize(announced=SETTINGS, seed=st.integers(0, 2**32))
    def connect(self, announced: Announced, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - a test's dice
        self.client = Connection(now=0.0)
        self.server = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self.server.initiate_connection()
        self.open: dict[int, Wanted] = {}  # streams without an end of the server's answer
        self.ended: set[int] = set()  # streams whose request has arrived whole
        self.begun: dict[int, tuple[int, bytes]] = {}  # streams whose answer's body is still to be written
        self.received: list[tuple[int, int]] = []  # bytes and stream of DATA that no window was opened for yet
        self.last_processed = 2**31
        self.goaway = b""
        self.settings_due, self.pongs_due = 1, 0
        self.change_settings(announced)

    @rule()
    def exchange(self) -> None:
        """Move what both sides have written, in pieces of any size."""
        for frame in whole_frames(self.client.take()):
            for event in self.server.receive_data(frame):
                self._happened(event)
        data, self.goaway = self.server.data_to_send() + self.goaway, b""
        for part in cut(data, self.chance):
            self._learn(self.client.receive(part, 0.0))
        self._push()

    def _happened(self, event: Event) -> None:
        match event:
            case RequestReceived(stream_id=stream, headers=headers) if stream <= self.last_processed:
                fields = [(bytes(name), bytes(value)) for name, value in headers]
                wanted = self.wanted[dict(fields)[b"apns-id"]]
                assert not wanted.told, "a request that was already answered was sent again"
                wanted.check_arrival(fields)
                wanted.body = b""
                self.open[stream] = wanted
            case DataReceived(stream_id=stream, data=data, flow_controlled_length=size):
                if stream in self.open:
                    self.open[stream].body += data
                self.received.append((size, stream))
            case StreamEnded(stream_id=stream) if stream in self.open:
                assert self.open[stream].body == self.open[stream].expected_body
                self.ended.add(stream)
            case StreamReset(stream_id=stream, error_code=code):
                assert code == ErrorCode.CANCEL
                assert stream not in self.open, "the client gave up a request that was not answered"
            case SettingsAcknowledged():
                self.settings_due -= 1
            case PingAckReceived():
                self.pongs_due -= 1
            case ConnectionTerminated():
                raise AssertionError(f"the client ended the connection: {event}")
            case _:
                pass

    def _learn(self, told: list[Answered]) -> None:
        assert self.client.error is None
        for part in told:
            for index in part.accepted:
                wanted = self._tell(part.batch, index)
                assert not part.batch.keep_bodies
                assert isinstance(wanted.outcome, tuple)
                assert wanted.outcome[0] == 200
            for index, answer in part.others:
                self._check_answer(self._tell(part.batch, index), answer)
            if part.refused:
                for index in part.refused:
                    refused = self.wanted[identity(part.batch, index)]
                    assert refused.outcome in {None, ErrorCode.REFUSED_STREAM}
                    assert not refused.told
                    refused.outcome = None
                self.unsent.append((part.batch, list(part.refused), part.attempt + 1))

    def _tell(self, batch: RequestBatch, index: int) -> Wanted:
        wanted = self.wanted[identity(batch, index)]
        wanted.told += 1
        assert wanted.told == 1
        return wanted

    @staticmethod
    def _check_answer(wanted: Wanted, answer: Answer) -> None:
        assert wanted.outcome is not None, "an answer that nobody gave"
        match wanted.outcome:
            case (status, body):
                assert (answer.status, answer.body, answer.lost) == (status, body, None)
                assert answer.header(b"apns-id") == identity(wanted.batch, wanted.index)
                assert wanted.batch.keep_bodies or status != 200
            case code:
                assert (answer.status, answer.lost) == (0, Lost.UNKNOWN), code

    # --- what the client does ---

    @rule(
        sizes=st.lists(st.sampled_from([0, 1, 60, 255]) | st.integers(0, 40_000), min_size=1, max_size=12),
        shared=st.booleans(),
        stable=st.integers(0, len(STABLE) - 1),
        literal=st.booleans(),
        keep=st.booleans(),
        call=st.booleans(),
    )
    def ask(self, sizes: list[int], shared: bool, stable: int, literal: bool, keep: bool, call: bool) -> None:
        number = len(self.wanted)
        names = [b"%08d" % (number + index) for index in range(len(sizes))]
        bodies = [(name * (size // 8 + 1))[:size] for name, size in zip(names, sizes, strict=True)]
        batch = RequestBatch(
            stable=STABLE[stable],
            paths=[b"/3/device/" + name for name in names],
            body=bodies[0] if shared else bodies,
            deadline=NEVER,
            on_answers=ignore,
            extra=[((b"apns-id", name), (b"x-size", b"%d" % size)) for name, size in zip(names, sizes, strict=True)],
            literal=LITERAL if literal else (),
            call=call,
            keep_bodies=keep,
        )
        for index, name in enumerate(names):
            self.wanted[name] = Wanted(batch=batch, index=index)
        self.unsent.append((batch, list(range(len(sizes))), 0))
        self._push()

    def _push(self) -> None:
        """Send what fits; the rest waits for a later exchange."""
        while self.unsent and self.client.capacity:
            batch, indexes, attempt = self.unsent.pop(0)
            budget = self.chance.choice([1, 300, 65_536])
            sent = self.client.send(batch, indexes, attempt=attempt, max_bytes=budget)
            assert sent > 0
            self._learn(self.client.collect())
            if indexes[sent:]:
                self.unsent.insert(0, (batch, indexes[sent:], attempt))

    @rule()
    def ping_the_server(self) -> None:
        self.client.ping(0.0)

    # --- what the server does ---

    @precondition(lambda self: not self.settings_due)  # h2 takes one acknowledgement for all changes on their way
    @rule(changed=SETTINGS)
    def change_settings(self, changed: Announced) -> None:
        if changed:
            self.server.update_settings(changed)
            self.settings_due += 1

    @rule(share=st.floats(0.1, 1))
    def open_windows(self, share: float) -> None:
        """Give received bytes back to the client, some of them or all."""
        count = int(len(self.received) * share) + 1
        now, self.received = self.received[:count], self.received[count:]
        for size, stream in now:
            self.server.acknowledge_received_data(size, stream)

    @rule()
    def ping_the_client(self) -> None:
        self.server.ping(b"whatever")
        self.pongs_due += 1

    @rule(
        status=st.sampled_from([200, 200, 200, 201, 400, 410, 429, 503, 999]),
        size=st.sampled_from([0, 0, 0, 1, 60]) | st.integers(0, 20_000),
        interim=st.booleans(),
        count=st.integers(1, 8),
        where=st.integers(0, 1000),
    )
    def answer(self, status: int, size: int, interim: bool, count: int, where: int) -> None:
        """Answer several streams, in any order, also before their request is complete."""
        free = sorted(set(self.open) - set(self.begun))
        self._answer(free[where % max(1, len(free)) :][:count], status, size, interim=interim)

    def _answer(self, streams: list[int], status: int, size: int, *, interim: bool) -> None:
        for stream in streams:
            wanted = self.open[stream]
            body = (identity(wanted.batch, wanted.index) * (size // 8 + 1))[:size]
            if interim:
                self.server.send_headers(stream, [(b":status", b"103"), (b"link", b"</x>")])
            fields = [(b":status", b"%d" % status), (b"apns-id", identity(wanted.batch, wanted.index))]
            self.server.send_headers(stream, fields, end_stream=not body)
            wanted.outcome = (status, body)
            if body:
                self.begun[stream] = (0, body)
            else:
                del self.open[stream]

    @rule(trailers=st.booleans(), padding=st.none() | st.integers(0, 200))
    def go_on(self, trailers: bool, padding: int | None) -> None:
        """Write a piece of every body that is on its way, padded or not, ended by DATA or by trailers."""
        for stream, (sent, body) in list(self.begun.items()):
            room = self.server.local_flow_control_window(stream) - (padding or 0) - 1
            part = body[
                sent : sent + min(room, self.chance.randint(1, 9_000), self.server.max_outbound_frame_size - 300)
            ]
            if not part:
                continue
            ends = sent + len(part) == len(body)
            self.server.send_data(stream, part, end_stream=ends and not trailers, pad_length=padding)
            self.begun[stream] = (sent + len(part), body)
            if ends:
                if trailers:
                    self.server.send_headers(stream, [(b"x-checksum", b"1")], end_stream=True)
                del self.begun[stream], self.open[stream]

    @precondition(lambda self: self.open)
    @rule(code=CODES, where=st.integers(0, 1000))
    def reset(self, code: ErrorCode, where: int) -> None:
        """End a stream without an answer, or in the middle of one."""
        stream = sorted(self.open)[where % len(self.open)]
        self.server.reset_stream(stream, error_code=int(code))
        self.begun.pop(stream, None)
        self.open.pop(stream).outcome = code

    @precondition(lambda self: len(self.open) > len(self.begun))
    @rule(where=st.integers(0, 1000))
    def refuse(self, where: int) -> None:
        """Refuse a stream, as servers do that lower their limit: the request is sent again."""
        free = sorted(set(self.open) - set(self.begun))
        stream = free[where % len(free)]
        self.server.reset_stream(stream, error_code=int(ErrorCode.REFUSED_STREAM))
        self.open.pop(stream).outcome = ErrorCode.REFUSED_STREAM

    @rule(announced=SETTINGS, where=st.integers(0, 1000), seed=st.integers(0, 2**32))
    def go_away(self, announced: Announced, where: int, seed: int) -> None:
        """Say GOAWAY: streams above the last one were not processed, those below end well; then a new connection."""
        self.exchange()
        last = sorted(self.open)[where % len(self.open)] if self.open else self.server.highest_inbound_stream_id
        for stream in [stream for stream in self.open if stream > last]:
            self.begun.pop(stream, None)
            self.open.pop(stream).outcome = None
        self.last_processed = last
        self.goaway = GoAwayFrame(0, last_stream_id=last).serialize()
        self.exchange()
        assert not self.client.usable
        self._settle(lambda: not self.client.in_flight)
        self.connect(announced, seed)

    # --- the books ---

    def _settle(self, settled: Callable[[], bool]) -> None:
        """Open windows and answer every request that has arrived whole, until `settled`."""
        self.exchange()
        self.exchange()
        self.change_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 100})
        for _ in range(500):
            if settled():
                return
            self.open_windows(1.0)
            for stream in set(self.open) - self.ended:
                self.server.increment_flow_control_window(10_000, stream)
            self._answer(sorted((set(self.open) - set(self.begun)) & self.ended), 200, 0, interim=False)
            self.go_on(trailers=False, padding=None)
            self.exchange()
        raise AssertionError(f"{self.client.in_flight} in flight, {len(self.unsent)} unsent: nothing moves any more")

    def teardown(self) -> None:
        if hasattr(self, "client"):
            self.client.ping(0.0)
            self._settle(lambda: not (self.unsent or self.client.in_flight))
            self.exchange()  # what is left: acknowledgements of settings and pings, there
            self.exchange()  # and back
            assert [wanted.told for wanted in self.wanted.values()] == [1] * len(self.wanted)
            assert (self.settings_due, self.pongs_due, self.client.ping_sent) == (0, 0, None)
            assert self.client.usable


TestAgainstH2 = AgainstH2.TestCase
TestAgainstH2.settings = settings(
    max_examples=examples(120),
    stateful_step_count=40,
    deadline=None,
    derandomize=REPEATABLE,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def test_received_data_is_given_back_so_that_answers_never_stop() -> None:
    """More bytes of answers than any window holds: 150 bodies of 60,000 bytes on one connection."""
    connection, server = Connection(now=0.0), H2Connection(H2Configuration(client_side=False, header_encoding=None))
    server.initiate_connection()
    batch = RequestBatch(
        stable=STABLE[0],
        paths=[b"/%d" % index for index in range(150)],
        body=b"",
        deadline=NEVER,
        on_answers=ignore,
        keep_bodies=True,
    )
    unwritten: dict[int, int] = {}
    lengths: dict[int, int] = {}
    sent = 0
    for _ in range(1000):
        sent += connection.send(batch, range(sent, 150)) if sent < 150 else 0
        for event in server.receive_data(connection.take()):
            if isinstance(event, RequestReceived):
                server.send_headers(event.stream_id, [(b":status", b"200")])
                unwritten[event.stream_id] = 60_000
        for stream in list(unwritten):
            size = min(16_384, unwritten[stream], server.local_flow_control_window(stream))
            if size:
                unwritten[stream] -= size
                server.send_data(stream, bytes(size), end_stream=not unwritten[stream])
            if not unwritten[stream]:
                del unwritten[stream]
        for told in connection.receive(server.data_to_send(), 0.0):
            lengths.update({index: len(answer.body) for index, answer in told.others})
        if len(lengths) == 150:
            break

    assert lengths == dict.fromkeys(range(150), 60_000)
