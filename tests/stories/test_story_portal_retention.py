"""What is kept for a while only: what the portal has, what is kept of connected ones, the SIP edge, the log of webhooks."""

from __future__ import annotations

import msgspec
import pytest

from connected_nouns import event, installation, write
from portal_nouns import code, digest, grant, offline, some_application
from sip_nouns import BOB, binding, message
from stories.world import World
from wakeline.config import Settings, Webhooks
from wakeline.model.bitrix24.calls import ExternalCall
from wakeline.model.bitrix24.inbox import EventState, Settled
from wakeline.model.bitrix24.outbox import WriteState
from wakeline.model.sip.binding import BindingChange
from wakeline.model.webhook import MessageState
from webhook_nouns import listening, told
from webhook_nouns import message as telling

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


async def test_events_and_writes_of_connected_portals_are_forgotten_once_they_wait_for_nothing(world: World) -> None:
    store, now = world.store, world.clock.now()
    of = (await store.installations.create(installation(app=world.app.id))).id
    await store.event_inbox.put([event(number, of=of, received=now) for number in (1, 2)])
    first, waiting = await store.event_inbox.recorded(limit=9)
    await store.event_inbox.settle([Settled(id=first.id, state=EventState.DONE)])
    await store.outbox.put([write(of=of, at=now), write(of=of, at=now, state=WriteState.DONE)])

    world.clock.advance(world.settings.retention.notifications)
    await world.pipeline.maintain.prune()
    assert len(await store.event_inbox.recorded(limit=9)) == len(await store.outbox.recorded(limit=9)) == 2

    world.clock.advance(1)
    await world.pipeline.maintain.prune()
    assert await store.event_inbox.recorded(limit=9) == [waiting]
    assert [each.state for each in await store.outbox.recorded(limit=9)] == [WriteState.WAITING]


async def test_registrations_and_messages_are_forgotten_when_their_time_is_over(world: World) -> None:
    store, now = world.store, world.clock.now()
    phones = binding("short", kept=now + 1000), binding("long", kept=now + 2000)
    await store.sip_bindings.change(BindingChange(aor=BOB, put=phones))
    await store.sip_messages.put(message("c1 1", expires=now + 1000))
    await store.sip_messages.put(message("c2 1", expires=now + 2000))

    world.clock.advance(1)
    await world.pipeline.maintain.prune()

    assert [each.uid for each in store.sip_bindings.of(BOB)] == ["long"]
    assert await store.sip_bindings.prune(now + 1000) == 0
    assert await store.sip_messages.count(BOB) == 1


async def test_the_log_of_webhooks_is_forgotten_as_its_own_setting_says(world: World) -> None:
    of = await listening(world.store)
    now = world.clock.now()
    await told(world.store, of, *(telling(of, seq, at=now) for seq in range(1, 1001)))
    await told(world.store, of, telling(of, 1001, MessageState.WAITING, at=now))

    world.clock.advance(world.settings.webhooks.log_kept)
    await world.pipeline.maintain.tick()
    assert await world.store.endpoints.message(of.id, 1) is not None

    world.clock.advance(10)
    await world.pipeline.maintain.tick()
    assert [each.seq for each in (await world.store.endpoints.log(of.id)).messages] == [1001]


async def test_the_log_of_a_webhook_has_no_more_messages_than_its_setting_says() -> None:
    few = msgspec.structs.replace(Settings(), webhooks=Webhooks(log_messages=100))
    world = await World(few).open()
    of = await listening(world.store)
    await told(world.store, of, *(telling(of, seq, at=world.clock.now()) for seq in range(1, 1001)))

    world.clock.advance(10)
    await world.pipeline.maintain.tick()

    left = [each.seq for each in (await world.store.endpoints.log(of.id, limit=500)).messages]
    assert left == list(range(1000, 910, -1))
