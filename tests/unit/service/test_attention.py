"""Who listens decides whether successes are journaled."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from storing import ToldClock
from wakeline.model.app import App
from wakeline.model.event import EventType
from wakeline.model.webhook import Disabled, Endpoint
from wakeline.service.attention import REMEMBERED, Attention
from wakeline.storage.memory import MemoryStore
from wakeline.storage.sealing import Sealer

pytestmark = pytest.mark.anyio

OF_SUCCESS = {
    EventType.PUSH_ACCEPTED,
    EventType.NOTIFICATION_COMPLETED,
    EventType.PUSH_ACKNOWLEDGED,
    EventType.PUSH_OPENED,
}
SECRET = b"s" * 32


class Office:
    """A store with two apps, and who listens to what happens to them."""

    def __init__(self) -> None:
        self.clock = ToldClock()
        self.store = MemoryStore(self.clock, Sealer(b"k" * 32))
        self.events = self.store.events
        self.attention = Attention(self.events, self.store.endpoints, self.store.apps, self.clock)
        self.acme: App
        self.other: App

    async def open(self) -> Office:
        self.acme = await self.store.apps.create("acme", "Acme", 1)
        self.other = await self.store.apps.create("other", "Other", 1)
        return self

    def wanted(self, event_type: EventType = EventType.PUSH_ACCEPTED, app: App | None = None) -> bool:
        return self.attention.wanted(event_type, (app or self.acme).id)

    async def endpoint(self, **facts: Any) -> Endpoint:
        return await self.store.endpoints.create(Endpoint(url="https://example.com/hook", **facts), SECRET, cursor=0)


@pytest.fixture
async def office() -> Office:
    return await Office().open()


async def test_successes_are_wanted_while_somebody_follows_and_an_hour_longer(office: Office) -> None:
    assert not office.wanted()
    feed = office.events.follow()
    assert office.wanted()
    del feed
    assert office.wanted()
    await office.clock.sleep(REMEMBERED - 1)
    assert office.wanted()
    await office.clock.sleep(2)
    assert not office.wanted()


async def test_everything_else_is_always_wanted(office: Office) -> None:
    assert {kind for kind in EventType if not office.wanted(kind)} == OF_SUCCESS


async def test_who_follows_wants_all_of_success(office: Office) -> None:
    feed = office.events.follow()
    assert all(office.wanted(kind) for kind in EventType)
    del feed


async def test_a_follower_that_waits_still_counts(office: Office) -> None:
    waiting = asyncio.ensure_future(anext(office.events.follow(), None))
    await asyncio.sleep(0)

    await office.clock.sleep(2 * REMEMBERED)
    assert office.wanted()
    waiting.cancel()


async def test_who_came_and_left_while_nothing_was_sent_finds_what_was_sent_since(office: Office) -> None:
    feed = office.events.follow()
    del feed

    assert office.wanted()


async def test_a_webhook_wants_its_types_of_its_apps_and_nothing_else(office: Office) -> None:
    await office.endpoint(events=(EventType.PUSH_ACCEPTED, EventType.PUSH_FAILED), apps=("acme",))

    assert office.wanted()
    assert not office.wanted(app=office.other)
    assert not office.wanted(EventType.NOTIFICATION_COMPLETED)
    assert office.attention.told(EventType.PUSH_FAILED, office.acme.id)
    assert not office.attention.told(EventType.PUSH_FAILED, office.other.id)


async def test_a_webhook_of_everything_is_told_of_everything(office: Office) -> None:
    await office.endpoint()

    assert all(office.attention.told(kind, app.id) for kind in EventType for app in (office.acme, office.other))


async def test_changes_of_a_webhook_are_in_force_at_once(office: Office) -> None:
    assert not office.wanted()
    made = await office.endpoint(events=(EventType.PUSH_FAILED,))
    assert not office.wanted()
    await office.store.endpoints.change(msgspec.structs.replace(made, events=()))
    assert office.wanted()
    await office.store.endpoints.change(msgspec.structs.replace(made, events=(), disabled=Disabled.GONE))
    assert not office.wanted()
    await office.store.endpoints.change(msgspec.structs.replace(made, events=()))
    assert office.wanted()
    await office.store.endpoints.delete(made.id)
    assert not office.wanted()


async def test_a_new_app_of_a_known_name_is_the_webhook_s_too(office: Office) -> None:
    await office.endpoint(apps=("acme-two",))
    assert not office.wanted()
    made = await office.store.apps.create("acme-two", "Acme", 1)
    assert office.wanted(app=made)


async def test_failures_are_told_to_who_follows_as_well(office: Office) -> None:
    assert not office.attention.told(EventType.PUSH_FAILED, office.acme.id)
    feed = office.events.follow()
    assert office.attention.told(EventType.PUSH_FAILED, office.acme.id)
    del feed
