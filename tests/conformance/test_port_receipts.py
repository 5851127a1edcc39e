from __future__ import annotations

import asyncio

import msgspec
import pytest

from storing import (
    HOUR,
    NOW,
    Store,
    ToldClock,
    accepted,
    admission,
    bulk_admission,
    claim,
    job,
    notification,
    row,
    some_app,
    some_device,
    some_route,
)
from wakeline.model.app import AppSettings
from wakeline.model.delivery import (
    BULK_ENTRY,
    STATE_NUMBERS,
    Attempt,
    Delivery,
    DeliveryState,
    Job,
    NewJob,
    pack,
    pack_all,
    unpack_all,
)
from wakeline.model.device import Device
from wakeline.model.event import Event, EventType
from wakeline.model.notification import Alert, Call, Content, Counts, PushType
from wakeline.model.receipt import Receipt, ReceiptKind
from wakeline.model.route import Hold, HoldReason, Lane
from wakeline.ports import AcceptedRun, Admission, BulkResult, Settlement, Single
from wakeline.ports.receipts import Heard

pytestmark = pytest.mark.anyio

LATER = NOW + 5_000
ACKNOWLEDGED, OPENED = ReceiptKind.ACKNOWLEDGED, ReceiptKind.OPENED
ATTEMPT = Attempt(number=1, at=NOW, duration=12, status=200, outcome_class="accepted")
_D = DeliveryState


def receipt(
    device: Device,
    kind: ReceiptKind = ACKNOWLEDGED,
    key: int = 10,
    at: int = LATER,
    app: int = 1,
    *,
    certain: bool = True,
) -> Receipt:
    return Receipt(app=app, notification=key, device=device.id, kind=kind, at=at, certain=certain)


def target(device: Device) -> int:
    return device.targets[0].id


async def lease(store: Store, route: int, lane: Lane = Lane.ALERT) -> list[Job]:
    return await store.queue.claim(route, lane, limit=1000, now=NOW)


async def sent(store: Store, *devices: Device, key: int = 10) -> None:
    """Accept one notification to these devices, and have all of it accepted by the push service."""
    route = await some_route(store)
    await store.acceptance.accept([admission(key, job(key, route.id, [target(device) for device in devices]))])
    await store.queue.settle(accepted(*await lease(store, route.id)))


async def broadcast(store: Store, *parts: list[int], key: int = 10) -> list[Job]:
    """Accept a broadcast in as many chunks; return its jobs, leased."""
    route = await some_route(store)
    await store.acceptance.accept([bulk_admission(key, route.id, *parts)])
    return await lease(store, route.id, Lane.BULK)


def entries(claimed: Job, state: DeliveryState = _D.ACCEPTED, code: int = 0) -> Settlement:
    """Return the settlement of a whole job of a broadcast."""
    many = len(claimed.recipients) // 8
    entry = BULK_ENTRY.pack(STATE_NUMBERS[state], 1, code, 2)
    return Settlement(
        finished=[claimed.id],
        bulk=[BulkResult(chunk=claimed.chunk, entries=((0, entry * many),))],
        counts={(claimed.notification, state): many},
    )


async def one(store: Store, device: Device, key: int = 10) -> Delivery:
    delivery = await store.ledger.delivery(key, target(device), LATER)
    assert delivery is not None
    return delivery


async def note(store: Store, *receipts: Receipt) -> list[Heard]:
    return await store.receipts.note(receipts)


async def told(store: Store) -> list[Event]:
    types = {EventType.PUSH_ACKNOWLEDGED, EventType.PUSH_OPENED}
    return await store.events.read(after=0, types=frozenset(types))


