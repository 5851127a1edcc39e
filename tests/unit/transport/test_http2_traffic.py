"""What Apple's servers do to a client in full flow: limits that fall, servers that go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
import trustme

from scripted_http2 import LoopTime, Received, Server, answer, serving, until
from wakeline.transport.http2_pool import Pool, PoolSettings
from wakeline.wire.http2 import Answer, Fields, Lost, RequestBatch

pytestmark = pytest.mark.anyio

STABLE: Fields = ((b":method", b"POST"), (b":scheme", b"https"), (b":authority", b"localhost"))
SHUTDOWN = b'{"reason":"Shutdown"}'


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def server(authority: trustme.CA) -> AsyncIterator[Server]:
    async with serving(authority) as running:
        yield running
    assert running.complaints == []


class Told:
    """How often each position was accepted, and what became of the others."""

    def __init__(self) -> None:
        self.accepted: list[int] = []
        self.others: list[tuple[int, Answer]] = []

    def __call__(self, _: RequestBatch, accepted: Sequence[int], others: list[tuple[int, Answer]]) -> None:
        self.accepted += accepted
        self.others += others


def requests(told: Told, count: int) -> RequestBatch:
    return RequestBatch(
        stable=STABLE,
        paths=[b"/%d" % index for index in range(count)],
        body=b"{}",
        deadline=asyncio.get_running_loop().time() + 30,
        on_answers=told,
    )


@asynccontextmanager
async def pooled(server: Server, farewell: Callable[[Answer], bool] | None = None) -> AsyncIterator[Pool]:
    pool = Pool(
        server.origin(),
        wake=lambda: None,
        settings=PoolSettings(max_connections=1),
        random=lambda: 0.0,
        farewell=farewell or (lambda _: False),
    )
    try:
        yield pool
    finally:
        await pool.close(drain=0.0)


class Counted:
    """A script that holds requests back and notes the most that were open at once since a moment."""

    def __init__(self, server: Server) -> None:
        self.held: list[Received] = []
        server.script = self.held.append

    def answer(self, count: int) -> None:
        batch, self.held[:] = self.held[:count], self.held[count:]
        for request in batch:
            answer(request)


@pytest.mark.parametrize("limit", [0, 1])
async def test_a_limit_that_falls_in_full_flow_is_obeyed_and_nothing_is_lost(server: Server, limit: int) -> None:
    """From 1000 to 1 or 0 while 500 are open, as after a rejected token; and up again after the first acceptance."""
    server.max_streams = 1000
    async with pooled(server) as pool:
        counted, told = Counted(server), Told()
        pool.submit(requests(told, 500))
        await until(lambda: len(counted.held) == 500)
        server.sessions[0].limit(limit)
        await until(lambda: pool.stats.peer_limit == limit)
        pool.submit(requests(more := Told(), 300))
        assert pool.room() == 0
        counted.answer(400)
        await until(lambda: len(told.accepted) == 400)
        assert len(counted.held) == 100, "no request beyond the limit"
        counted.answer(100)
        await until(lambda: len(told.accepted) == 500)
        if limit:
            await until(lambda: counted.held)
        assert (len(counted.held), pool.stats.in_flight, len(more.accepted)) == (limit, limit, 0)
        counted.answer(limit)
        server.sessions[0].limit(1000)
        await until(lambda: len(counted.held) == 300 - limit)
        counted.answer(300)
        await until(lambda: len(more.accepted) == 300)
        assert sorted(told.accepted) == list(range(500))
        assert sorted(more.accepted) == list(range(300))
        assert (told.others, more.others, len(server.sessions)) == ([], [], 1)


async def test_a_server_that_says_goodbye_in_an_answer_gets_no_more_requests_and_finishes(server: Server) -> None:
    held: list[Received] = []
    server.script = held.append
    async with pooled(server, lambda answer: answer.body == SHUTDOWN) as pool:
        pool.submit(requests(told := Told(), 3))
        await until(lambda: len(held) == 3)
        answer(held[0], 503, SHUTDOWN)
        await until(lambda: told.others)
        pool.submit(requests(again := Told(), 2))
        await until(lambda: len(held) == 5)
        assert [one.session is server.sessions[1] for one in held] == [False, False, False, True, True]
        for request in held[1:]:
            answer(request)
        await until(lambda: len(told.accepted) == len(again.accepted) == 2)
        await until(lambda: server.sessions[0].lost)
        assert pool.stats.connections == 1


async def test_other_refusals_do_not_end_a_connection(server: Server) -> None:
    server.script = lambda request: answer(request, 503, b'{"reason":"ServiceUnavailable"}')
    async with pooled(server, lambda answer: answer.body == SHUTDOWN) as pool:
        for _ in range(2):
            pool.submit(requests(told := Told(), 3))
            await until(lambda told=told: len(told.others) == 3)  # type: ignore[misc]  # bound per turn
        assert len(server.sessions) == 1


async def test_a_connection_that_answers_pings_and_nothing_else_is_replaced(server: Server) -> None:
    """Apple's servers are known to fall silent on one connection while a new one works."""
    time = LoopTime()
    held: list[Received] = []
    server.script = held.append
    pool = Pool(server.origin(), wake=lambda: None, settings=PoolSettings(silence_ping=5.0), random=lambda: 0.0)
    try:
        pool.submit(requests(told := Told(), 3))
        await until(lambda: len(held) == 3)
        connection = pool._fleet.links[0].connection
        await time.leap(6)
        await until(lambda: connection._pings and connection.ping_sent is None)
        await time.leap(30)
        await until(lambda: len(told.others) == 3)
        assert {answer.lost for _, answer in told.others} == {Lost.TIMEOUT}
        await until(lambda: server.sessions[0].lost)
        server.script = answer
        pool.submit(requests(again := Told(), 3))
        await until(lambda: len(again.accepted) == 3)
        assert [len(session.received) for session in server.sessions] == [3, 3]
    finally:
        await pool.close(drain=0.0)


async def test_one_late_answer_among_others_does_not_end_a_connection(server: Server) -> None:
    time = LoopTime()
    server.script = lambda request: None if request.path == "/0" else answer(request)
    pool = Pool(server.origin(), wake=lambda: None, settings=PoolSettings(silence_ping=20.0), random=lambda: 0.0)
    try:
        pool.submit(requests(told := Told(), 2))
        await until(lambda: told.accepted)
        while not told.others:
            pool.submit(requests(beside := Told(), 2))
            await until(lambda beside=beside: beside.accepted)  # type: ignore[misc]  # bound per turn
            await time.leap(4)
        assert {answer.lost for _, answer in told.others} == {Lost.TIMEOUT}
        assert len(server.sessions) == 1
        assert pool.stats.connections == 1
    finally:
        await pool.close(drain=0.0)
