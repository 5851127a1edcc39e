"""What was sent and what was answered, in the events: of failures while a webhook asks, of successes in a debug window."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from stories.post import BAD_TOKEN, DOWN, NO_ANSWER
from stories.world import World
from wakeline.model.app import App, AppSettings
from wakeline.model.event import Event, EventType
from wakeline.model.outcome import Outcome
from wakeline.pipeline.exchange import MOST
from wakeline.ports import Preview
from wakeline.providers.apns import ApnsProvider
from wakeline.wire import fcm, receipt_token

pytestmark = pytest.mark.anyio

REFUSED = msgspec.structs.replace(BAD_TOKEN, body='{"reason":"BadDeviceToken"}')
FAILED = EventType.PUSH_FAILED
ACCEPTED = EventType.PUSH_ACCEPTED


def tell(world: World, *types: EventType, app: App | None = None) -> None:
    """Have a webhook be told of these types."""
    only = (app or world.app).id
    world.parts.told = lambda event_type, about: event_type in types and about == only
    world.parts.wanted = world.parts.told


async def events(world: World, event_type: EventType) -> list[Event]:
    return [event for event in await world.store.events.read(after=0, limit=5000) if event.type is event_type]


async def refuse(world: World, answer: Outcome = REFUSED, **fields: Any) -> Event:
    """Send a push to a device and have it refused."""
    await world.device("ios", "ann", "apns:a1b2c3d4e5f6a1b2c3d4e5f6")
    world.apple.to_all = answer
    await world.send("ann", **fields)
    await world.later(90_000, step=600)
    [event] = await events(world, FAILED)
    return event


async def test_a_failure_bears_its_request_and_the_answer_while_a_webhook_is_told_of_it(world: World) -> None:
    tell(world, FAILED)
    data = (await refuse(world, title="Good morning")).data

    assert data.request is not None
    assert data.response is not None
    assert (data.request.method, data.request.url) == ("POST", "https://sandbox.example/3/device/d4e5f6")
    assert data.request.body == "Good morning"
    assert (data.response.code, data.response.reason) == (400, "BadDeviceToken")
    assert data.response.body == '{"reason":"BadDeviceToken"}'
    assert data.outcome is not None
    assert data.outcome.body == ""


async def test_nobody_is_told_and_nothing_is_recorded_but_the_code(world: World) -> None:
    data = (await refuse(world)).data

    assert data.request is None
    assert data.response is not None
    assert (data.response.code, data.response.reason, data.response.body) == (400, "BadDeviceToken", "")


async def test_a_webhook_of_other_events_or_of_another_app_records_nothing(world: World) -> None:
    other = await world.store.apps.create("other", "Other", world.clock.now())
    tell(world, FAILED, app=other)
    assert (await refuse(world)).data.request is None
    tell(world, EventType.TARGET_RETIRED)
    await world.device("two", "bob")
    await world.send("bob")
    await world.later(10)
    assert [event.data.request for event in await events(world, FAILED)] == [None, None]


async def test_what_the_gateway_refused_has_a_code_and_no_request(world: World) -> None:
    tell(world, FAILED)
    await world.device("android", "ann", "fcm:f1")
    await world.device("ios", "ann")
    await world.send("ann")
    await world.run()
    [event] = await events(world, FAILED)

    assert event.data.request is None
    assert event.data.response is not None
    assert event.data.response.code == 901


async def test_no_answer_shows_what_was_written(world: World) -> None:
    tell(world, FAILED)
    data = (await refuse(world, NO_ANSWER, on_unknown="stop")).data

    assert data.request is not None
    assert data.response is not None
    assert data.response.code == 902


async def test_what_failed_for_good_shows_the_last_answer(world: World) -> None:
    tell(world, FAILED)
    data = (await refuse(world, msgspec.structs.replace(DOWN, body="busy"), ttl=3600)).data

    assert data.attempts > 1
    assert data.response is not None
    assert (data.response.code, data.response.body) == (503, "busy")


async def test_a_debug_window_records_successes_and_what_it_cost(world: World) -> None:
    tell(world)
    await world.device("ios", "ann")
    await world.send("ann", title="before")
    await world.run()
    await world.pipeline.debug.open(world.app)
    await world.send("ann", title="during")
    await world.run()
    await world.pipeline.debug.close(world.app)
    await world.send("ann", title="after")
    await world.run()
    [event] = await events(world, ACCEPTED)
    window = world.pipeline.debug.state(world.app)

    assert event.data.request is not None
    assert event.data.request.body == "during"
    assert event.data.response is not None
    assert (event.data.response.code, event.data.response.body) == (200, "")
    assert window.recorded == 1
    assert window.spent > 0


async def test_fcm_s_successes_are_recorded_in_a_debug_window_alone(world: World) -> None:
    tell(world, FAILED, ACCEPTED)
    await world.android()
    await world.device("android", "ann", "fcm:f1/acme-1")
    world.google.to_all = fcm.read(200, (), b'{"name":"projects/acme-1/messages/0:1"}')
    await world.send("ann")
    await world.run()
    await world.pipeline.debug.open(world.app)
    await world.send("ann")
    await world.run()
    first, second = await events(world, ACCEPTED)

    assert (first.data.request, first.data.response) == (None, None)
    assert second.data.request is not None
    assert second.data.response is not None
    assert second.data.response.code == 200


async def test_a_window_records_failures_without_any_webhook(world: World) -> None:
    await world.pipeline.debug.open(world.app)
    assert (await refuse(world)).data.request is not None


async def test_a_broken_broadcast_records_so_many_a_second_and_says_so_of_the_others(world: World) -> None:
    tell(world, FAILED)
    for number in range(MOST + 50):
        await world.device(f"d{number}", f"u{number}", tags=("all",))
    world.apple.to_all = fcm.read(400, (), b'{"error":{"status":"INVALID_ARGUMENT"}}')
    await world.submit({"to": {"tags": ["all"]}, "alert": {"title": "news"}})
    await world.run()
    failed = await events(world, FAILED)

    assert len(failed) == MOST + 50
    assert sum(event.data.request is not None for event in failed) == MOST
    beyond = [event.data for event in failed if event.data.request is None]
    assert all(f"more than {MOST} a second" in data.note for data in beyond)
    assert all(data.response is not None and data.response.code == 400 for data in beyond)


async def test_an_app_that_keeps_no_content_records_no_message(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.change_app(settings=AppSettings(keep_content=False))
    tell(world, FAILED)
    as_sent = world.apple.preview

    def calling(*push: Any) -> Preview:
        shown = as_sent(*push)
        return msgspec.structs.replace(shown, headers=(*shown.headers, ("$from-name", "secret")))

    monkeypatch.setattr(world.apple, "preview", calling)  # as an external push URI shows what is filled into it
    data = (await refuse(world, title="secret")).data

    assert data.request is not None
    assert data.response is not None
    assert (data.request.body, data.response.body) == ("", "")
    assert "keeps no content" in data.note
    assert "secret" not in msgspec.json.encode(data).decode()


async def test_what_the_store_refuses_at_first_is_recorded_once(world: World) -> None:
    await world.pipeline.debug.open(world.app)
    await world.device("ios", "ann")
    await world.send("ann")
    world.queue.broken = True
    for _ in range(5):
        await world.step()
    world.queue.broken = False
    await world.run()

    assert len(await events(world, ACCEPTED)) == 1
    assert world.pipeline.debug.state(world.app).recorded == 1


async def test_a_token_for_receipts_is_masked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.change_app(settings=AppSettings(receipts=True))
    tell(world, FAILED)
    clock, addresses = world.clock, world.settings.providers
    monkeypatch.setattr(world.apple, "preview", ApnsProvider(addresses.apns, clock).preview)
    data = (await refuse(world, title="Hello")).data
    [key] = [sent.notification for sent in world.apple.sent[:1]]
    kept = await world.store.ledger.notification(key)

    assert kept is not None
    assert data.request is not None
    token = kept.content.data[receipt_token.FIELD]["receipt"]
    ours = msgspec.json.decode(data.request.body)[receipt_token.FIELD]
    assert ours == {"id": data.notification, "receipt": f"...{token[-6:]}"}
