"""Who listens decides whether successes are journaled."""

from __future__ import annotations

import asyncio

import pytest

from storing import ToldClock
from wakeline.model.event import EventType
from wakeline.service.attention import REMEMBERED, Attention
from wakeline.storage.memory.events import MemoryEvents

pytestmark = pytest.mark.anyio


async def test_successes_are_wanted_while_somebody_follows_and_an_hour_longer() -> None:
    clock = ToldClock()
    events = MemoryEvents()
    attention = Attention(events, clock)

    assert not attention.wanted(EventType.PUSH_ACCEPTED)
    feed = events.follow()
    assert attention.wanted(EventType.PUSH_ACCEPTED)
    del feed
    assert attention.wanted(EventType.PUSH_ACCEPTED)
    await clock.sleep(REMEMBERED - 1)
    assert attention.wanted(EventType.PUSH_ACCEPTED)
    await clock.sleep(2)
    assert not attention.wanted(EventType.PUSH_ACCEPTED)


async def test_everything_else_is_always_wanted() -> None:
    clock = ToldClock()
    attention = Attention(MemoryEvents(), clock)

    assert all(attention.wanted(kind) for kind in EventType if kind is not EventType.PUSH_ACCEPTED)


async def test_a_follower_that_waits_still_counts() -> None:
    clock = ToldClock()
    events = MemoryEvents()
    attention = Attention(events, clock)
    waiting = asyncio.ensure_future(anext(events.follow(), None))
    await asyncio.sleep(0)

    await clock.sleep(2 * REMEMBERED)
    assert attention.wanted(EventType.PUSH_ACCEPTED)
    waiting.cancel()


async def test_who_came_and_left_while_nothing_was_sent_finds_what_was_sent_since() -> None:
    clock, events = ToldClock(), MemoryEvents()
    attention = Attention(events, clock)
    feed = events.follow()
    del feed

    assert attention.wanted(EventType.PUSH_ACCEPTED)
