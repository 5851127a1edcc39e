"""Events on their way to handlers: no handler harms another, and nothing outlives the gateway."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping

import pytest

from unit.edges.rest.gateway import HandClock
from wakeline.edges.bitrix24.delivering import AT_ONCE, AT_ONCE_EACH, MOST_BYTES, SLOW, EventDeliveries, Posting
from wakeline.edges.bitrix24.ringing import MOST, Ring, Rings
from wakeline.observe.metrics import Metrics
from wakeline.ports import HttpAnswer

pytestmark = pytest.mark.anyio

OK = HttpAnswer(status=200, headers={}, body=b"")


class Handlers:
    """Handlers by URL: `stuck` ones never answer, `slow` ones take their time (of the told clock)."""

    def __init__(self, clock: HandClock) -> None:
        self.clock = clock
        self.stuck: set[str] = set()
        self.slow: set[str] = set()
        self.got: list[tuple[str, bytes, int]] = []
        self.most = 0
        self._under_way = 0

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> HttpAnswer:
        self._under_way += 1
        self.most = max(self.most, self._under_way)
        try:
            self.got.append((url, body, self.clock.now()))
            if url in self.stuck:
                await asyncio.Event().wait()
            if url in self.slow:
                self.clock.advance(SLOW)
            await asyncio.sleep(0)
        finally:
            self._under_way -= 1
        return OK

    def times(self, url: str) -> list[int]:
        return [at for one, _, at in self.got if one == url]


class Deliveries:
    def __init__(self) -> None:
        self.clock = HandClock()
        self.handlers = Handlers(self.clock)
        self.metrics = Metrics()
        self.ours = EventDeliveries(self.handlers, self.clock, self.metrics)

    def post(self, url: str, count: int = 1) -> None:
        for number in range(count):
            self.ours.post(Posting(handler=1, event="E", url=url, body=b"%d" % number))

    def counted(self, outcome: str) -> float:
        found = self.metrics.registry.get_sample_value("wakeline_bitrix24_events_total", {"outcome": outcome})
        return found or 0.0


async def until_nothing_moves() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def test_a_handler_that_never_answers_keeps_nobody_waiting() -> None:
    made = Deliveries()
    made.handlers.stuck.add("https://stuck.test/")
    made.post("https://stuck.test/", 100)
    made.post("https://quick.test/", 100)
    await until_nothing_moves()
    assert len(made.handlers.times("https://stuck.test/")) == AT_ONCE_EACH
    assert made.counted("delivered") == 100
    await made.ours.close(patience=0)
    assert made.counted("delivered") == 100


async def test_few_requests_are_under_way_whatever_waits() -> None:
    made = Deliveries()
    for number in range(40):
        made.post(f"https://handler.test/{number}", 5)
    await made.ours.idle()
    assert made.counted("delivered") == 200
    assert made.handlers.most == AT_ONCE


async def test_a_slow_handler_is_called_less_often_and_a_quick_one_is_not() -> None:
    made = Deliveries()
    made.handlers.slow.add("https://slow.test/")
    made.post("https://slow.test/", 8)
    await made.ours.idle()
    # the first few went out together; after that each waits longer than the one before
    times = made.handlers.times("https://slow.test/")[AT_ONCE_EACH:]
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(pause >= 1000 * SLOW + 4000 for pause in pauses)
    assert pauses == sorted(pauses)
    began = made.clock.now()
    made.post("https://quick.test/", 50)
    await made.ours.idle()
    assert made.clock.now() == began


async def test_large_events_are_dropped_before_they_fill_the_memory() -> None:
    made = Deliveries()
    large = Posting(handler=1, event="E", url="https://quick.test/", body=b"x" * (MOST_BYTES // 4))
    for _ in range(6):
        made.ours.post(large)
    await made.ours.idle()
    assert (made.counted("delivered"), made.counted("dropped")) == (4, 2)
    made.ours.post(large)
    await made.ours.idle()
    assert made.counted("delivered") == 5


async def test_what_never_was_used_closes_at_once() -> None:
    await Deliveries().ours.close()


async def test_only_calls_that_may_still_ring_are_remembered() -> None:
    rings = Rings()
    for number in range(MOST + 1):
        rings.add(str(number), Ring(app=1, user=7, notification=number))
    assert rings.take("0") == []
    assert [ring.notification for ring in rings.take(str(MOST))] == [MOST]
    assert rings.take(str(MOST)) == []
