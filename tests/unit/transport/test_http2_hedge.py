"""Calls that stay unanswered are sent once more beside, and the first answer counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import trustme

from scripted_http2 import LoopTime, Received, Server, answer, keep_silent, refuse, serving, until
from wakeline.transport import http2_hedge
from wakeline.transport.http2_pool import Pool, PoolSettings
from wakeline.wire.http2 import Answer, Fields, Lost, RequestBatch

pytestmark = pytest.mark.anyio

STABLE: Fields = ((b":method", b"POST"), (b":scheme", b"https"), (b":authority", b"localhost"))
PATIENCE = 3.0
"""Seconds; longer than the product's, so that it is the test that lets them pass, and not a busy machine."""
LATER = 1.0
"""Seconds after which another connection may be made."""


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("http2_hedge", "http2_fleet"):
        monkeypatch.setattr(f"wakeline.transport.{module}.PATIENCE", PATIENCE)


@pytest.fixture
async def time(anyio_backend: str) -> LoopTime:
    return LoopTime()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def server(authority: trustme.CA) -> AsyncIterator[Server]:
    async with serving(authority) as running:
        yield running
    assert running.complaints == []


class Told:
    """What a batch was told: each position once."""

    def __init__(self) -> None:
        self.accepted: list[int] = []
        self.others: dict[int, Answer] = {}

    def __call__(self, _: RequestBatch, accepted: Sequence[int], others: list[tuple[int, Answer]]) -> None:
        for position in [*accepted, *(position for position, _ in others)]:
            assert position not in self.accepted, "told twice"
            assert position not in self.others, "told twice"
        self.accepted += accepted
        self.others |= dict(others)

    def __len__(self) -> int:
        return len(self.accepted) + len(self.others)


def requests(told: Told, count: int = 1, *, call: bool = True, wait: float = 20.0) -> RequestBatch:
    return RequestBatch(
        stable=STABLE,
        paths=[b"/%d" % index for index in range(count)],
        extra=[((b"apns-id", b"id-%d" % index),) for index in range(count)],
        body=b"{}",
        deadline=asyncio.get_running_loop().time() + wait,
        on_answers=told,
        call=call,
    )


@asynccontextmanager
async def pooled(server: Server, **settings: float) -> AsyncIterator[Pool]:
    pool = Pool(
        server.origin(),
        wake=lambda: None,
        settings=PoolSettings(**settings),  # type: ignore[arg-type]  # all of them are numbers
        random=lambda: 0.0,
    )
    try:
        yield pool
    finally:
        await pool.close(drain=0.0)


def only_first_connection(request: Received) -> None:
    if request.session is not request.session.server.sessions[0]:
        answer(request)


async def test_a_call_without_an_answer_goes_out_again_on_a_fresh_connection_with_the_same_id(
    server: Server, time: LoopTime
) -> None:
    server.script = only_first_connection
    async with pooled(server) as pool:
        pool.submit(requests(told := Told()))
        await until(lambda: server.received)
        await time.leap(PATIENCE)
        await until(lambda: len(told) == 1)
        assert told.accepted == [0]
        assert [request.headers["apns-id"] for request in server.received] == ["id-0", "id-0"]
        assert server.received[0].session is not server.received[1].session


async def test_an_answered_call_goes_out_once(server: Server, time: LoopTime) -> None:
    async with pooled(server) as pool:
        pool.submit(requests(told := Told(), 3))
        await until(lambda: len(told) == 3)
        await time.leap(PATIENCE)
        await time.leap(PATIENCE)
        assert len(server.received) == 3
        assert len(server.sessions) == 1


async def test_nothing_but_calls_is_sent_again(server: Server, time: LoopTime) -> None:
    server.script = keep_silent
    async with pooled(server) as pool:
        pool.submit(requests(told := Told(), call=False))
        await until(lambda: server.received)
        await time.leap(PATIENCE)
        await time.leap(PATIENCE)
        assert len(server.received) == len(server.sessions) == 1
        await time.leap(20)
        await until(lambda: len(told) == 1)
        assert told.others[0].lost is Lost.TIMEOUT


async def test_both_answers_are_one_result(server: Server, time: LoopTime) -> None:
    held: list[Received] = []
    server.script = held.append
    async with pooled(server) as pool:
        pool.submit(requests(told := Told()))
        await copied(held, time)
        answer(held[1], 410, b'{"reason":"Unregistered"}')
        await until(lambda: len(told) == 1)
        server.script = answer
        answer(held[0])
        pool.submit(requests(other := Told(), call=False))
        await until(lambda: len(other) == 1)
        assert told.others[0].status == 410


async def copied(held: list[Received], time: LoopTime) -> None:
    """Let a call be received, and so much time pass that it is received once more."""
    await until(lambda: held)
    await time.leap(PATIENCE)
    await until(lambda: len(held) == 2)