class TestADeliveryThatWasAccepted:
    async def test_is_acknowledged_once(self, store: Store) -> None:
        phone = await some_device(store)
        await sent(store, phone)
        said = receipt(phone)

        first, second = [await note(store, said) for _ in range(2)]

        assert first == [Heard(receipt=said, state=_D.ACKNOWLEDGED, fresh=True, target=target(phone), accepted_at=NOW)]
        assert second == [Heard(receipt=said, state=_D.ACKNOWLEDGED, fresh=False, target=target(phone))]
        delivery = await one(store, phone)
        assert (delivery.state, delivery.at, delivery.tries) == (_D.ACKNOWLEDGED, LATER, 1)
        assert [attempt.status for attempt in delivery.attempts] == [200]
        assert await store.ledger.counts(10, LATER) == Counts(accepted=1, acknowledged=1)

    async def test_is_opened_after_it_was_acknowledged_and_stays_opened(self, store: Store) -> None:
        phone = await some_device(store)
        await sent(store, phone)

        heard = [await note(store, receipt(phone, kind)) for kind in (ACKNOWLEDGED, OPENED, ACKNOWLEDGED, OPENED)]

        assert [(one.state, one.fresh, one.accepted_at) for (one,) in heard] == [
            (_D.ACKNOWLEDGED, True, NOW),
            (_D.OPENED, True, None),
            (_D.OPENED, False, None),
            (_D.OPENED, False, None),
        ]
        assert await store.ledger.counts(10, LATER) == Counts(accepted=1, opened=1)

    async def test_of_one_device_leaves_the_others_as_they_are(self, store: Store) -> None:
        phone, tablet = await some_device(store), await some_device(store, "tablet", "bb")
        await sent(store, phone, tablet)

        await note(store, receipt(tablet, OPENED))

        assert [(await one(store, device)).state for device in (phone, tablet)] == [_D.ACCEPTED, _D.OPENED]
        assert await store.ledger.counts(10, LATER) == Counts(accepted=2, opened=1)

    async def test_is_found_behind_any_token_of_its_device(self, store: Store) -> None:
        app, route = await some_app(store), await some_route(store)
        (registered,) = await store.devices.put([claim(app, tokens=("aa", "bb", "cc"))])
        second = registered.device.targets[1].id
        await store.acceptance.accept([admission(10, job(10, route.id, [second]))])
        await store.queue.settle(accepted(*await lease(store, route.id)))

        (heard,) = await note(store, receipt(registered.device))

        assert (heard.target, heard.state, heard.fresh) == (second, _D.ACKNOWLEDGED, True)

    @pytest.mark.parametrize("settled", [True, False])
    async def test_is_found_behind_the_token_that_its_device_had_before(self, store: Store, *, settled: bool) -> None:
        device = await some_device(store)
        route = await some_route(store)
        await store.acceptance.accept([admission(10, job(10, route.id, [target(device)]))])
        jobs = await lease(store, route.id)
        if settled:
            await store.queue.settle(accepted(*jobs))
        await store.devices.put([claim(await some_app(store), tokens=("bb",), at=LATER)])

        (heard,) = await note(store, receipt(device))
        if not settled:
            await store.queue.settle(accepted(*jobs))

        assert (heard.target, heard.state, heard.fresh) == (target(device), _D.ACKNOWLEDGED, True)
        assert (await store.ledger.counts(10, LATER)).acknowledged == 1
        (event,) = await told(store)
        assert (event.data.device, event.data.kind) == ("phone", "apns")

    async def test_is_not_found_behind_a_token_that_moved_to_another_device(self, store: Store) -> None:
        device, app = await some_device(store), await some_app(store)
        await sent(store, device)
        await store.devices.put([claim(app, "tablet", tokens=("aa",), at=LATER)])

        (heard,) = await note(store, receipt(device))

        assert heard.state is None

    @pytest.mark.parametrize("ended", [_D.FAILED, _D.EXPIRED, _D.SUPERSEDED, _D.SKIPPED])
    async def test_is_about_the_token_by_which_it_may_have_come(self, store: Store, ended: DeliveryState) -> None:
        app = await some_app(store)
        (registered,) = await store.devices.put([claim(app, tokens=("aa", "bb"))])
        first, second = (one.id for one in registered.device.targets)
        await store.acceptance.accept([admission(10, rows=[row(10, first, ended), row(10, second)])])

        heard = await note(store, receipt(registered.device))

        assert [(said.state, said.target) for said in heard] == [(_D.ACKNOWLEDGED, second)]
        former = await store.ledger.delivery(10, first, LATER)
        assert former is not None
        assert former.state is ended

    async def test_tells_of_it_in_the_same_commit(self, store: Store) -> None:
        phone = await some_device(store)
        await sent(store, phone)

        await note(store, receipt(phone), receipt(phone, OPENED), receipt(phone, OPENED))

        events = await told(store)
        assert [event.type for event in events] == [EventType.PUSH_ACKNOWLEDGED, EventType.PUSH_OPENED]
        assert {(event.app, event.at, event.data.device, event.data.kind) for event in events} == {
            ("acme-chat", LATER, "phone", "apns")
        }
        assert all(event.data.outcome is not None and event.data.outcome.accepted for event in events)

    async def test_is_told_to_nobody_who_does_not_want_it(self, store: Store) -> None:
        phone = await some_device(store)
        await sent(store, phone)
        asked: list[tuple[EventType, int]] = []

        def opened_only(event: EventType, app: int) -> bool:
            asked.append((event, app))
            return event is EventType.PUSH_OPENED

        for kind in (ACKNOWLEDGED, OPENED):
            await store.receipts.note([receipt(phone, kind)], wanted=opened_only)

        assert asked == [(EventType.PUSH_ACKNOWLEDGED, 1), (EventType.PUSH_OPENED, 1)]
        assert [event.type for event in await told(store)] == [EventType.PUSH_OPENED]

    async def test_that_many_devices_acknowledge_at_once_is_counted_exactly(self, store: Store) -> None:
        phones = [await some_device(store, f"phone-{number}", f"{number:02}") for number in range(20)]
        await sent(store, *phones)

        await asyncio.gather(*(note(store, receipt(phone)) for phone in [*phones, *phones]))

        assert await store.ledger.counts(10, LATER) == Counts(accepted=20, acknowledged=20)


