"""What callers and operators may ask for besides sending: previews, bounds, reloads, warnings."""

from __future__ import annotations

import msgspec
import pytest

from stories.post import REVOKED, Post
from stories.world import World, request
from wakeline.config import Limits, QueueSection, Settings
from wakeline.model.credential import CredentialKind
from wakeline.model.errors import NoCredential, NotFound, Overloaded
from wakeline.model.event import EventType
from wakeline.model.notification import NotificationRequest
from wakeline.model.route import Environment, ProviderKind
from wakeline.pipeline import PreviewResult
from wakeline.ports import HOLD_NEW_ROUTES

pytestmark = pytest.mark.anyio

DAY = 86400


async def preview(world: World, **fields: object) -> PreviewResult:
    body = msgspec.convert(request(**fields), NotificationRequest)  # type: ignore[arg-type]  # a table of fields
    return await world.pipeline.accept.preview(world.app, body)


async def test_a_preview_shows_each_request_and_sends_nothing(world: World) -> None:
    await world.device("phone", "ann")
    await world.device("android", "ann", "fcm:android")
    shown = await preview(world, to={"users": ["ann"]}, title="hi")
    sent, refused = sorted(shown.items, key=lambda item: item.device, reverse=True)
    assert sent.request is not None
    assert (sent.device, sent.request.body, sent.host, sent.credential) == ("phone", "hi", "production.example", 1)
    assert refused.outcome is not None
    assert (refused.device, refused.outcome.code) == ("android", 901)
    await world.run()
    assert not world.apple.sent
    assert not await world.events()


async def test_a_preview_of_everyone_shows_the_first_and_the_estimate(world: World) -> None:
    for number in range(30):
        await world.device(f"p{number}", f"u{number}")
    shown = await preview(world, to={"everyone": True})
    assert (shown.recipients, shown.estimate, len(shown.items)) == (None, 30, 20)


async def test_a_preview_warns_of_a_hold(world: World) -> None:
    await world.device("phone", "ann")
    await world.send("ann")
    await world.run()
    await world.pipeline.hold(1, "because")
    [item] = (await preview(world, to={"users": ["ann"]})).items
    assert "because" in item.warnings[0]


async def test_a_preview_is_refused_like_the_push(world: World) -> None:
    await world.device("android", "ann", "fcm:android")
    with pytest.raises(NoCredential):
        await preview(world, to={"users": ["ann"]})


async def test_a_preview_is_not_charged() -> None:
    world = await World(Settings(limits=Limits(alert_burst=1))).open()
    await world.device("phone", "ann")
    for _ in range(3):
        await preview(world, to={"users": ["ann"]})
    key = await world.send("ann")
    await world.run()
    assert (await world.counts(key)).accepted == 1


async def test_a_full_queue_says_so_early() -> None:
    settings = Settings(limits=Limits(per_user=False), queue=QueueSection(max_pending=3))
    world = await World(settings).open()
    await world.device("phone", "ann")
    for _ in range(3):
        await world.send("ann")
    [refused] = await world.submit(request("ann"))
    assert isinstance(refused, Overloaded)
    assert refused.retry_after
    await world.run()
    await world.send("ann")


async def test_a_notification_of_another_app_cannot_be_cancelled(world: World) -> None:
    await world.device("phone", "ann")
    key = await world.send("ann")
    other = await world.store.apps.create("other", "Other", 0)
    with pytest.raises(NotFound):
        await world.pipeline.cancel(other, key)


async def test_a_credential_is_checked_before_it_ever_sent(world: World) -> None:
    world.apple.on_check = REVOKED
    assert (await world.pipeline.check(1)).code == 904
    known = world.store.credentials.get(1)
    assert known is not None
    assert known.state == "failed"
    with pytest.raises(NotFound):
        await world.pipeline.check(99)


async def test_the_first_acceptance_proves_a_credential(world: World) -> None:
    await world.device("phone", "ann")
    await world.send("ann")
    await world.run()
    known = world.store.credentials.get(1)
    assert known is not None
    assert known.state == "working"


async def test_a_certificate_is_warned_of_once_a_step(world: World) -> None:
    end = world.clock.now() + 1000 * DAY * 20
    await world.credential(
        CredentialKind.APNS_CERTIFICATE, topics=("com.acme",), environments=(Environment.PRODUCTION,), not_after=end
    )
    await world.later(21 * DAY, step=7200)
    notes = [event.data.note for event in await world.events(EventType.CREDENTIAL_EXPIRING)]
    within = [note.partition(" ends within ")[2].partition(",")[0] for note in notes]
    assert within == ["20 days", "14 days", "7 days", "3 days", "a day"]
    assert all(note.startswith("com.acme ") and "`wakeline credential add`" in note for note in notes)
    [ended] = await world.events(EventType.CREDENTIAL_EXPIRED)
    assert "com.acme ended on 2" in ended.data.note
    assert "waits (903), and calls fail: upload another" in ended.data.note


async def test_a_restored_store_sends_nothing_before_it_is_released(world: World) -> None:
    await world.store.settings.set(HOLD_NEW_ROUTES, "1")
    await world.device("phone", "ann")
    key = await world.send("ann")
    await world.run()
    assert (await world.counts(key)).held == 1
    await world.pipeline.release()
    await world.run()
    assert (await world.counts(key)).accepted == 1
    assert await world.store.settings.get(HOLD_NEW_ROUTES) is None


async def test_reloaded_providers_take_over_without_loss(world: World) -> None:
    await world.device("phone", "ann")
    world.apple.answers = False
    first = await world.send("ann")
    await world.run()
    moved = Post(ProviderKind.APNS)
    world.pipeline.apply(world.settings, {ProviderKind.APNS: moved, ProviderKind.FCM: world.google})
    second = await world.send("ann", title="second")
    for _ in range(3):
        await world.step()
    assert [sent.title for sent in moved.sent] == ["second"]
    moved.deliver()
    world.apple.answers = True
    await world.run()
    assert (await world.counts(first)).accepted == 1
    assert (await world.counts(second)).accepted == 1


async def test_reloaded_limits_count_at_once() -> None:
    world = await World(Settings(limits=Limits(alert_burst=1))).open()
    await world.device("phone", "ann")
    world.pipeline.apply(Settings(limits=Limits(per_user=False)), None)
    for _ in range(5):
        await world.send("ann")
    await world.run()
    assert len(world.apple.sent) == 5


async def test_old_things_are_forgotten_as_retention_says(world: World) -> None:
    await world.device("phone", "ann")
    key = await world.send("ann")
    await world.run()
    await world.later(31 * DAY, step=7200)
    assert await world.store.ledger.notification(key) is None
    assert not await world.events(EventType.PUSH_ACCEPTED)
