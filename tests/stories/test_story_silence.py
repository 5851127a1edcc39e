"""Phones that fall silent: named while their pushes are still accepted as ever, told once, and told again when it is over."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import msgspec
import pytest

from stories.world import World, request
from unit.doctor.clinic import line, ports_in
from wakeline.config import Limits, Settings
from wakeline.doctor import silence
from wakeline.doctor.explain import Explainer, ExplainPorts
from wakeline.model.app import AppSettings
from wakeline.model.delivery import DeliveryState
from wakeline.model.device import Device, DeviceFacts
from wakeline.model.errors import StoreUnavailable
from wakeline.model.event import Event, EventType
from wakeline.model.ids import delivery_id
from wakeline.model.notification import PushType
from wakeline.model.receipt import ReceiptKind
from wakeline.model.route import Lane
from wakeline.model.silence import HOUR, WHOLE, Count, Slice, SliceKind, Suspicion, Traits, traits_of
from wakeline.pipeline.accept import Taken
from wakeline.pipeline.receiving import Said
from wakeline.pipeline.silence import walk

pytestmark = pytest.mark.anyio

REDMI = DeviceFacts(platform="android", os_version="13", model="Redmi 9")
PIXEL = DeviceFacts(platform="android", os_version="14.1", model="Pixel 8")
IPHONE = DeviceFacts(platform="ios", os_version="17.5", model="iPhone14,2")
MODEL = Slice(SliceKind.MODEL, "android", "Redmi 9")
USUAL = 0.9
GRACE = 600


class Life:
    """An app with sixty phones of three models, which have confirmed nine of ten pushes for eight days."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.phones: list[Device] = []
        self.random = random.Random(7)  # noqa: S311 - made-up phones need no secrets
        self.sent_to_redmi = 0

    async def begin(self) -> Life:
        await self.world.android()
        for facts in (REDMI, PIXEL, IPHONE):
            for number in range(20):
                name = f"{facts.model} {number}".replace(" ", "-").replace(",", "-")
                kind = "apns" if facts is IPHONE else "fcm"
                self.phones.append(await self.world.device(name, name, f"{kind}:{name}", facts=facts))
        now = self.world.clock.now() // HOUR
        counts = [
            Count(
                app=self.world.app.id,
                hour=hour,
                lane=Lane.ALERT,
                traits=traits_of(facts, ""),
                sent=10,
                heard=9,
            )
            for hour in range(now - 190, now)
            for facts in (REDMI, PIXEL, IPHONE)
        ]
        await self.world.store.silence.record(counts, (), (), mark=None)
        await self.world.pipeline.maintain.tick()
        return self

    async def round(self, swallows: Callable[[Device], bool] = lambda _device: False) -> list[int]:
        """Send to each phone; those that are not swallowed confirm, as usual. Then the grace passes."""
        world = self.world
        taken = await world.submit(*(request(phone.users[0]) for phone in self.phones))
        keys = [one.key for one in taken if isinstance(one, Taken)]
        await world.run()
        said = [
            Said(phone, key, ReceiptKind.ACKNOWLEDGED)
            for phone, key in zip(self.phones, keys, strict=True)
            if self.random.random() < USUAL and not swallows(phone)
        ]
        await world.pipeline.receiving.note(said)
        self.sent_to_redmi += sum(phone.facts == REDMI for phone in self.phones)
        await self.pass_grace()
        return keys

    async def pass_grace(self) -> None:
        self.world.clock.advance(GRACE + 20)
        await self.world.pipeline.maintain.tick()

    def redmi(self, share: float = 0.4) -> Callable[[Device], bool]:
        return lambda phone: phone.facts == REDMI and self.random.random() < share

    async def until_told(self, swallows: Callable[[Device], bool]) -> Event:
        for _ in range(15):
            await self.round(swallows)
            if told := await self.told():
                return told[0]
        raise AssertionError("nobody noticed")

    async def counted(self) -> int:
        return sum(count.sent for count in await counts_of(self.world))

    async def told(self) -> Sequence[Event]:
        return await self.world.events(EventType.SILENCE_SUSPECTED, EventType.SILENCE_ENDED)


async def counts_of(world: World) -> list[Count]:
    now = world.clock.now() // HOUR
    return [count for hour in range(now - 400, now + 1) for count in await world.store.silence.counts(hour)]


@pytest.fixture
async def life() -> Life:
    world = World(Settings(limits=Limits(per_user=False)))
    await world.open(AppSettings(receipts=True))
    return await Life(world).begin()


async def test_a_model_of_which_two_fifths_are_swallowed_is_named_within_300_pushes(life: Life) -> None:
    event = await life.until_told(life.redmi())

    assert life.sent_to_redmi <= 300
    assert (event.type, event.app) == (EventType.SILENCE_SUSPECTED, "acme")
    assert event.data.note.startswith("Model Redmi 9 (Android): of ")
    assert ", usually 9" in event.data.note
    assert "Battery management of this maker" in event.data.note
    [suspicion] = life.world.pipeline.silence.suspicions()
    assert suspicion.part == MODEL