class TestWhatIsUnknown:
    async def test_is_answered_as_such(self, store: Store) -> None:
        phone, tablet = await some_device(store), await some_device(store, "tablet", "bb")
        await sent(store, phone)
        asked = [receipt(tablet), receipt(phone, key=11), receipt(phone, app=2), receipt(phone)]

        heard = await note(store, *asked)

        assert [(one.receipt, one.state, one.fresh) for one in heard[:3]] == [(one, None, False) for one in asked[:3]]
        assert heard[3].fresh
        assert await store.ledger.counts(10, LATER) == Counts(accepted=1, acknowledged=1)

    async def test_is_a_device_that_was_forgotten(self, store: Store) -> None:
        phone = await some_device(store)
        await sent(store, phone)
        await store.devices.delete(1, "phone")

        assert [one.state for one in await note(store, receipt(phone))] == [None]

    async def test_no_receipts_are_no_work(self, store: Store) -> None:
        assert await note(store) == []


@pytest.mark.parametrize("ended", [_D.FAILED, _D.EXPIRED, _D.UNKNOWN])
async def test_what_ended_badly_and_is_acknowledged_all_the_same_is_acknowledged(
    store: Store, ended: DeliveryState
) -> None:
    phone, route = await some_device(store), await some_route(store)
    await store.acceptance.accept([admission(10, job(10, route.id, [target(phone)]))])
    (claimed,) = await lease(store, route.id)
    await store.queue.settle(
        Settlement(finished=[claimed.id], rows=[row(10, target(phone), ended)], counts={(10, ended): 1})
    )

    (heard,) = await note(store, receipt(phone))

    assert (heard.state, heard.fresh, heard.accepted_at) == (_D.ACKNOWLEDGED, True, None)
    assert await store.ledger.counts(10, LATER) == Counts(accepted=1, acknowledged=1)


async def test_what_was_cancelled_stays_cancelled(store: Store) -> None:
    phone, route = await some_device(store), await some_route(store)
    await store.acceptance.accept([admission(10, job(10, route.id, [target(phone)]))])
    await store.queue.cancel(10, NOW)

    (heard,) = await note(store, receipt(phone))

    assert (heard.state, heard.fresh) == (_D.CANCELLED, False)
    assert await store.ledger.counts(10, LATER) == Counts(cancelled=1)


