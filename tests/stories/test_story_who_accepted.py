"""An event of a push that was accepted names who accepted it."""

from __future__ import annotations

import pytest

from stories.world import World
from wakeline.model.event import EventType

pytestmark = pytest.mark.anyio


async def test_each_push_service_is_named_by_its_own_pushes() -> None:
    world = await World().open()
    await world.android()
    await world.vapid()
    await world.device("ios", "alice", "apns:a1")
    await world.device("android", "alice", "fcm:f1")
    await world.device("browser", "alice", "webpush:https://push.example/s1")
    await world.send("alice")
    await world.run()

    accepted = await world.events(EventType.PUSH_ACCEPTED)
    causes = {event.data.kind: event.data.outcome.cause for event in accepted if event.data.outcome is not None}
    assert causes == {
        "apns": "Apple accepted the push.",
        "fcm": "Google accepted the push.",
        "webpush": "The push service accepted the push.",
    }


async def test_of_a_device_that_is_forgotten_meanwhile_it_is_told_all_the_same() -> None:
    world = await World().open()
    await world.device("ios", "alice", "apns:a1")
    await world.send("alice")
    await world.pipeline.dispatch.turn()
    world.apple.deliver()
    await world.store.devices.delete(world.app.id, "ios")
    await world.run()
    [event] = await world.events(EventType.PUSH_ACCEPTED)
    assert (event.data.device, event.data.kind) == ("", "")
