"""What phones say of pushes, whatever these are doing at the moment; and what a phone finds that missed its pushes."""

from __future__ import annotations

import msgspec
import pytest

from stories.post import REVOKED
from stories.world import World, request, submission
from wakeline.doctor.explain import Explainer, ExplainPorts
from wakeline.doctor.explanation import Explanation
from wakeline.model.app import AppSettings
from wakeline.model.delivery import DeliveryState
from wakeline.model.device import Device
from wakeline.model.event import EventType
from wakeline.model.ids import delivery_id
from wakeline.model.notification import Counts
from wakeline.model.outcome import Outcome
from wakeline.model.receipt import ReceiptKind
from wakeline.pipeline import Taken
from wakeline.pipeline.meter import Silent
from wakeline.pipeline.receiving import Said

pytestmark = pytest.mark.anyio

ACKNOWLEDGED, OPENED = ReceiptKind.ACKNOWLEDGED, ReceiptKind.OPENED


class Counted(Silent):
    """Keeps what was told of receipts."""

    def __init__(self) -> None:
        self.receipts: list[tuple[str, str, float | None]] = []

    def received(self, provider: str, kind: str, seconds: float | None) -> None:
        self.receipts.append((provider, kind, seconds))


async def say(world: World, device: Device, *notifications: int, kind: ReceiptKind = ACKNOWLEDGED) -> list[bool]:
    heard = await world.pipeline.receiving.note([Said(device, key, kind) for key in notifications])
    return [one.fresh for one in heard]


async def inbox(world: World, device: Device) -> list[int]:
    page = await world.pipeline.receiving.inbox(device, after=0, limit=50)
    assert page.cursor is None
    return [item.notification.key for item in page.items]


async def test_accepted_acknowledged_and_opened_are_three_facts(world: World) -> None:
    meter = world.parts.meter = Counted()
    phone, tablet = await world.device("aa", "alice"), await world.device("bb", "alice")
    key = await world.send("alice")
    await world.run()
    accepted = await world.counts(key)

    world.clock.advance(3)
    first = [await say(world, phone, key), await say(world, phone, key, kind=OPENED), await say(world, phone, key)]

    assert accepted == Counts(accepted=2)
    assert first == [[True], [True], [False]]
    assert await world.counts(key) == Counts(accepted=2, opened=1)
    await say(world, tablet, key)
    assert await world.counts(key) == Counts(accepted=2, acknowledged=1, opened=1)
    assert [(provider, kind) for provider, kind, _ in meter.receipts] == [
        ("apns", "acknowledged"),
        ("apns", "opened"),
        ("apns", "acknowledged"),
    ]
    assert [seconds for _, _, seconds in meter.receipts] == [pytest.approx(3, abs=0.5), None, pytest.approx(3, abs=0.5)]
    events = await world.events(EventType.PUSH_ACKNOWLEDGED, EventType.PUSH_OPENED)
    assert [(event.type, event.data.device) for event in events] == [
        (EventType.PUSH_ACKNOWLEDGED, "aa"),
        (EventType.PUSH_OPENED, "aa"),
        (EventType.PUSH_ACKNOWLEDGED, "bb"),
    ]
    assert {event.data.users for event in events} == {("alice",)}


async def test_nothing_is_told_of_receipts_while_nobody_asks(world: World) -> None:
    asked: list[EventType] = []

    def wanted(event: EventType, app: int) -> bool:
        assert app == world.app.id
        asked.append(event)
        return False

    phone = await world.device("aa", "alice")
    key = await world.send("alice")
    await world.run()
    world.parts.wanted = wanted
    await say(world, phone, key)

    assert asked == [EventType.PUSH_ACKNOWLEDGED]
    assert await world.events(EventType.PUSH_ACKNOWLEDGED) == []
    assert (await world.counts(key)).acknowledged == 1