class TestADeliveryThatWaits:
    async def test_needs_no_push_any_more(self, store: Store) -> None:
        phone, route = await some_device(store), await some_route(store)
        await store.acceptance.accept([admission(10, job(10, route.id, [target(phone)], due=NOW + HOUR))])

        (heard,) = await note(store, receipt(phone))

        assert (heard.state, heard.fresh, heard.accepted_at) == (_D.ACKNOWLEDGED, True, None)
        assert await store.queue.claim(route.id, Lane.ALERT, limit=10, now=NOW + HOUR) == []
        assert await store.queue.pending() == 0
        delivery = await one(store, phone)
        assert (delivery.state, delivery.reason, delivery.tries) == (_D.ACKNOWLEDGED, "acknowledged", 0)
        assert await store.ledger.counts(10, LATER) == Counts(accepted=1, acknowledged=1)
        events = [(event.type, event.data.note) for event in await store.events.read(after=0)]
        assert events == [(EventType.NOTIFICATION_COMPLETED, "acknowledged 1"), (EventType.PUSH_ACKNOWLEDGED, "")]

    async def test_leaves_the_others_in_the_queue(self, store: Store) -> None:
        devices = [await some_device(store, name, name) for name in ("aa", "bb", "cc")]
        route = await some_route(store)
        await store.acceptance.accept([admission(10, job(10, route.id, [target(one) for one in devices]))])

        await note(store, receipt(devices[1], OPENED), receipt(devices[0]))

        assert await store.queue.pending() == 1
        (claimed,) = await lease(store, route.id)
        assert claimed.recipients == pack_all([pack(target(devices[2]), 1)])
        await store.queue.settle(accepted(claimed))
        assert await store.ledger.counts(10, LATER) == Counts(accepted=3, acknowledged=1, opened=1)
        assert [depth.jobs for depth in await store.queue.depth()] == []

    async def test_for_a_retry_keeps_its_attempts(self, store: Store) -> None:
        phone, route = await some_device(store), await some_route(store)
        await store.acceptance.accept([admission(10, job(10, route.id, [target(phone)]))])
        (claimed,) = await lease(store, route.id)
        again: NewJob = job(10, route.id, [target(phone)], due=NOW + HOUR, attempt=2)
        await store.queue.settle(
            Settlement(finished=[claimed.id], again=[again], rows=[row(10, target(phone), _D.UNKNOWN)])
        )

        await note(store, receipt(phone))

        delivery = await one(store, phone)
        assert (delivery.state, delivery.tries, len(delivery.attempts)) == (_D.ACKNOWLEDGED, 1, 1)
        assert await store.ledger.counts(10, LATER) == Counts(accepted=1, acknowledged=1)
        assert await store.queue.pending() == 0

    async def test_leaves_a_parcel(self, store: Store) -> None:
        devices, route = [await some_device(store, name, name) for name in ("aa", "bb")], await some_route(store)
        await store.acceptance.accept(
            [
                Admission(notification=notification(key), single=Single(route.id, pack(target(device), 1)))
                for key, device in zip((10, 11), devices, strict=True)
            ]
        )

        await note(store, receipt(devices[0]))

        (claimed,) = await lease(store, route.id)
        assert claimed.members == pack_all([11])
        assert await store.queue.pending() == 1
        assert await store.ledger.counts(10, LATER) == Counts(accepted=1, acknowledged=1)
        assert await store.ledger.counts(11, LATER) == Counts(pending=1)

    async def test_is_not_sent_after_a_cancel_of_the_rest_at_the_same_time(self, store: Store) -> None:
        devices, route = [await some_device(store, name, name) for name in ("aa", "bb")], await some_route(store)
        await store.acceptance.accept([admission(10, job(10, route.id, [target(one) for one in devices]))])

        await asyncio.gather(note(store, receipt(devices[0])), store.queue.cancel(10, NOW))

        assert await lease(store, route.id) == []
        assert await store.queue.pending() == 0
        assert await store.ledger.counts(10, LATER) == Counts(accepted=1, acknowledged=1, cancelled=1)


