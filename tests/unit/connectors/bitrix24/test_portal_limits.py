"""A portal's limits are kept on our side, and a portal that says "too many" is left alone for as long as it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from connected_portal import Connected
from stories.clock import FakeClock
from wakeline.connectors.bitrix24.bucket import BURST, SPARE, Bucket
from wakeline.connectors.bitrix24.line import Ask, Line
from wakeline.model.errors import PortalUnreachable, TimedOut
from wakeline.ports import HttpAnswer
from wakeline.simulator.script import ScriptedAnswer

pytestmark = pytest.mark.anyio


async def test_a_hundred_calls_never_overflow_the_portals_bucket(world: Connected) -> None:
    installation = await world.application()
    world.switch(bucket_size=50, bucket_per_s=2.0)

    for _ in range(100):
        await world.client(installation).call("profile")

    refused = [one for one in world.verdicts("profile") if one != 200]
    assert refused == []
    assert sum(world.clock.slept) == pytest.approx(25, abs=1)


async def test_installations_on_one_portal_share_its_limit(world: Connected) -> None:
    clients = [world.client(await world.application()), world.client(await world.webhook())]
    world.switch(bucket_size=50, bucket_per_s=2.0)

    for place in range(60):
        await clients[place % 2].call("profile")

    assert 503 not in world.verdicts("profile")


async def test_work_that_nobody_waits_for_leaves_half_of_the_burst(world: Connected) -> None:
    client = world.client(await world.application())

    for _ in range(SPARE + 10):
        await client.call("profile", bulk=True)
    waited = len(world.clock.slept)
    assert waited >= 9

    for _ in range(SPARE - 5):
        await client.call("profile")
    assert len(world.clock.slept) == waited


async def test_a_503_is_waited_for_longer_and_longer(world: Connected) -> None:
    client = world.client(await world.application())
    world.script("profile", ScriptedAnswer(status=503, error="QUERY_LIMIT_EXCEEDED", times=3))

    await client.call("profile")

    assert world.clock.slept == [1.0, 2.0, 4.0]
    assert len(world.requests("profile")) == 4


async def test_a_503_that_stays_is_an_error_with_a_time_to_try_again(world: Connected) -> None:
    client = world.client(await world.application())
    world.script("profile", ScriptedAnswer(status=503, error="QUERY_LIMIT_EXCEEDED", times=None))

    with pytest.raises(PortalUnreachable, match="QUERY_LIMIT_EXCEEDED") as unreachable:
        await client.call("profile")

    assert unreachable.value.retry_after == 8.0
    assert not unreachable.value.doubtful


async def test_everybody_waits_while_the_portal_wants_rest(world: Connected) -> None:
    client = world.client(await world.application())
    world.script("profile", ScriptedAnswer(status=503, error="QUERY_LIMIT_EXCEEDED", times=4))
    with pytest.raises(PortalUnreachable):
        await client.call("profile")
    before = world.clock.now()

    await asyncio.gather(client.call("server.time"), client.call("scope"))

    assert world.clock.now() - before >= 8000


async def test_a_method_blocked_for_its_time_is_not_asked_before_its_time(world: Connected) -> None:
    installation = await world.application()
    client = world.client(installation)
    reset = world.clock.now() + 120_000
    world.script("crm.deal.list", ScriptedAnswer(status=429, error="OPERATION_TIME_LIMIT", timestamp=reset))

    for _ in range(2):
        with pytest.raises(PortalUnreachable) as unreachable:
            await client.call("crm.deal.list")
        assert unreachable.value.retry_after == pytest.approx(120, abs=1)
    assert len(world.requests("crm.deal.list")) == 1
    await client.call("profile")

    world.clock.advance(120)
    await client.call("crm.deal.list")


async def test_a_block_without_end_ends(world: Connected) -> None:
    client = world.client(await world.application())
    never = world.clock.now() + 10**15
    world.script("profile", ScriptedAnswer(status=429, error="OPERATION_TIME_LIMIT", timestamp=never))

    with pytest.raises(PortalUnreachable) as unreachable:
        await client.call("profile")

    assert unreachable.value.retry_after == 900


class _Hung:
    """An HTTP client whose portal does not answer until it is told to; counts who asks it at once."""

    def __init__(self) -> None:
        self.under_way = 0
        self.answers = False
        self.arrived = asyncio.Event()
        self.released = asyncio.Event()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> HttpAnswer:
        self.under_way += 1
        self.arrived.set()
        try:
            await self.released.wait()
        finally:
            self.under_way -= 1
        if not self.answers:
            raise TimedOut(f"no answer within {timeout:g} s")
        return HttpAnswer(status=200, headers={"content-type": "application/json"}, body=b'{"result": true}')

    async def get(self, url: str, headers: Mapping[str, str], *, timeout: float) -> HttpAnswer:
        raise AssertionError(url)

    async def asked_by(self, line: Line, many: int) -> int:
        """Have that many ask, and then all end; return how many were under way at once."""
        self.released.clear()
        self.arrived.clear()
        asking = [asyncio.create_task(line.ask(Ask(url="https://p/", body=b"", work=""))) for _ in range(many)]
        await self.arrived.wait()
        for _ in range(20):
            await asyncio.sleep(0)
        under_way = self.under_way
        self.released.set()
        await asyncio.gather(*asking, return_exceptions=True)
        return under_way


async def test_a_portal_that_hangs_is_asked_one_thing_at_a_time_until_it_answers() -> None:
    portal = _Hung()
    line = Line(portal, FakeClock())
    assert await portal.asked_by(line, 6) == 4

    assert await portal.asked_by(line, 6) == 1
    portal.answers = True
    assert await portal.asked_by(line, 6) == 1
    assert await portal.asked_by(line, 6) == 4


def test_the_bucket_lets_the_burst_through_and_then_two_a_second() -> None:
    bucket = Bucket()

    waits = [bucket.take(0.0, bulk=False) for _ in range(BURST + 4)]

    assert waits == [0.0] * BURST + [0.5, 1.0, 1.5, 2.0]
    assert bucket.take(100.0, bulk=False) == 0.0


def test_refusals_of_requests_that_were_under_way_together_are_one() -> None:
    bucket = Bucket()

    for _ in range(5):
        bucket.refused(10.0)

    assert bucket.resting(10.0) == 1.0
    bucket.refused(11.0)
    assert bucket.resting(11.0) == 2.0
    bucket.served(13.0)
    bucket.refused(20.0)
    assert bucket.resting(20.0) == 1.0


def test_the_wait_grows_to_half_a_minute() -> None:
    bucket, now, waits = Bucket(), 0.0, []

    for _ in range(8):
        bucket.refused(now)
        waits.append(bucket.resting(now))
        now += waits[-1]

    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]