async def test_a_phone_may_be_quicker_than_the_answer_of_its_push_service(world: World) -> None:
    phone = await world.device("aa", "alice")
    world.apple.answers = False
    key = await world.send("alice")
    await world.run()
    assert world.apple.tokens() == ["aa"]

    said = await say(world, phone, key)
    before = await world.delivery(key)
    world.apple.answers = True
    await world.run()

    assert (said, before.state) == ([True], DeliveryState.SENDING)
    assert (await world.delivery(key)).state is DeliveryState.ACKNOWLEDGED
    assert await world.counts(key) == Counts(accepted=1, acknowledged=1)
    assert await say(world, phone, key) == [False]


async def test_what_a_phone_said_while_it_was_sent_to_outlives_a_crash_and_is_not_sent_again(world: World) -> None:
    phone = await world.device("aa", "alice")
    world.apple.answers = False
    key = await world.send("alice")
    await world.run()
    await say(world, phone, key, kind=OPENED)

    world.apple.offices.clear()
    world.apple.answers = True
    world.restarted()
    await world.store.queue.rescue()
    await world.later(60)

    assert world.apple.tokens() == ["aa"]
    assert await world.counts(key) == Counts(accepted=1, opened=1)


class TestADeviceThatIsConnected:
    async def connected(self, world: World) -> tuple[Device, int]:
        phone = await world.device("aa", "alice")
        await world.store.devices.set_presence(world.app.id, "aa", world.clock.now() + 60_000)
        key = await world.send("alice", only_if_absent=True)
        await world.run()
        return phone, key

    async def test_and_acknowledges_gets_no_push(self, world: World) -> None:
        phone, key = await self.connected(world)
        assert await inbox(world, phone) == [key]

        await say(world, phone, key)
        await world.later(300)

        assert world.apple.tokens() == []
        assert await world.counts(key) == Counts(accepted=1, acknowledged=1)
        assert await inbox(world, phone) == []

    async def test_and_keeps_silent_gets_it_after_all(self, world: World) -> None:
        _, key = await self.connected(world)

        await world.later(300)

        assert world.apple.tokens() == ["aa"]
        assert await world.counts(key) == Counts(accepted=1)


async def test_what_a_broken_credential_holds_back_is_in_the_inbox_and_not_sent_once_it_was_read(world: World) -> None:
    phone = await world.device("aa", "alice")
    world.apple.to_all = REVOKED
    read, unread = await world.send("alice", title="read"), await world.send("alice", title="unread")
    await world.run()
    held = [(await world.delivery(key)).state for key in (read, unread)]
    found = await inbox(world, phone)
    await say(world, phone, read)

    world.apple.to_all = None
    world.apple.sent.clear()
    await world.credential(replace=1)
    await world.later(120)

    assert held == [DeliveryState.HELD, DeliveryState.HELD]
    assert found == [read, unread]
    assert [sent.title for sent in world.apple.sent] == ["unread"]
    assert [await world.counts(key) for key in (read, unread)] == [
        Counts(accepted=1, acknowledged=1),
        Counts(accepted=1),
    ]


async def test_a_phone_that_was_off_finds_everything_in_order_though_apple_kept_one(world: World) -> None:
    phone = await world.device("aa", "alice")
    keys = [await world.send("alice", title=f"message {number}") for number in range(5)]
    await world.run()

    assert await inbox(world, phone) == keys
    await say(world, phone, *keys[:4])
    assert await inbox(world, phone) == keys[4:]
    await say(world, phone, keys[4], kind=OPENED)
    assert await inbox(world, phone) == []


async def test_what_expired_on_its_way_is_in_the_inbox(world: World) -> None:
    phone = await world.device("aa", "alice")
    world.apple.to_all = REVOKED
    key = await world.send("alice", ttl=60)
    await world.later(120)
    expired = (await world.delivery(key)).state

    found = await inbox(world, phone)
    await say(world, phone, key)

    assert (expired, found) == (DeliveryState.EXPIRED, [key])
    assert await world.counts(key) == Counts(accepted=1, acknowledged=1)