class TestADeliveryThatIsBeingSent:
    @pytest.mark.parametrize("kind", [ACKNOWLEDGED, OPENED])
    async def test_counts_once_the_answer_is_written(self, store: Store, kind: ReceiptKind) -> None:
        phone, route = await some_device(store), await some_route(store)
        await store.acceptance.accept([admission(10, job(10, route.id, [target(phone)]))])
        (claimed,) = await lease(store, route.id)

        heard = [await note(store, receipt(phone, kind)) for _ in range(2)]
        during = (await one(store, phone)).state, await store.ledger.counts(10, LATER)
        await store.queue.settle(accepted(claimed))

        state = _D(kind.value)
        assert [(one.state, one.fresh) for (one,) in heard] == [(state, True), (state, False)]
        assert during == (_D.SENDING, Counts(pending=1))
        delivery = await one(store, phone)
        assert (delivery.state, delivery.at, len(delivery.attempts)) == (state, LATER, 1)
        assert (await store.ledger.counts(10, LATER)).pending == 0
        assert (await store.ledger.counts(10, LATER)).accepted == 1
        assert len(await told(store)) == 1

    async def test_is_not_sent_again(self, store: Store) -> None:
        phone, route = await some_device(store), await some_route(store)
        await store.acceptance.accept([admission(10, job(10, route.id, [target(phone)]))])
        (claimed,) = await lease(store, route.id)
        await note(store, receipt(phone))

        again = job(10, route.id, [target(phone)], attempt=2)
        await store.queue.settle(
            Settlement(finished=[claimed.id], again=[again], rows=[row(10, target(phone), _D.UNKNOWN)])
        )

        assert await lease(store, route.id) == []
        assert await store.queue.pending() == 0
        assert await store.ledger.counts(10, LATER) == Counts(accepted=1, acknowledged=1)

    async def test_that_is_given_back_is_not_sent(self, store: Store) -> None:
        phone, route = await some_device(store), await some_route(store)
        await store.acceptance.accept([admission(10, job(10, route.id, [target(phone)]))])
        (claimed,) = await lease(store, route.id)
        await note(store, receipt(phone), receipt(phone, OPENED))

        await store.queue.release([claimed.id])

        assert await lease(store, route.id) == []
        assert await store.ledger.counts(10, LATER) == Counts(accepted=1, opened=1)

    async def test_counts_in_the_commit_it_shares_with_the_answer(self, store: Store) -> None:
        phone, route = await some_device(store), await some_route(store)
        await store.acceptance.accept([admission(10, job(10, route.id, [target(phone)]))])
        (claimed,) = await lease(store, route.id)

        await asyncio.gather(note(store, receipt(phone)), store.queue.settle(accepted(claimed)))

        assert (await one(store, phone)).state is _D.ACKNOWLEDGED
        assert await store.ledger.counts(10, LATER) == Counts(accepted=1, acknowledged=1)

    async def test_is_forgotten_with_its_app(self, store: Store) -> None:
        phone, route = await some_device(store), await some_route(store)
        await store.acceptance.accept([admission(10, job(10, route.id, [target(phone)]))])
        (claimed,) = await lease(store, route.id)
        await note(store, receipt(phone))

        await store.apps.delete(1)
        await store.queue.settle(accepted(claimed))

        assert await store.ledger.notification(10) is None
        assert [one.state for one in await note(store, receipt(phone))] == [None]


