"""What the portal keeps for a while only: codes, tokens, offline events, calls."""

from __future__ import annotations

import pytest

from portal_nouns import code, digest, grant, offline, some_application
from stories.world import World
from wakeline.model.bitrix24.calls import ExternalCall

pytestmark = pytest.mark.anyio


async def test_what_expired_on_the_portal_is_forgotten_with_the_rest(world: World) -> None:
    access, events = world.store.portal_access, world.store.portal_events
    owner = await some_application(world.store, app=world.app.id)
    now = world.clock.now()
    await access.keep_code(code("c", owner.id, expires=now + 30_000))
    await access.issue(grant("short", owner.id, until=now + 3_600_000))
    await access.issue(grant("long", owner.id, until=now + 10**10))
    await events.queue([offline(owner.id, at=now)])

    world.clock.advance(world.settings.bitrix24.offline_event_lifetime)
    await world.pipeline.maintain.prune()

    assert await access.take_code(digest("c")) is None
    assert await access.grant_by_access(digest("short-access")) is None
    assert await access.grant_by_access(digest("long-access")) is not None
    assert await events.reserve(owner.id, "", "p", limit=1, failed=False) != []

    world.clock.advance(1)
    await events.clear(owner.id, "p")
    await events.queue([offline(owner.id, "old", at=now)])
    await world.pipeline.maintain.prune()

    assert await events.reserve(owner.id, "", "p", limit=1, failed=False) == []


async def test_calls_are_forgotten_with_the_ledger_even_those_that_never_ended(world: World) -> None:
    calls, now = world.store.portal_calls, world.clock.now()
    await calls.register(
        ExternalCall(id=0, call_id="c", fingerprint=b"f", user=7, phone="+1", type=2, begun=now), since=now
    )

    world.clock.advance(world.settings.retention.notifications)
    await world.pipeline.maintain.prune()
    assert await calls.call("c") is not None

    world.clock.advance(1)
    await world.pipeline.maintain.prune()
    assert await calls.call("c") is None