async def test_a_call_is_copied_once_and_ends_with_its_deadline(server: Server, time: LoopTime) -> None:
    held: list[Received] = []
    server.script = held.append
    async with pooled(server) as pool:
        pool.submit(requests(told := Told()))
        await copied(held, time)
        await time.leap(PATIENCE)
        await time.leap(PATIENCE)
        assert len(held) == 2
        assert len(told) == 0
        await time.leap(20)
        await until(lambda: len(told) == 1)
        assert told.others[0].lost is Lost.TIMEOUT


async def test_the_copy_counts_when_the_first_connection_dies(server: Server, time: LoopTime) -> None:
    held: list[Received] = []
    server.script = held.append
    async with pooled(server) as pool:
        pool.submit(requests(told := Told()))
        await copied(held, time)
        held[0].session.transport.abort()
        await until(lambda: pool.stats.connections == 1)
        assert len(told) == 0
        answer(held[1])
        await until(lambda: len(told) == 1)
        assert told.accepted == [0]


async def test_of_two_losses_the_one_counts_after_which_it_may_have_rung(server: Server, time: LoopTime) -> None:
    held: list[Received] = []
    server.script = held.append
    async with pooled(server, replays=0) as pool:
        pool.submit(requests(told := Told()))
        await copied(held, time)
        held[0].session.transport.abort()
        await until(lambda: pool.stats.connections == 1)
        refuse(held[1])
        await until(lambda: len(told) == 1)
        assert told.others[0].lost is Lost.UNKNOWN


async def test_another_connection_that_has_spoken_since_is_used(server: Server, time: LoopTime) -> None:
    held: list[Received] = []
    async with pooled(server) as pool:
        pool.submit(requests(first := Told(), call=False))
        await until(lambda: len(first) == 1)
        await time.leap(LATER)
        pool._fleet.connect_aside()
        await until(lambda: pool.stats.connections == 2)
        server.script = held.append
        pool.submit(requests(told := Told()))
        await until(lambda: held)
        [other] = [one for one in server.sessions if one is not held[0].session]
        other.limit(5)  # it speaks
        await until(lambda: pool.stats.peer_limit == 5)
        await time.leap(PATIENCE)
        await until(lambda: len(held) == 2)
        assert held[1].session is other
        answer(held[1])
        await until(lambda: len(told) == 1)
        assert len(server.sessions) == 2


async def test_a_service_that_is_silent_as_a_whole_is_not_asked_twice_for_everything(
    server: Server, time: LoopTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http2_hedge, "MOST_OPEN", 5)
    server.script = keep_silent
    async with pooled(server) as pool:
        tolds = [Told() for _ in range(30)]
        for told in tolds:
            pool.submit(requests(told))
        await until(lambda: len(server.received) == 30)
        await time.leap(PATIENCE)
        await until(lambda: len(server.received) == 35)
        await time.leap(PATIENCE)
        await time.leap(PATIENCE)
        assert len(server.received) == 35
        assert len(server.sessions) == 2
        await time.leap(20)
        await until(lambda: all(len(told) == 1 for told in tolds))
        server.script = answer
        pool.submit(requests(told := Told()))
        await until(lambda: len(told) == 1)
        assert pool._hedges.open == 0


async def test_a_call_that_cannot_be_written_gets_a_new_connection(server: Server, time: LoopTime) -> None:
    """A server that trusts us with one stream only, and keeps it."""
    server.max_streams = 1
    server.script = only_first_connection
    async with pooled(server) as pool:
        pool.submit(requests(slow := Told(), call=False))
        await until(lambda: len(server.received) == 1)
        pool.submit(requests(told := Told()))
        await time.leap(PATIENCE)
        await until(lambda: len(told) == 1)
        assert told.accepted == [0]
        assert [one.path for one in server.received] == ["/0", "/0"]
        assert len(slow) == 0


async def test_closing_tells_each_call_once(server: Server, time: LoopTime) -> None:
    server.script = keep_silent
    pool = Pool(server.origin(), wake=lambda: None)
    pool.submit(requests(told := Told(), 2))
    await until(lambda: len(server.received) == 2)
    await time.leap(PATIENCE)
    await until(lambda: len(server.received) == 4)
    await pool.close(drain=0.0)
    assert sorted(told.others) == [0, 1]


async def test_calls_avoid_a_connection_that_went_silent(server: Server, time: LoopTime) -> None:
    server.script = only_first_connection
    async with pooled(server) as pool:
        pool.submit(requests(told := Told()))
        await until(lambda: server.received)
        await time.leap(PATIENCE)
        await until(lambda: len(told) == 1)
        assert pool._fleet.links[0].connection.in_flight == 1
        assert not server.sessions[0].lost
        await time.leap(PATIENCE)
        before = len(server.received)
        for _ in range(3):
            pool.submit(requests(again := Told()))
            await until(lambda again=again: len(again) == 1)  # type: ignore[misc]  # bound per turn
        assert {one.session for one in server.received[before:]} == {server.sessions[1]}