class TestABroadcast:
    async def test_is_acknowledged_in_its_eight_bytes(self, store: Store) -> None:
        phones = [await some_device(store, f"phone-{number}", f"{number:02}") for number in range(4)]
        parts = [[target(phone) for phone in phones[start : start + 2]] for start in (0, 2)]
        for claimed in await broadcast(store, *parts):
            await store.queue.settle(entries(claimed))

        (heard,) = await note(store, receipt(phones[2], at=NOW + 7_000))

        assert (heard.state, heard.fresh, heard.accepted_at) == (_D.ACKNOWLEDGED, True, NOW + 2_000)
        states = [(await one(store, phone)).state for phone in phones]
        assert states == [_D.ACCEPTED, _D.ACCEPTED, _D.ACKNOWLEDGED, _D.ACCEPTED]
        delivery = await one(store, phones[2])
        assert (delivery.tries, delivery.at) == (1, NOW + 7_000)
        assert await store.ledger.counts(10, LATER) == Counts(accepted=4, acknowledged=1)
        assert [(one.state, one.fresh) for one in await note(store, receipt(phones[2], OPENED))] == [(_D.OPENED, True)]

    async def test_that_is_being_sent_counts_once_the_answers_are_written(self, store: Store) -> None:
        phones = [await some_device(store, f"phone-{number}", f"{number:02}") for number in range(3)]
        (claimed,) = await broadcast(store, [target(phone) for phone in phones])
        await note(store, receipt(phones[1]))

        await store.queue.settle(entries(claimed))

        assert (await one(store, phones[1])).state is _D.ACKNOWLEDGED
        assert await store.ledger.counts(10, LATER) == Counts(accepted=3, acknowledged=1)

    async def test_of_which_some_waits_sends_it_no_more(self, store: Store) -> None:
        phones = [await some_device(store, f"phone-{number}", f"{number:02}") for number in range(3)]
        jobs = await broadcast(store, [target(phone) for phone in phones])
        await store.queue.release([claimed.id for claimed in jobs])

        await note(store, receipt(phones[1]))

        (claimed,) = await lease(store, jobs[0].route, Lane.BULK)
        assert claimed.recipients == pack_all([pack(target(phones[0]), 1), pack(target(phones[2]), 1)])
        assert await store.ledger.counts(10, LATER) == Counts(accepted=1, acknowledged=1, pending=2)

    async def test_keeps_the_code_of_what_failed(self, store: Store) -> None:
        phone = await some_device(store)
        (claimed,) = await broadcast(store, [target(phone)])
        await store.queue.settle(entries(claimed, _D.FAILED, 914))

        await note(store, receipt(phone))

        delivery = await one(store, phone)
        assert (delivery.state, delivery.code) == (_D.ACKNOWLEDGED, 914)

    async def test_is_not_about_somebody_whose_number_lies_between(self, store: Store) -> None:
        phones = [await some_device(store, f"phone-{number}", f"{number:02}") for number in range(3)]
        (claimed,) = await broadcast(store, [target(phones[0]), target(phones[2])])
        await store.queue.settle(entries(claimed))

        assert [one.state for one in await note(store, receipt(phones[1]))] == [None]


class TestOneThatAnotherPhoneMayHaveSent:
    """The token of a push is in the hands of all who were sent it."""

    async def test_ends_nothing_that_was_never_sent(self, store: Store) -> None:
        phone, route = await some_device(store), await some_route(store)
        await store.acceptance.accept([admission(10, job(10, route.id, [target(phone)]))])

        heard = await note(store, receipt(phone, certain=False))

        assert [(one.state, one.fresh) for one in heard] == [(None, False)]
        assert [claimed.notification for claimed in await lease(store, route.id)] == [10]

    async def test_ends_no_retry_and_counts_once_it_is_accepted(self, store: Store) -> None:
        phone, route = await some_device(store), await some_route(store)
        await store.acceptance.accept([admission(10, job(10, route.id, [target(phone)]))])
        (claimed,) = await lease(store, route.id)
        await note(store, receipt(phone, certain=False))
        again = msgspec.structs.replace(job(10, route.id, [target(phone)]), attempt=2)
        await store.queue.settle(Settlement(finished=[claimed.id], again=[again]))

        said = await note(store, receipt(phone, OPENED, certain=False))
        (retry,) = await lease(store, route.id)
        await store.queue.settle(accepted(retry))

        assert [(one.state, one.fresh) for one in said] == [(_D.OPENED, True)]
        assert (await one(store, phone)).state is _D.OPENED
        assert await store.ledger.counts(10, LATER) == Counts(accepted=1, opened=1)

    async def test_leaves_a_broadcast_that_waits_as_it_is(self, store: Store) -> None:
        phones = [await some_device(store, f"phone-{number}", f"{number:02}") for number in range(3)]
        jobs = await broadcast(store, [target(phone) for phone in phones])
        await store.queue.release([claimed.id for claimed in jobs])

        await note(store, *(receipt(phone, certain=False) for phone in phones))

        (claimed,) = await lease(store, jobs[0].route, Lane.BULK)
        assert len(unpack_all(claimed.recipients)) == 3

    async def test_counts_for_what_was_accepted(self, store: Store) -> None:
        phone = await some_device(store)
        await sent(store, phone)

        await note(store, receipt(phone, certain=False))

        assert (await one(store, phone)).state is _D.ACKNOWLEDGED


