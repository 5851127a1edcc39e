"""The inbox: whoever floods waits behind the others, and loses first."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from wakeline.edges.sip.flows import Address, Flow, Transport
from wakeline.edges.sip.inbox import SHARE, Inbox

pytestmark = pytest.mark.anyio


class From:
    """A flow from somewhere."""

    def __init__(self, host: str) -> None:
        self.remote = Address(host, 5060)
        self.local = Address("192.0.2.1", 5060)
        self.transport = Transport.UDP
        self.name = f"udp:{host}:5060"
        self.open = True

    def send(self, data: bytes) -> None:
        raise AssertionError("nobody answers here")


class Reader:
    """A connection that was told to stop reading."""

    def __init__(self) -> None:
        self.reads = False

    def resume(self) -> None:
        self.reads = True


class Worker:
    """Takes down what it works off; each message takes it a millisecond of a clock that only it moves."""

    def __init__(self) -> None:
        self.done: list[tuple[str, bytes]] = []
        self._worked = asyncio.Event()
        self.seconds = 0.0

    def __call__(self, flow: Flow, data: bytes) -> None:
        self.done.append((flow.remote.host, data))
        self.seconds += 0.001
        self._worked.set()

    def clock(self) -> float:
        return self.seconds

    async def until(self, count: int) -> None:
        while len(self.done) < count:
            self._worked.clear()
            await self._worked.wait()


async def test_whoever_sends_one_message_waits_behind_one_of_a_flood() -> None:
    worker = Worker()
    inbox = Inbox(worker, worker.clock)
    for number in range(500):
        inbox.datagram(From("192.0.2.66"), b"%d" % number)
    inbox.datagram(From("192.0.2.7"), b"hello")
    await worker.until(501)
    assert worker.done.index(("192.0.2.7", b"hello")) == 1
    assert [data for host, data in worker.done if host == "192.0.2.66"] == [b"%d" % number for number in range(500)]


async def test_what_is_beyond_a_share_is_dropped_and_only_of_who_sent_it() -> None:
    worker = Worker()
    inbox = Inbox(worker, worker.clock)
    large = bytes(60_000)
    for _ in range(60):
        inbox.datagram(From("192.0.2.66"), large)
    for _ in range(10):
        inbox.datagram(From("192.0.2.7"), large)
    kept = SHARE // len(large) + 1
    assert inbox.dropped == 60 - kept
    await worker.until(kept + 10)
    assert Counter(host for host, _ in worker.done) == {"192.0.2.66": kept, "192.0.2.7": 10}


async def test_work_goes_on_in_slices() -> None:
    worker = Worker()
    inbox = Inbox(worker, worker.clock)
    for _ in range(20):
        inbox.datagram(From("192.0.2.7"), b"x")
    await asyncio.sleep(0)
    assert 0 < len(worker.done) <= 6
    await worker.until(20)


async def test_a_connection_that_brings_too_much_stops_reading_and_goes_on_later() -> None:
    worker = Worker()
    inbox = Inbox(worker, worker.clock)
    reader = Reader()
    flow = From("192.0.2.7")
    assert not inbox.hold("192.0.2.7", reader)
    for _ in range(40):
        inbox.streamed(flow, bytes(60_000))
    assert inbox.hold("192.0.2.7", reader)
    assert not inbox.hold("192.0.2.8", Reader())
    await worker.until(10)
    assert not reader.reads
    await worker.until(40)
    assert reader.reads
