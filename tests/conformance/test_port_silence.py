from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from storing import (
    DAY,
    HOUR,
    NOW,
    Store,
    ToldClock,
    accepted,
    admission,
    bulk_admission,
    claim,
    job,
    row,
    some_app,
    some_device,
    some_route,
    sqlite_store,
)
from wakeline.model.delivery import BULK_ENTRY, STATE_NUMBERS, DeliveryState
from wakeline.model.device import Device, DeviceFacts
from wakeline.model.event import Event, EventType
from wakeline.model.receipt import Receipt, ReceiptKind
from wakeline.model.route import Lane
from wakeline.model.silence import Count, Slice, SliceKind, Suspicion, Traits
from wakeline.ports import BulkResult, Settlement
from wakeline.ports.silence import Mark, SettledPage
from wakeline.storage import silence

pytestmark = pytest.mark.anyio

PIXEL = Traits("android", "14", "Pixel 8")
THIS_HOUR = NOW // HOUR
START = Mark(0)
EVERYBODY = frozenset({1})
SUSPICION = Suspicion(
    app=1, part=Slice(SliceKind.MODEL, "android", "Pixel 8"), since=NOW - HOUR, noticed=NOW, sent=40, heard=9, usual=0.9
)
HAPPENED = Event(type=EventType.SILENCE_SUSPECTED, at=NOW, app="acme-chat")


def target(device: Device) -> int:
    return device.targets[0].id


async def sent(store: Store, key: int, *devices: Device, app: int = 1) -> None:
    """Accept a notification to these devices, and have the push service accept it."""
    route = await some_route(store)
    given = admission(key, job(key, route.id, [target(device) for device in devices], app=app), app=app)
    await store.acceptance.accept([given])
    await store.queue.settle(accepted(*await store.queue.claim(route.id, Lane.ALERT, limit=1000, now=NOW)))


async def confirm(store: Store, key: int, device: Device, kind: ReceiptKind = ReceiptKind.ACKNOWLEDGED) -> None:
    await store.receipts.note([Receipt(app=1, notification=key, device=device.id, kind=kind, at=NOW + 1)])


async def look(store: Store, after: Mark = START, *, limit: int = 100, before: int = NOW + DAY) -> SettledPage:
    return await store.silence.settled(EVERYBODY, after=after, before=before, limit=limit)


def heard(page: SettledPage) -> list[tuple[int, bool]]:
    return [(one.device, one.heard) for one in page.sent]


def counted(sent: int, heard: int, *, hour: int = THIS_HOUR, app: int = 1, traits: Traits = PIXEL) -> Count:
    return Count(app=app, hour=hour, lane=Lane.ALERT, traits=traits, sent=sent, heard=heard)