async def test_a_broadcast_counts_who_has_it(world: World) -> None:
    phones = [await world.device(f"phone-{number}", f"user-{number}") for number in range(700)]
    key = await world.send(to={"everyone": True})
    await world.run()

    said = [await say(world, phone, key) for phone in phones[100:400]]
    await say(world, phones[100], key, kind=OPENED)

    assert said == [[True]] * 300
    assert await world.counts(key) == Counts(accepted=700, acknowledged=299, opened=1)
    states = [delivery.state for delivery in await world.deliveries(key)]
    assert states.count(DeliveryState.ACKNOWLEDGED) == 299
    assert [await inbox(world, phones[place]) for place in (99, 100, 399, 400)] == [[key], [], [], [key]]


async def explained(world: World, key: int, device: Device) -> Explanation:
    store = world.store
    ports = ExplainPorts(
        clock=world.clock,
        devices=store.devices,
        credentials=store.credentials,
        routes=store.routes,
        ledger=store.ledger,
        pipeline=world.pipeline,
    )
    return await Explainer(ports).explain(delivery_id(key, device.targets[0].id), [world.app])


@pytest.mark.parametrize(
    ("kind", "verdict", "detail"),
    [
        (ACKNOWLEDGED, "acknowledged by the device", "The app has it."),
        (OPENED, "opened on the device", "Its user opened it."),
    ],
)
async def test_explain_says_that_it_arrived_and_when(
    world: World, kind: ReceiptKind, verdict: str, detail: str
) -> None:
    phone = await world.device("aa", "alice")
    key = await world.send("alice")
    await world.run()
    await say(world, phone, key, kind=kind)

    found = await explained(world, key, phone)

    assert found.verdict == verdict
    assert "arrived" in found.cause
    assert [(step.what, step.detail) for step in found.steps][-1] == (f"{kind.value} by aa", detail)


async def test_explain_says_that_no_push_was_needed(world: World) -> None:
    phone, key = await TestADeviceThatIsConnected().connected(world)
    await say(world, phone, key)

    found = await explained(world, key, phone)

    assert found.verdict == "acknowledged by the device"
    assert found.cause == "The device acknowledged the notification before a push was needed."


async def test_who_waits_for_a_push_hears_that_the_phone_has_it(world: World) -> None:
    phone = await world.device("aa", "alice")
    await world.store.devices.set_presence(world.app.id, "aa", world.clock.now() + 60_000)
    heard: list[Outcome] = []
    asked = msgspec.structs.replace(submission(request("alice", only_if_absent=True)), heard=heard.append)
    [taken] = await world.pipeline.accept.accept(world.app, [asked])
    assert isinstance(taken, Taken)

    await say(world, phone, taken.key)
    await say(world, phone, taken.key, kind=OPENED)

    assert [outcome.accepted for outcome in heard] == [True]
    assert len(world.pipeline.settle.hearing) == 0


async def test_an_app_that_keeps_no_content_counts_receipts_all_the_same(world: World) -> None:
    await world.change_app(settings=AppSettings(keep_content=False))
    phone = await world.device("aa", "alice")
    key = await world.send("alice")
    await world.run()

    assert (await inbox(world, phone), await say(world, phone, key)) == ([], [True])


async def test_a_token_that_was_given_up_shows_nobody_what_goes_to_its_next_owner(world: World) -> None:
    await world.device("phone", "ann", "apns:one")
    await world.device("phone", "ann", "apns:two")
    await world.device("tablet", "bob", "apns:one")
    world.clock.advance(1)
    key = await world.send("bob")
    await world.run()
    phone = await world.device("phone", "ann", "apns:two")

    assert (await inbox(world, phone), await say(world, phone, key)) == ([], [False])


async def test_whoever_has_the_phone_next_finds_nothing_of_its_former_tokens(world: World) -> None:
    phone = await world.device("phone", "ann", "apns:one")
    key = await world.send("ann")
    await world.run()
    again = await world.device("phone", "ann", "apns:two")
    assert (await inbox(world, phone), await inbox(world, again)) == ([key], [key])
    world.clock.advance(1)

    assert await inbox(world, await world.device("phone", "bob", "apns:three")) == []