async def test_it_is_told_once_and_once_more_when_it_is_over(life: Life) -> None:
    await life.until_told(life.redmi())
    for _ in range(5):
        await life.round(life.redmi())
    silent = [event.type for event in await life.told()]
    for _ in range(12):
        await life.round()

    assert silent == [EventType.SILENCE_SUSPECTED]
    [_, over] = await life.told()
    assert over.type is EventType.SILENCE_ENDED
    assert over.data.note.startswith("Model Redmi 9 (Android): pushes are confirmed as usual again, after ")
    assert [one.until is None for one in life.world.pipeline.silence.suspicions()] == [False]


async def test_doctor_and_explain_name_it(life: Life) -> None:
    world = life.world
    before = await line(silence.look, ports_in(world), "silence of acme")
    await life.until_told(life.redmi())
    keys = await life.round(life.redmi())
    status, cause, fix = await line(silence.look, ports_in(world), "silence of acme")
    explainer = Explainer(
        ExplainPorts(
            clock=world.clock,
            devices=world.store.devices,
            credentials=world.store.credentials,
            routes=world.store.routes,
            ledger=world.store.ledger,
            pipeline=world.pipeline,
        )
    )
    redmi = await explainer.explain("device:Redmi-9-3", [world.app])
    pixel = await explainer.explain("device:Pixel-8-3", [world.app])
    unheard = [
        await explainer.explain(delivery_id(key, phone.targets[0].id), [world.app])
        for key, phone in zip(keys, life.phones, strict=True)
        if phone.facts == REDMI and (await world.delivery(key)).state is DeliveryState.ACCEPTED
    ]

    assert before == ("ok", "Of the pushes of the last day 90% were confirmed.", "")
    assert (status, "Redmi 9" in cause, "/v1/silence" in fix) == ("warning", True, True)
    assert cause.startswith("Since ")
    assert redmi.verdict == "active, but phones like it have fallen silent"
    assert "Battery management" in redmi.cause
    assert pixel.verdict == "active"
    assert unheard
    assert all("Phones like it have fallen silent. Model Redmi 9" in one.cause for one in unheard)


async def test_what_is_not_confirmed_yet_is_no_silence_before_the_grace_is_over(life: Life) -> None:
    world = life.world
    taken = await world.submit(*(request(phone.users[0]) for phone in life.phones))
    await world.run()
    world.clock.advance(GRACE - 20)
    await world.pipeline.maintain.tick()
    early = world.pipeline.silence.rates(world.app.id)[0].day
    late = [Said(phone, one.key, ReceiptKind.OPENED) for phone, one in zip(life.phones, taken, strict=True)]  # type: ignore[union-attr]  # all were taken
    await world.pipeline.receiving.note(late)
    world.clock.advance(40)
    await world.pipeline.maintain.tick()
    rates = world.pipeline.silence.rates(world.app.id)[0]

    assert rates.part == WHOLE
    assert (rates.day[0] - early[0], rates.day[1] - early[1]) == (60, 60)


async def test_restarts_in_between_lose_nothing_and_count_and_tell_nothing_twice(life: Life) -> None:
    world, everybody, rounds = life.world, life.phones, 0
    while not await life.told():
        life.phones = [phone for place, phone in enumerate(everybody) if place % 5 == rounds % 5]
        await life.round(life.redmi(0.6))
        before = await life.counted()
        world.restarted()
        await world.pipeline.maintain.tick()
        assert await life.counted() == before
        rounds += 1
    for _ in range(3):
        await life.round(life.redmi(0.6))
        world.restarted()

    assert rounds > 2
    assert life.sent_to_redmi <= 300
    assert len(await life.told()) == 1


async def test_what_was_under_way_while_nobody_was_there_to_hear_is_not_counted(life: Life) -> None:
    world = life.world
    await life.round()
    before = await life.counted()
    await world.submit(*(request(phone.users[0]) for phone in life.phones))
    await world.run()
    world.clock.advance(2 * GRACE)
    world.restarted()
    for _ in range(3):
        await life.pass_grace()

    assert await life.counted() == before


@pytest.mark.parametrize("ahead", [3 * 3600, 400 * 86400], ids=["some hours", "a year"])
async def test_a_clock_that_was_ahead_and_is_put_right_stops_no_watch(life: Life, ahead: int) -> None:
    world = life.world
    await life.round()
    world.clock.jump(ahead)
    await life.round()
    world.clock.jump(-ahead)
    await world.pipeline.maintain.tick()
    before = await life.counted()

    await life.round()
    world.restarted()
    await life.round()

    assert await life.counted() >= before + len(life.phones)
    assert not await life.told()