class TestWhatWasSent:
    async def test_is_told_with_what_its_device_says_of_itself(self, store: Store) -> None:
        app, facts = await some_app(store), DeviceFacts(platform="android", os_version="14.1", model="Pixel 8")
        given = msgspec.structs.replace(claim(app), facts=facts)
        (registered,) = await store.devices.put([given])
        await sent(store, 10, registered.device)

        page = await look(store)

        (one,) = page.sent
        assert (one.at, one.app, one.lane) == (NOW, app.id, Lane.ALERT)
        assert (one.device, one.kind, one.facts, one.heard) == (registered.device.id, "apns", facts, False)
        assert (page.mark, page.more) == (Mark(NOW, 10), False)

    async def test_is_heard_once_its_device_confirmed_it_or_its_user_opened_it(self, store: Store) -> None:
        phones = [await some_device(store, name, name) for name in ("aa", "bb", "cc")]
        await sent(store, 10, *phones)
        await confirm(store, 10, phones[0])
        await confirm(store, 10, phones[1], ReceiptKind.OPENED)

        assert heard(await look(store)) == [(phones[0].id, True), (phones[1].id, True), (phones[2].id, False)]

    async def test_comes_in_the_order_in_which_it_was_done_a_page_at_a_time(
        self, store: Store, clock: ToldClock
    ) -> None:
        phones = [await some_device(store, name, name) for name in ("aa", "bb", "cc")]
        for key, phone in ((12, phones[0]), (11, phones[1]), (10, phones[2])):
            await sent(store, key, phone)
            clock.time += 500 * (key == 11)

        first = await look(store, limit=2)
        second = await look(store, first.mark, limit=2)

        assert heard(first) + heard(second) == [(phone.id, False) for phone in (phones[1], phones[0], phones[2])]
        assert (first.more, second.more, second.mark) == (True, False, Mark(NOW + 500, 10))
        assert (await look(store, second.mark)) == SettledPage(sent=(), mark=second.mark, more=False)

    async def test_waits_until_it_is_old_enough(self, store: Store) -> None:
        await sent(store, 10, await some_device(store))

        assert await look(store, before=NOW) == SettledPage(sent=(), mark=START, more=False)
        assert len((await look(store, before=NOW + 1)).sent) == 1

    async def test_counts_if_it_was_accepted_and_not_if_it_failed_or_needed_no_push(self, store: Store) -> None:
        phones = [await some_device(store, name, name) for name in ("aa", "bb", "cc")]
        route = await some_route(store)
        tried = job(10, route.id, [target(phones[0])], attempt=2)
        await store.acceptance.accept([admission(10, tried), admission(12, job(12, route.id, [target(phones[2])]))])
        await confirm(store, 10, phones[0])
        (failing,) = await store.queue.claim(route.id, Lane.ALERT, limit=1000, now=NOW)
        failed = row(12, target(phones[2]), DeliveryState.FAILED)._replace(status=410, outcome_class="token_dead")
        counts = {(12, DeliveryState.FAILED): 1}
        await store.queue.settle(Settlement(finished=[failing.id], rows=[failed], counts=counts))
        await sent(store, 11, phones[1])
        await store.devices.delete(1, "bb")
        await confirm(store, 12, phones[2])

        page = await look(store)

        assert page.sent == ()
        assert page.mark.notification == 12

    async def test_is_left_out_of_apps_that_nobody_asks_for_until_a_device_confirms_something(
        self, store: Store
    ) -> None:
        phone = await some_device(store)
        await sent(store, 10, phone)
        await sent(store, 11, phone)
        await confirm(store, 11, phone)

        page = await store.silence.settled((), after=START, before=NOW + DAY, limit=100)

        assert heard(page) == [(phone.id, True)]
        assert page.mark == Mark(NOW, 11)


class TestABroadcast:
    async def test_is_looked_at_in_a_few_chunks(self, store: Store) -> None:
        phones = [await some_device(store, f"phone-{number}", f"{number:02x}") for number in range(12)]
        route = await some_route(store)
        parts = [[target(phone)] for phone in phones]
        await store.acceptance.accept([bulk_admission(10, route.id, *parts)])
        for claimed in await store.queue.claim(route.id, Lane.BULK, limit=1000, now=NOW):
            entry = BULK_ENTRY.pack(STATE_NUMBERS[DeliveryState.ACCEPTED], 1, 0, 2)
            await store.queue.settle(
                Settlement(
                    finished=[claimed.id],
                    bulk=[BulkResult(chunk=claimed.chunk, entries=((0, entry),))],
                    counts={(10, DeliveryState.ACCEPTED): 1},
                )
            )
        await confirm(store, 10, phones[3])

        page = await look(store)

        assert sorted(heard(page)) == [(phones[place].id, place == 3) for place in (0, 3, 6, 9)]
        assert {one.lane for one in page.sent} == {Lane.BULK}


async def test_a_page_ends_where_much_was_sent(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "MOST", 5)
    phones = [await some_device(store, f"phone-{number}", f"{number:02x}") for number in range(3)]
    for key in (10, 11, 12):
        await sent(store, key, *phones)
    await sent(store, 13, phones[0])

    first = await look(store)
    second = await look(store, first.mark)
    third = await look(store, second.mark)

    assert [len(page.sent) for page in (first, second, third)] == [3, 3, 4]
    assert [(page.mark.notification, page.more) for page in (first, second, third)] == [
        (10, True),
        (11, True),
        (13, False),
    ]


