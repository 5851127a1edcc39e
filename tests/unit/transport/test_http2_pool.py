from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

import pytest
import trustme

from scripted_http2 import Received, Server, Session, answer, keep_silent, refuse, serving, until
from wakeline.transport.http2_pool import Pool, PoolSettings
from wakeline.wire.http2 import Answer, Fields, Lost, RequestBatch

pytestmark = pytest.mark.anyio

STABLE: Fields = (
    (b":method", b"POST"),
    (b":scheme", b"https"),
    (b":authority", b"localhost"),
    (b"apns-topic", b"com.example.chat"),
)


LOOPS = [
    pytest.param(("asyncio", {"use_uvloop": use}), id=name) for name, use in (("asyncio", False), ("uvloop", True))
]


@pytest.fixture(params=LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Both loops that the gateway may run on."""
    if request.param[1]["use_uvloop"]:
        pytest.importorskip("uvloop")
    backend: tuple[str, dict[str, bool]] = request.param
    return backend


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def server(authority: trustme.CA) -> AsyncIterator[Server]:
    async with serving(authority) as running:
        yield running
    assert running.complaints == []


class Told:
    """What a batch was told, and how often."""

    def __init__(self) -> None:
        self.accepted: list[int] = []
        self.others: dict[int, Answer] = {}

    def __call__(self, _: RequestBatch, accepted: Sequence[int], others: list[tuple[int, Answer]]) -> None:
        assert not set(accepted) & set(self.accepted)
        assert not {index for index, _ in others} & ({*self.others} | {*self.accepted})
        self.accepted += accepted
        self.others |= dict(others)

    def __len__(self) -> int:
        return len(self.accepted) + len(self.others)

    def lost(self) -> set[Lost | None]:
        return {answer.lost for answer in self.others.values()}


def requests(
    told: Told, count: int = 1, *, call: bool = False, wait: float = 30.0, name: str = "p", body: bytes = b"{}"
) -> RequestBatch:
    return RequestBatch(
        stable=STABLE,
        paths=[b"/%s/%d" % (name.encode(), index) for index in range(count)],
        body=body,
        deadline=asyncio.get_running_loop().time() + wait,
        on_answers=told,
        call=call,
    )


class Wakes:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


@asynccontextmanager
async def pooled(
    server: Server, wake: Wakes | None = None, settings: PoolSettings | None = None
) -> AsyncIterator[Pool]:
    pool = Pool(server.origin(), wake=wake or Wakes(), settings=settings, random=lambda: 0.0)
    try:
        yield pool
    finally:
        await pool.close(drain=0.0)


async def connected(pool: Pool) -> None:
    """Have a connection, over which a request was answered: what comes then is written at once."""
    assert (await pool.request(stable=STABLE, path=b"/first", timeout=30)).status == 200


def indexes(paths: Iterable[str]) -> list[int]:
    return sorted(int(path.rpartition("/")[2]) for path in paths)


# --- answers -------------------------------------------------------------------------------------------------------------


async def test_a_batch_is_sent_and_told(server: Server) -> None:
    def gone(request: Received) -> None:
        answer(request, 410, b'{"reason":"Unregistered"}') if request.path == "/p/3" else answer(request)

    server.script = gone
    async with pooled(server) as pool:
        told = Told()
        pool.submit(requests(told, 5))
        assert len(told) == 0  # never from inside submit
        await until(lambda: len(told) == 5)
        assert sorted(told.accepted) == [0, 1, 2, 4]
        assert (told.others[3].status, told.others[3].body) == (410, b'{"reason":"Unregistered"}')
        assert pool.stats.connections == 1
        assert (pool.stats.in_flight, pool.stats.queued, pool.stats.peer_limit) == (0, 0, 100)
    assert server.received[0].headers["apns-topic"] == "com.example.chat"


async def test_one_request_can_be_awaited(server: Server) -> None:
    server.script = lambda request: answer(request, 200, b'{"name":"m"}')
    async with pooled(server) as pool:
        said = await pool.request(stable=STABLE, path=b"/x", body=b"{}", extra=((b"apns-id", b"7"),), timeout=30)
        assert (said.status, said.body, said.lost) == (200, b'{"name":"m"}', None)
    assert server.received[0].headers["apns-id"] == "7"


async def test_an_awaiting_caller_may_give_up(server: Server) -> None:
    async with pooled(server) as pool:
        await connected(pool)
        server.script = keep_silent
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await pool.request(stable=STABLE, path=b"/x", timeout=0.3)
        await until(lambda: pool.stats.in_flight == 0 and len(server.received) == 2)


async def test_thousands_of_requests_go_through_in_short_turns(server: Server) -> None:
    wake = Wakes()
    async with pooled(server, wake) as pool:
        batches: list[Told] = []
        left = 2000
        while left:
            await until(pool.room)
            count = min(pool.room(), left)
            pool.submit(requests(told := Told(), count))
            left -= count
            batches.append(told)
        await until(lambda: sum(map(len, batches)) == 2000)
        assert not any(told.others for told in batches)
        assert len(server.received) == 2000
        assert wake.count > 10


async def test_a_handler_that_fails_hurts_nobody_else(server: Server) -> None:
    def broken(batch: RequestBatch, accepted: Sequence[int], others: list[tuple[int, Answer]]) -> None:
        raise RuntimeError("a defect of the caller")

    async with pooled(server) as pool:
        told = Told()
        failing = requests(told, 1)
        failing.on_answers = broken
        pool.submit(failing)
        pool.submit(requests(told, 3))
        await until(lambda: len(told) == 3)
        assert pool.stats.connections == 1


async def test_an_empty_batch_is_nothing(server: Server) -> None:
    async with pooled(server) as pool:
        pool.submit(requests(Told(), 0))
        assert pool.stats.queued == 0
    assert server.sessions == []


async def test_a_body_larger_than_every_window_arrives(server: Server) -> None:
    async with pooled(server) as pool:
        told = Told()
        pool.submit(requests(told, 3, body=b"x" * 200_000))
        await until(lambda: len(told) == 3)
    assert {len(request.body) for request in server.received} == {200_000}


# --- limits --------------------------------------------------------------------------------------------------------------


async def test_a_limit_of_one_is_obeyed_until_it_is_raised(server: Server) -> None:
    server.max_streams = 1
    held: list[Received] = []
    server.script = held.append
    async with pooled(server) as pool:
        told = Told()
        pool.submit(requests(told, 20))
        await until(lambda: held)
        assert (len(held), pool.stats.in_flight, pool.stats.peer_limit, pool.room()) == (1, 1, 1, 0)
        answer(held[0])
        await until(lambda: len(held) == 2)
        server.sessions[0].limit(1000)
        await until(lambda: len(held) == 20)
        for request in held[1:]:
            answer(request)
        await until(lambda: len(told.accepted) == 20)
        assert len(server.sessions) == 1


async def test_a_tenth_of_the_streams_is_kept_for_calls(server: Server) -> None:
    server.script = keep_silent
    async with pooled(server) as pool:
        told, calls = Told(), Told()
        pool.submit(requests(told, 100))
        await until(lambda: len(server.received) == 90)
        assert (pool.room(), pool.room(call=True)) == (0, 10)
        pool.submit(requests(calls, 10, call=True, name="call"))
        await until(lambda: len(server.received) == 100)
        assert (pool.room(call=True), pool.stats.queued) == (0, 10)
        for request in [one for one in server.received if "call" in one.path]:
            answer(request)
        await until(lambda: len(calls.accepted) == 10)
        assert pool.room() == 0


async def test_calls_go_before_what_waits(server: Server) -> None:
    server.script = keep_silent
    async with pooled(server) as pool:
        pool.submit(requests(Told(), 60))
        pool.submit(requests(Told(), 3, call=True, name="call"))
        await until(lambda: len(server.received) == 63)
    assert ["call" in path for path in server.paths()[:4]] == [True, True, True, False]


async def test_room_is_offered_before_the_first_connection(server: Server) -> None:
    async with pooled(server) as pool:
        assert pool.room() == 100
        pool.submit(requests(Told(), 40))
        assert (pool.room(), pool.room(call=True)) == (60, 100)


async def test_the_caller_is_woken_when_there_is_room_again(server: Server) -> None:
    held: list[Received] = []
    server.script = held.append
    wake = Wakes()
    async with pooled(server, wake) as pool:
        pool.submit(requests(Told(), 90))
        await until(lambda: len(held) == 90)
        wake.count = 0
        assert pool.room() == 0
        answer(held[0])
        await until(lambda: wake.count)
        assert pool.room() == 1


async def test_unsent_bytes_stay_bounded_and_a_call_overtakes_what_waits(server: Server) -> None:
    """A server that does not read: the kernel's buffers fill, ours must not."""
    server.max_streams = 100_000
    server.on_connect = greet_generously
    async with pooled(server, settings=PoolSettings(max_streams=100_000, silence_ping=60.0)) as pool:
        pool.submit(requests(first := Told(), 1))
        await until(lambda: len(first) == 1)
        server.sessions[0].transport.pause_reading()
        told = Told()
        pool.submit(requests(told, 20_000, body=b"x" * 1000, wait=60.0))
        await until(lambda: pool.stats.queued < 20_000 and not pool._fleet.links[0].spare)
        link = pool._fleet.links[0]
        assert link._raw is not None
        assert link._tls is not None
        unsent = link._raw.get_write_buffer_size() + link._tls.get_write_buffer_size()
        assert 0 < unsent <= 65_536 + 4096
        assert pool.stats.queued > 0
        calls = Told()
        pool.submit(requests(calls, 1, call=True, name="call"))
        server.sessions[0].transport.resume_reading()
        await until(lambda: len(calls.accepted) == 1)
        assert pool.stats.queued > 0


def greet_generously(session: Session) -> None:
    session.greet()
    session.h2.increment_flow_control_window(2**30)
    session.flush()


async def test_more_connections_are_made_when_all_streams_are_used(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wakeline.transport.http2_fleet.GROW_SECONDS", 0.0)
    async with pooled(server, settings=PoolSettings(max_connections=2)) as pool:
        first = Told()
        pool.submit(requests(first, 1))
        await until(lambda: len(first) == 1)
        server.script = keep_silent
        pool.submit(requests(Told(), 300))
        await until(lambda: len(server.received) == 1 + 180)
        assert pool.stats.connections == 2
        assert len(server.sessions) == 2


async def test_more_connections_are_made_when_a_window_is_used_up(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def greet_and_give_nothing_back(session: Session) -> None:
        session.greet()
        monkeypatch.setattr(session.h2, "acknowledge_received_data", lambda *_: None)

    monkeypatch.setattr("wakeline.transport.http2_fleet.GROW_SECONDS", 0.0)
    server.on_connect = greet_and_give_nothing_back
    async with pooled(server, settings=PoolSettings(max_connections=2)) as pool:
        first = Told()
        pool.submit(requests(first, 1))
        await until(lambda: len(first) == 1)
        server.script = keep_silent
        pool.submit(requests(Told(), 50, body=b"b" * 2000))
        await until(lambda: len(server.sessions) == 2)
        assert pool.stats.in_flight < 90, "there were streams left"


# --- what is sent again --------------------------------------------------------------------------------------------------


async def test_refused_requests_are_sent_again(server: Server) -> None:
    def second_time(request: Received) -> None:
        seen = server.paths().count(request.path)
        refuse(request) if seen == 1 and request.path.endswith(("1", "3")) else answer(request)

    server.script = second_time
    async with pooled(server) as pool:
        told = Told()
        pool.submit(requests(told, 5))
        await until(lambda: len(told) == 5)
        assert sorted(told.accepted) == [0, 1, 2, 3, 4]
    assert sorted(server.paths()) == ["/p/0", "/p/1", "/p/1", "/p/2", "/p/3", "/p/3", "/p/4"]


async def test_a_request_that_is_always_refused_is_told_so(server: Server) -> None:
    server.script = refuse
    async with pooled(server, settings=PoolSettings(replays=2)) as pool:
        told = Told()
        pool.submit(requests(told, 1))
        await until(lambda: len(told) == 1)
        assert told.lost() == {Lost.REFUSED}
        assert "3 times" in told.others[0].detail
    assert len(server.received) == 3


async def test_goaway_moves_what_was_not_processed_to_a_new_connection(server: Server) -> None:
    held: list[Received] = []
    server.script = held.append
    async with pooled(server) as pool:
        told = Told()
        pool.submit(requests(told, 6))
        await until(lambda: len(held) == 6)
        server.script = answer
        server.sessions[0].goaway(5, b'{"reason":"Shutdown"}')
        await until(lambda: len(told.accepted) == 3)
        assert indexes(request.path for request in server.sessions[1].received) == [3, 4, 5]
        for request in held[:3]:
            answer(request)
        await until(lambda: len(told.accepted) == 6)
        await until(lambda: server.sessions[0].lost)
        assert pool.stats.connections == 1
        assert pool.stats.last_goaway is not None
        assert pool.stats.last_goaway.debug == b'{"reason":"Shutdown"}'


async def test_a_drained_connection_is_closed_and_replaced_by_need(server: Server) -> None:
    async with pooled(server) as pool:
        told = Told()
        pool.submit(requests(told, 1))
        await until(lambda: len(told) == 1)
        server.sessions[0].goaway(2**31 - 1)
        await until(lambda: pool.stats.connections == 0 and server.sessions[0].lost)
        assert pool.room() == 100
        pool.submit(requests(told := Told(), 1))
        await until(lambda: len(told.accepted) == 1)
        assert len(server.sessions) == 2


# --- what is lost --------------------------------------------------------------------------------------------------------


async def test_silence_until_the_deadline_is_a_timeout(server: Server) -> None:
    async with pooled(server) as pool:
        await connected(pool)
        server.script = keep_silent
        told, later = Told(), Told()
        pool.submit(requests(told, 2, wait=0.3))
        pool.submit(requests(later, 1))
        await until(lambda: len(told) == 2)
        assert told.lost() == {Lost.TIMEOUT}
        assert len(later) == 0
        assert (pool.stats.connections, pool.stats.in_flight) == (1, 1)


async def test_a_deadline_that_passes_in_the_queue_is_told_as_not_written(server: Server) -> None:
    server.script = keep_silent
    server.max_streams = 1
    async with pooled(server) as pool:
        told = Told()
        pool.submit(requests(told, 1))
        await until(lambda: server.received)
        pool.submit(requests(late := Told(), 4, wait=0.3))
        await until(lambda: len(late) == 4)
        assert late.lost() == {Lost.NOT_WRITTEN}
    assert len(server.received) == 1


async def test_a_batch_whose_deadline_has_passed_is_not_sent(server: Server) -> None:
    async with pooled(server) as pool:
        pool.submit(requests(told := Told(), 2, wait=-1.0))
        await until(lambda: len(told) == 2)
        assert told.lost() == {Lost.NOT_WRITTEN}


async def test_a_connection_killed_after_the_write_leaves_answers_unknown(server: Server) -> None:
    held: list[Received] = []
    server.script = held.append
    async with pooled(server) as pool:
        pool.submit(requests(first := Told(), 1))
        await until(lambda: held)
        answer(held[0])
        await until(lambda: len(first) == 1)
        pool.submit(requests(told := Told(), 3))
        await until(lambda: len(held) == 4)
        server.sessions[0].transport.abort()
        await until(lambda: len(told) == 3)
        assert told.lost() == {Lost.UNKNOWN}
        assert told.others[0].failure is None
        server.script = answer
        pool.submit(requests(again := Told(), 1))
        await until(lambda: len(again.accepted) == 1)


async def test_a_peer_that_breaks_the_protocol_is_left(server: Server) -> None:
    server.script = keep_silent
    async with pooled(server) as pool:
        pool.submit(requests(told := Told(), 1))
        await until(lambda: server.received)
        server.sessions[0].transport.write(b"\0\0\x01\x06\0\0\0\0\0x")  # a PING of one byte
        await until(lambda: len(told) == 1)
        assert told.lost() == {Lost.UNKNOWN}
        assert "FRAME_SIZE_ERROR" in told.others[0].detail
        await until(lambda: server.sessions[0].lost)


async def test_a_dead_peer_is_found_by_ping(server: Server) -> None:
    async with pooled(server, settings=PoolSettings(idle_ping=0.3, ping_timeout=0.5)) as pool:
        pool.submit(requests(told := Told(), 1))
        await until(lambda: len(told) == 1)
        server.deaf = True
        await until(lambda: pool.stats.connections == 0)
        await until(lambda: server.sessions[0].lost)


async def test_a_peer_that_answers_pings_is_kept(server: Server) -> None:
    async with pooled(server, settings=PoolSettings(idle_ping=0.1, ping_timeout=1.0)) as pool:
        pool.submit(requests(told := Told(), 1))
        await until(lambda: len(told) == 1)
        link = pool._fleet.links[0]
        await until(lambda: link.connection._pings >= 2 and link.connection.ping_sent is None)
        assert pool.stats.connections == 1


async def test_a_dead_peer_with_requests_in_flight_is_found_soon(server: Server) -> None:
    async with pooled(server, settings=PoolSettings(silence_ping=0.2, ping_timeout=0.3)) as pool:
        pool.submit(requests(told := Told(), 1))
        await until(lambda: len(told) == 1)
        server.deaf = True
        pool.submit(requests(told := Told(), 2))
        await until(lambda: len(told) == 2)
        assert told.lost() == {Lost.UNKNOWN}


# --- the end -------------------------------------------------------------------------------------------------------------


async def test_close_finishes_what_was_submitted(server: Server) -> None:
    held: list[Received] = []
    server.script = held.append
    async with pooled(server) as pool:
        pool.submit(requests(told := Told(), 5))
        closing = asyncio.ensure_future(pool.close(drain=10.0))
        await until(lambda: len(held) == 5)
        assert pool.room(call=True) == 0
        for request in held:
            answer(request)
        await closing
        assert len(told.accepted) == 5
        await until(lambda: server.sessions[0].lost)


async def test_close_gives_up_what_takes_too_long(server: Server) -> None:
    server.script = keep_silent
    server.max_streams = 2
    async with pooled(server) as pool:
        pool.submit(requests(told := Told(), 5))
        await until(lambda: len(server.received) == 2)
        await pool.close(drain=0.05)
        assert [told.others[index].lost for index in range(5)] == [Lost.UNKNOWN] * 2 + [Lost.NOT_WRITTEN] * 3


async def test_a_closed_pool_takes_nothing(server: Server) -> None:
    async with pooled(server) as pool:
        await pool.close(drain=1.0)
        pool.submit(requests(told := Told(), 2))
        await until(lambda: len(told) == 2)
        assert told.lost() == {Lost.NOT_WRITTEN}
    assert server.sessions == []