async def test_an_app_that_asks_for_no_receipts_any_more_did_not_fall_silent(life: Life) -> None:
    world = life.world
    await life.round()
    await world.store.apps.update(world.app.id, settings=AppSettings(receipts=False))
    for _ in range(6):
        await life.round(lambda _device: True)

    assert await life.told() == []
    assert await life.counted() == 0


async def test_a_silence_that_a_wrong_clock_noticed_does_not_last(life: Life) -> None:
    world = life.world
    world.clock.jump(86400)
    await life.until_told(life.redmi(0.9))
    world.clock.jump(-86400)
    await life.pass_grace()

    assert [one.type for one in await life.told()] == [EventType.SILENCE_SUSPECTED, EventType.SILENCE_ENDED]
    assert not [one for one in world.pipeline.silence.suspicions() if one.until is None]


async def test_what_it_cannot_keep_up_with_is_left_out_and_the_rest_is_counted(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "PAGE", 5)
    monkeypatch.setattr(walk, "PAGES", 4)
    before = await life.counted()
    await life.round()
    few = await life.counted() - before
    life.world.clock.advance(3600)
    await life.world.pipeline.maintain.tick()
    more = await life.counted() - before
    for _ in range(4):
        await life.pass_grace()
    left_out = await life.counted() - before
    life.phones = life.phones[:3]
    await life.round()

    assert (few, more, left_out) == (20, 40, 40)
    assert await life.counted() - before == 43


async def test_what_could_not_be_written_is_written_later_and_told_once(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, store = await life.counted(), life.world.store.silence

    async def full(*_given: object, **_more: object) -> list[Suspicion]:
        raise StoreUnavailable("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(store, "record", full)
        await life.round(life.redmi(0.8))
        await life.round(life.redmi(0.8))
        assert (await life.told(), await life.counted()) == ([], before)
    await life.round(life.redmi(0.8))

    assert len(await life.told()) == 1
    assert await life.counted() - before == 180
    [suspicion] = life.world.pipeline.silence.suspicions()
    assert suspicion.id


async def test_what_is_old_is_forgotten_and_an_app_that_is_gone_with_all_of_it(life: Life) -> None:
    world = life.world
    await life.until_told(life.redmi())
    for _ in range(12):
        await life.round()
    world.clock.advance(9 * 86_400)
    await world.pipeline.maintain.tick()
    counts, remembered = await counts_of(world), world.pipeline.silence.suspicions()
    world.clock.advance(30 * 86_400)
    await world.pipeline.maintain.tick()

    assert (counts, len(remembered)) == ([], 1)
    assert world.pipeline.silence.suspicions() == []

    await life.round()
    await world.store.apps.delete(world.app.id)
    world.clock.advance(3600)
    await world.pipeline.maintain.tick()

    assert world.pipeline.silence.rates(world.app.id) == []
    assert await counts_of(world) == []


async def test_an_app_whose_devices_confirm_nothing_is_not_judged_until_they_do(world: World) -> None:
    world.parts.settings = msgspec.structs.replace(world.settings, limits=Limits(per_user=False))
    await world.device("ios-1", "ann", facts=IPHONE)
    await world.pipeline.maintain.tick()
    mute = await world.send("ann")
    await world.run()
    world.clock.advance(GRACE + 20)
    await world.pipeline.maintain.tick()
    before = world.pipeline.silence.rates(world.app.id)
    unsaid = await line(silence.look, ports_in(world), "silence of acme")

    heard = await world.send("ann", type=PushType.ALERT)
    await world.run()
    device = await world.store.devices.get(world.app.id, "ios-1")
    assert device is not None
    await world.pipeline.receiving.note([Said(device, heard, ReceiptKind.ACKNOWLEDGED)])
    world.clock.advance(GRACE + 20)
    await world.pipeline.maintain.tick()

    assert mute != heard
    assert before == []
    assert unsaid[0] == "skipped"
    assert [(one.part.kind, one.day) for one in world.pipeline.silence.rates(world.app.id)] == [
        (kind, (1, 1)) for kind in SliceKind
    ]
    assert (await counts_of(world))[0].traits == Traits("ios", "17", "iPhone14,2")


async def test_receipts_that_are_on_and_that_no_device_sends_are_no_silence_either() -> None:
    world = await World(Settings(limits=Limits(per_user=False))).open(AppSettings(receipts=True))
    await world.device("ios-1", "ann", facts=IPHONE)
    await world.pipeline.maintain.tick()
    await world.send("ann")
    await world.run()
    world.clock.advance(GRACE + 20)
    await world.pipeline.maintain.tick()

    assert world.pipeline.silence.rates(world.app.id)[0].day == (1, 0)
    status, cause, _ = await line(silence.look, ports_in(world), "silence of acme")
    assert status == "skipped"
    assert cause.startswith("No device confirmed a push in the last day, so silence cannot be noticed.")