class TestWhatWasFound:
    async def test_counts_add_up(self, store: Store) -> None:
        other = counted(5, 5, traits=Traits())

        await store.silence.record([counted(10, 8), other], [], [], mark=None)
        await store.silence.record([counted(3, 1), counted(2, 2, hour=THIS_HOUR - 1)], [], [], mark=None)

        kept = await store.silence.counts(THIS_HOUR)
        assert sorted(kept, key=lambda count: count.sent) == [other, counted(13, 9)]
        assert await store.silence.counts(THIS_HOUR - 1) == [counted(2, 2, hour=THIS_HOUR - 1)]

    async def test_suspicions_are_kept_with_their_events_and_what_became_of_them(self, store: Store) -> None:
        (kept,) = await store.silence.record([], [SUSPICION], [HAPPENED], mark=Mark(NOW, 3))
        over = msgspec.structs.replace(kept, until=NOW + 1)

        assert msgspec.structs.replace(kept, id=0) == SUSPICION
        assert kept.id
        assert store.silence.suspicions() == [kept]
        assert await store.silence.mark() == Mark(NOW, 3)
        assert [event.type for event in await store.events.read(after=0)] == [EventType.SILENCE_SUSPECTED]

        await store.silence.record([], [over], [], mark=None)

        assert store.silence.suspicions() == [over]
        assert await store.silence.mark() == Mark(NOW, 3)

    async def test_nothing_was_looked_at_at_first(self, store: Store) -> None:
        assert await store.silence.mark() is None

    async def test_is_forgotten_when_it_is_old_but_for_what_lasts(self, store: Store) -> None:
        over = msgspec.structs.replace(SUSPICION, until=NOW)
        old, young, lasting = await store.silence.record(
            [counted(1, 1, hour=THIS_HOUR - 1), counted(1, 1)],
            [over, msgspec.structs.replace(over, until=NOW + 5), SUSPICION],
            [],
            mark=None,
        )

        await store.silence.prune(hour=THIS_HOUR, before=NOW + 5)

        assert old not in store.silence.suspicions()
        assert store.silence.suspicions() == [lasting, young]
        assert await store.silence.counts(THIS_HOUR - 1) == []
        assert await store.silence.counts(THIS_HOUR) == [counted(1, 1)]

    async def test_of_one_app_is_forgotten_and_that_of_others_is_not(self, store: Store) -> None:
        await some_app(store)
        other = await some_app(store, "other")
        counts = [counted(4, 3), counted(4, 3, app=other.id)]
        await store.silence.record(counts, [SUSPICION], [], mark=None)

        await store.silence.forget(1)

        assert [count.app for count in await store.silence.counts(THIS_HOUR)] == [other.id]
        assert store.silence.suspicions() == []

    async def test_goes_with_its_app_and_is_not_kept_for_one_that_is_gone(self, store: Store) -> None:
        other = await store.apps.create("other", "Other", NOW)
        theirs = msgspec.structs.replace(SUSPICION, app=other.id)
        (mine, _) = await store.silence.record(
            [counted(1, 1), counted(1, 1, app=other.id)], [SUSPICION, theirs], [], mark=None
        )

        await store.apps.delete(other.id)
        late = await store.silence.record([counted(1, 1, app=other.id)], [theirs], [], mark=None)

        assert late == []
        assert store.silence.suspicions() == [mine]
        assert await store.silence.counts(THIS_HOUR) == [counted(1, 1)]


async def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    store = sqlite_store(tmp_path)
    await store.open()
    await some_app(store)
    (kept,) = await store.silence.record([counted(4, 2)], [SUSPICION], [], mark=Mark(NOW, 9))
    await store.close()

    again = sqlite_store(tmp_path)
    await again.open()

    assert again.silence.suspicions() == [kept]
    assert await again.silence.counts(THIS_HOUR) == [counted(4, 2)]
    assert await again.silence.mark() == Mark(NOW, 9)
    await again.close()
