"""Webhooks whose clock is wrong, or whose gateway stood still: three days of trying are three days in which it was tried."""

from __future__ import annotations

import pytest

from stories.telling import DAY, Telling
from wakeline.model.webhook import MessageState
from wakeline.ports.webhooks import Said
from webhook_listener import DOWN, TAKEN

pytestmark = pytest.mark.anyio

REFUSED = Said(status=400, detail="Bad Request")


@pytest.fixture
def telling() -> Telling:
    return Telling()


@pytest.mark.parametrize("back", [True, False])
async def test_a_clock_that_leaps_ahead_costs_a_failing_endpoint_nothing(telling: Telling, *, back: bool) -> None:
    await telling.endpoint()
    telling.listener.answer = lambda *_: DOWN
    await telling.happen("a", "b")
    await telling.later(3600.0)
    telling.world.clock.jump(10 * DAY)
    await telling.happen("a", "c")
    await telling.later(60.0)
    if back:
        telling.world.clock.jump(-10 * DAY)
    await telling.happen("d")
    await telling.later(2.5 * DAY)
    telling.listener.answer = lambda *_: TAKEN
    await telling.later(1300.0)
    assert sorted(telling.seqs()) == [1, 2, 3, 4, 5]


async def test_a_clock_that_leaps_ahead_costs_a_message_that_rests_nothing(telling: Telling) -> None:
    await telling.endpoint()
    telling.listener.answer = lambda _, event: REFUSED if event.data.device == "a" else TAKEN
    await telling.happen("a", "a", "b")
    await telling.later(3600.0)
    telling.world.clock.jump(10 * DAY)
    await telling.later(60.0)
    telling.world.clock.jump(-10 * DAY)
    telling.listener.answer = lambda *_: TAKEN
    await telling.later(2 * 3600.0)
    assert sorted(telling.seqs()) == [1, 2, 3]


@pytest.mark.parametrize("failed_before", [True, False])
async def test_a_gateway_that_stood_still_for_days_tries_as_if_it_had_not(
    telling: Telling, *, failed_before: bool
) -> None:
    endpoint = await telling.endpoint()
    telling.listener.answer = lambda *_: DOWN
    await telling.happen("a", "b")
    if failed_before:
        await telling.later(3600.0)
    telling.world.restarted()
    telling.world.clock.advance(4 * DAY)
    await telling.world.pipeline.webhooks.start()
    await telling.later(2.5 * DAY)
    assert len(await telling.world.store.endpoints.waiting(endpoint.id, limit=9)) > 0
    telling.listener.answer = lambda *_: TAKEN
    await telling.later(1300.0)
    assert sorted(telling.seqs()) == [1, 2]


async def test_after_a_leap_three_days_of_trying_are_still_the_end(telling: Telling) -> None:
    endpoint = await telling.endpoint()
    telling.listener.answer = lambda *_: DOWN
    await telling.happen("a", "b")
    await telling.later(DAY)
    telling.world.clock.jump(10 * DAY)
    await telling.later(3 * DAY + 7200)
    for seq in (1, 2):
        assert (await telling.row(endpoint, seq)).state is MessageState.GIVEN_UP