class TestInbox:
    async def keys(self, store: Store, device: Device, *, after: int = 0, limit: int = 100) -> list[int]:
        page = await store.receipts.inbox(1, device.id, after=after, limit=limit)
        assert page.cursor is None
        return [item.notification.key for item in page.items]

    async def test_holds_in_order_what_the_device_has_not_acknowledged(self, store: Store) -> None:
        phone, tablet = await some_device(store), await some_device(store, "tablet", "bb")
        for key in (12, 10, 11, 13):
            await sent(store, phone, key=key)
        await sent(store, tablet, key=14)
        await note(store, receipt(phone, key=11), receipt(phone, OPENED, key=12))

        page = await store.receipts.inbox(1, phone.id, after=0, limit=100)

        assert [item.notification.key for item in page.items] == [10, 13]
        assert [item.notification.content.alert for item in page.items] == [
            Alert(title="Hello", body="number 10"),
            Alert(title="Hello", body="number 13"),
        ]
        assert {(item.delivery.state, item.delivery.device_id) for item in page.items} == {(_D.ACCEPTED, "phone")}
        assert await self.keys(store, phone, after=10) == [13]

    async def test_is_read_in_pages(self, store: Store) -> None:
        phone = await some_device(store)
        for key in range(10, 15):
            await sent(store, phone, key=key)

        pages: list[list[int]] = []
        after: int | None = 0
        while after is not None:
            page = await store.receipts.inbox(1, phone.id, after=after, limit=2)
            pages.append([item.notification.key for item in page.items])
            after = page.cursor

        assert pages == [[10, 11], [12, 13], [14]]

    async def test_goes_on_behind_much_that_was_acknowledged(self, store: Store) -> None:
        phone, route = await some_device(store), await some_route(store)
        many = range(10, 1110)
        admissions = [
            Admission(notification=notification(key), single=Single(route.id, pack(target(phone), 1))) for key in many
        ]
        await store.acceptance.accept(admissions)
        while claimed := await lease(store, route.id):
            for parcel in claimed:
                keys = unpack_all(parcel.members)
                run = AcceptedRun(keys, [target(phone)] * len(keys), ATTEMPT, NOW, whole=True)
                await store.queue.settle(Settlement(finished=[parcel.id], accepted=[run]))
        await note(store, *(receipt(phone, key=key) for key in many[:-2]))

        found: list[int] = []
        after: int | None = 0
        while after is not None:
            page = await store.receipts.inbox(1, phone.id, after=after, limit=100)
            found += [item.notification.key for item in page.items]
            after = page.cursor

        assert found == [1108, 1109]

    async def test_holds_broadcasts(self, store: Store) -> None:
        phones = [await some_device(store, f"phone-{number}", f"{number:02}") for number in range(3)]
        for key in (10, 11):
            (claimed,) = await broadcast(store, [target(phones[0]), target(phones[2])], key=key)
            await store.queue.settle(entries(claimed))
        await note(store, receipt(phones[2], key=10))

        assert [await self.keys(store, phone) for phone in phones] == [[10, 11], [], [11]]

    async def test_holds_what_waits_for_a_held_route(self, store: Store) -> None:
        phone, tablet = await some_device(store), await some_device(store, "tablet", "bb")
        route = await some_route(store)
        parcel = Admission(notification=notification(11), single=Single(route.id, pack(target(phone), 1)))
        other = Admission(notification=notification(12), single=Single(route.id, pack(target(tablet), 1)))
        await store.acceptance.accept([admission(10, job(10, route.id, [target(phone)])), other, parcel])
        await store.routes.hold(route.id, Hold(reason=HoldReason.CREDENTIAL, code=903, since=NOW, cause="Revoked"))

        assert await self.keys(store, phone) == [10, 11]

    @pytest.mark.parametrize("ended", [_D.FAILED, _D.EXPIRED, _D.UNKNOWN])
    async def test_holds_what_no_push_could_bring(self, store: Store, ended: DeliveryState) -> None:
        phone = await some_device(store)
        await store.acceptance.accept([admission(10, rows=[row(10, target(phone), ended)])])

        assert await self.keys(store, phone) == [10]

    @pytest.mark.parametrize("ended", [_D.CANCELLED, _D.SUPERSEDED, _D.SKIPPED])
    async def test_leaves_out_what_was_withdrawn(self, store: Store, ended: DeliveryState) -> None:
        phone = await some_device(store)
        await store.acceptance.accept([admission(10, rows=[row(10, target(phone), ended)])])

        assert await self.keys(store, phone) == []

    async def test_leaves_out_what_the_device_said_while_it_was_being_sent(self, store: Store) -> None:
        phone, route = await some_device(store), await some_route(store)
        await store.acceptance.accept([admission(10, job(10, route.id, [target(phone)]))])
        await lease(store, route.id)
        before = await self.keys(store, phone)

        await note(store, receipt(phone))

        assert (before, await self.keys(store, phone)) == ([10], [])

    async def test_leaves_out_what_is_scheduled_until_it_is_due(self, store: Store, clock: ToldClock) -> None:
        phone, route = await some_device(store), await some_route(store)
        later = msgspec.structs.replace(notification(10), due=NOW + HOUR)
        await store.acceptance.accept(
            [Admission(notification=later, jobs=(job(10, route.id, [target(phone)], due=NOW + HOUR),))]
        )
        before = await self.keys(store, phone)

        clock.time += HOUR

        assert (before, await self.keys(store, phone)) == ([], [10])

    async def test_leaves_out_a_call_that_rings_no_more(self, store: Store, clock: ToldClock) -> None:
        phone = await some_device(store)
        call = msgspec.structs.replace(
            notification(10), content=Content(type=PushType.CALL, call=Call(id="c1")), expires=NOW + 30_000
        )
        await store.acceptance.accept([Admission(notification=call, rows=(row(10, target(phone)),))])
        before = await self.keys(store, phone)

        clock.time += 30_000

        assert (before, await self.keys(store, phone)) == ([10], [])

    async def test_leaves_out_content_that_is_not_kept(self, store: Store) -> None:
        phone = await some_device(store)
        await store.apps.update(1, settings=AppSettings(keep_content=False))
        await sent(store, phone)

        assert await self.keys(store, phone) == []

    async def test_shows_nobody_what_was_for_those_before(self, store: Store) -> None:
        app, phone = await some_app(store), await some_device(store)
        await sent(store, phone, key=10)
        (again,) = await store.devices.put([claim(app, users=("bob",), at=NOW + 1)])

        assert again.device.id == phone.id
        assert again.device.held_since == NOW + 1
        assert await self.keys(store, phone) == []

    async def test_goes_on_when_the_device_registers_another_token(self, store: Store) -> None:
        app, phone = await some_app(store), await some_device(store)
        await sent(store, phone, key=10)
        (again,) = await store.devices.put([claim(app, tokens=("bb",), at=NOW + 1)])
        await sent(store, again.device, key=11)

        assert await self.keys(store, phone) == [10, 11]

        await note(store, receipt(phone, key=10))
        assert await self.keys(store, phone) == [11]

    async def test_shows_nobody_what_was_for_who_was_erased(self, store: Store) -> None:
        app = await some_app(store)
        (shared,) = await store.devices.put([claim(app, users=("alice", "bob"))])
        await sent(store, shared.device, key=10)

        await store.devices.erase_user(app.id, "alice", NOW + 1)

        assert await self.keys(store, shared.device) == []

    async def test_is_empty_for_a_device_of_another_app(self, store: Store) -> None:
        phone = await some_device(store)
        await sent(store, phone)
        other = await some_app(store, "other")

        page = await store.receipts.inbox(other.id, phone.id, after=0, limit=10)

        assert page.items == ()
