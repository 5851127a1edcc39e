from __future__ import annotations

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
    DeliveryRow,
    DeliveryState,
    pack,
    pack_all,
)
from wakeline.model.notification import Content, Counts, PushType
from wakeline.model.route import Hold, HoldReason, Lane
from wakeline.ports import BulkResult, Chunk, JobProgress, Settlement

pytestmark = pytest.mark.anyio

HOLD = Hold(reason=HoldReason.CREDENTIAL, code=903, since=NOW, cause="The key was revoked")


async def only(store: Store, key: int = 10, now: int = NOW) -> Delivery:
    page = await store.ledger.deliveries(key, now=now)
    assert page.cursor is None
    (delivery,) = page.deliveries
    assert await store.ledger.delivery(key, delivery.target, now) == delivery
    return delivery


class TestWhatWaits:
    async def test_is_queued(self, store: Store) -> None:
        device, route = await some_device(store), await some_route(store)
        await store.acceptance.accept([admission(10, job(10, route.id, [device.targets[0].id]))])

        delivery = await only(store)

        assert (delivery.state, delivery.tries, delivery.due) == (DeliveryState.QUEUED, 0, NOW)
        assert (delivery.device, delivery.device_id, delivery.kind) == (device.id, "phone", "apns")
        assert await store.ledger.counts(10, NOW) == Counts(pending=1)

    async def test_is_scheduled_before_its_first_time(self, store: Store) -> None:
        route = await some_route(store)
        await store.acceptance.accept([admission(10, job(10, route.id, due=NOW + HOUR))])

        assert (await only(store)).state is DeliveryState.SCHEDULED
        assert await store.ledger.counts(10, NOW) == Counts(scheduled=1)
        assert await store.ledger.counts(10, NOW + HOUR) == Counts(pending=1)

    async def test_is_held_with_its_route(self, store: Store) -> None:
        route = await some_route(store)
        await store.acceptance.accept([admission(10, job(10, route.id))])
        await store.routes.hold(route.id, HOLD)

        delivery = await only(store)

        assert (delivery.state, delivery.code) == (DeliveryState.HELD, 903)
        assert await store.ledger.counts(10, NOW) == Counts(held=1)

    async def test_is_held_by_a_limit_and_by_a_paused_app(self, store: Store) -> None:
        app, route = await some_app(store), await some_route(store)
        await store.acceptance.accept(
            [admission(10, job(10, route.id, due=NOW + 5, code=914)), admission(11, job(11, route.id))]
        )
        assert ((await only(store, 10)).state, (await only(store, 10)).code) == (DeliveryState.HELD, 914)

        await store.apps.update(app.id, paused=True)

        assert ((await only(store, 11)).state, (await only(store, 11)).code) == (DeliveryState.HELD, 902)

    async def test_is_sending_while_leased(self, store: Store) -> None:
        route = await some_route(store)
        await store.acceptance.accept([admission(10, job(10, route.id))])
        await store.queue.claim(route.id, Lane.ALERT, limit=1, now=NOW)

        assert (await only(store)).state is DeliveryState.SENDING
        assert await store.ledger.counts(10, NOW) == Counts(pending=1)

    @pytest.mark.parametrize("written", [DeliveryState.UNKNOWN, DeliveryState.QUEUED])
    async def test_for_a_retry_keeps_its_attempts_and_is_not_scheduled(
        self, store: Store, written: DeliveryState
    ) -> None:
        route = await some_route(store)
        await store.acceptance.accept([admission(10, job(10, route.id))])
        (claimed,) = await store.queue.claim(route.id, Lane.ALERT, limit=1, now=NOW)

        await store.queue.settle(
            Settlement(
                finished=[claimed.id],
                again=[job(10, route.id, due=NOW + 60, attempt=2)],
                rows=[row(10, 1, written)],
            )
        )

        delivery = await only(store)
        assert (delivery.state, delivery.tries, delivery.due) == (written, 1, NOW + 60)
        assert len(delivery.attempts) == 1
        assert await store.ledger.counts(10, NOW) == Counts(pending=1)


class TestRows:
    async def test_append_attempts_and_keep_a_providers_id(self, store: Store) -> None:
        route = await some_route(store)
        await store.acceptance.accept([admission(10, job(10, route.id))])
        first = Attempt(number=1, at=NOW, status=503, reason="Shutdown", outcome_class="transient")
        second = Attempt(number=2, at=NOW + 9, duration=4, status=200, outcome_class="accepted")
        early = DeliveryRow(10, 1, DeliveryState.QUEUED, 0, 503, "Shutdown", "transient", "apns-1", 1, NOW, first)
        late = DeliveryRow(10, 1, DeliveryState.ACCEPTED, 0, 200, "", "accepted", "", 2, NOW + 9, second)

        await store.queue.settle(Settlement(rows=[early]))
        (claimed,) = await store.queue.claim(route.id, Lane.ALERT, limit=1, now=NOW)
        await store.queue.settle(Settlement(finished=[claimed.id], rows=[late]))

        delivery = await only(store)
        assert delivery.attempts == (first, second)
        assert (delivery.state, delivery.status, delivery.reason, delivery.tries) == (
            DeliveryState.ACCEPTED,
            200,
            "",
            2,
        )
        assert (delivery.provider_id, delivery.at, delivery.due) == ("apns-1", NOW + 9, 0)

    async def test_of_a_forgotten_device_are_still_shown(self, store: Store) -> None:
        app, device, route = await some_app(store), await some_device(store), await some_route(store)
        await store.acceptance.accept([admission(10, job(10, route.id, [device.targets[0].id]))])
        await store.queue.settle(accepted(*await store.queue.claim(route.id, Lane.ALERT, limit=1, now=NOW)))

        await store.devices.delete(app.id, "phone")

        delivery = await only(store)
        assert (delivery.device, delivery.device_id, delivery.kind) == (0, "", "")
        assert delivery.state is DeliveryState.ACCEPTED

    async def test_accepted_counts_what_was_acknowledged_later(self, store: Store) -> None:
        route = await some_route(store)
        await store.acceptance.accept([admission(10, job(10, route.id, [1, 2, 3]))])
        states = (DeliveryState.ACCEPTED, DeliveryState.ACKNOWLEDGED, DeliveryState.OPENED)

        await store.queue.settle(Settlement(counts={(10, state): 1 for state in states}))

        counts = await store.ledger.counts(10, NOW)
        assert (counts.accepted, counts.acknowledged, counts.opened) == (3, 1, 1)

    async def test_of_a_notification_that_is_gone_are_not_written(self, store: Store) -> None:
        await store.queue.settle(Settlement(rows=[row(99, 1)], counts={(99, DeliveryState.ACCEPTED): 1}))

        assert await store.ledger.delivery(99, 1, NOW) is None
        assert await store.ledger.counts(99, NOW) == Counts()


async def pages(store: Store, key: int, state: DeliveryState | None, limit: int) -> list[int]:
    targets: list[int] = []
    cursor: int | None = 0
    while cursor is not None:
        page = await store.ledger.deliveries(key, now=NOW, state=state, cursor=cursor, limit=limit)
        assert len(page.deliveries) <= limit
        targets += [delivery.target for delivery in page.deliveries]
        cursor = page.cursor
    return targets


class TestPages:
    async def mixed(self, store: Store) -> None:
        """Settle every third of 30 deliveries, fail every fifth, leave the rest waiting."""
        route = await some_route(store)
        await store.acceptance.accept([admission(10, job(10, route.id, list(range(30, 0, -1))))])
        await store.queue.settle(
            Settlement(
                rows=[row(10, target) for target in range(3, 31, 3)]
                + [row(10, target, DeliveryState.FAILED) for target in range(5, 31, 5) if target % 3]
            )
        )
        (claimed,) = await store.queue.claim(route.id, Lane.ALERT, limit=1, now=NOW)
        left = [target for target in range(1, 31) if target % 3 and target % 5]
        remaining = job(10, route.id, left).recipients
        await store.queue.settle(Settlement(progress=[JobProgress(job=claimed.id, remaining=remaining)]))

    @pytest.mark.parametrize("limit", [1, 7, 30, 50])
    async def test_follow_each_other_by_target(self, store: Store, limit: int) -> None:
        await self.mixed(store)

        assert await pages(store, 10, None, limit) == list(range(1, 31))

    @pytest.mark.parametrize("limit", [1, 4, 50])
    async def test_can_be_of_one_state(self, store: Store, limit: int) -> None:
        await self.mixed(store)

        assert await pages(store, 10, DeliveryState.ACCEPTED, limit) == list(range(3, 31, 3))
        assert await pages(store, 10, DeliveryState.FAILED, limit) == [5, 10, 20, 25]
        waiting = [target for target in range(1, 31) if target % 3 and target % 5]
        assert await pages(store, 10, DeliveryState.SENDING, limit) == waiting
        assert await pages(store, 10, DeliveryState.HELD, limit) == []

    @pytest.mark.parametrize("limit", [1, 3, 50])
    async def test_of_bulk_follow_the_walk(self, store: Store, limit: int) -> None:
        route = await some_route(store)
        await store.acceptance.accept([bulk_admission(10, route.id, [9, 3, 7], [8, 1], [2])])
        first, second, _ = await store.queue.claim(route.id, Lane.BULK, limit=50, now=NOW)
        good, bad = (
            BULK_ENTRY.pack(STATE_NUMBERS[state], 1, 0, 0) for state in (DeliveryState.ACCEPTED, DeliveryState.FAILED)
        )
        await store.queue.settle(
            Settlement(
                finished=[first.id, second.id],
                bulk=[
                    BulkResult(chunk=first.chunk, entries=((0, good), (1, bad), (2, good))),
                    BulkResult(chunk=second.chunk, entries=((0, bad), (1, good))),
                ],
            )
        )

        assert await pages(store, 10, None, limit) == [9, 3, 7, 8, 1, 2]
        assert await pages(store, 10, DeliveryState.FAILED, limit) == [3, 8]
        assert await pages(store, 10, DeliveryState.SENDING, limit) == [2]
        for target, state in ((3, DeliveryState.FAILED), (1, DeliveryState.ACCEPTED), (2, DeliveryState.SENDING)):
            delivery = await store.ledger.delivery(10, target, NOW)
            assert delivery is not None
            assert delivery.state is state

    async def test_show_a_row_of_bulk_once_and_instead_of_its_entry(self, store: Store) -> None:
        route = await some_route(store)
        await store.acceptance.accept([bulk_admission(10, route.id, [9, 3])])
        (claimed,) = await store.queue.claim(route.id, Lane.BULK, limit=50, now=NOW)
        entry = BULK_ENTRY.pack(STATE_NUMBERS[DeliveryState.FAILED], 1, 400, 0)

        await store.queue.settle(
            Settlement(
                finished=[claimed.id],
                bulk=[BulkResult(chunk=claimed.chunk, entries=((0, entry), (1, entry)))],
                rows=[row(10, 3, DeliveryState.FAILED), row(10, 77, DeliveryState.SKIPPED)],
            )
        )

        page = await store.ledger.deliveries(10, now=NOW)
        assert [(item.target, item.status) for item in page.deliveries] == [(77, 200), (9, 400), (3, 200)]

    async def test_of_an_unknown_notification_are_empty(self, store: Store) -> None:
        page = await store.ledger.deliveries(99, now=NOW)

        assert (page.deliveries, page.cursor) == ((), None)
        assert await store.ledger.delivery(99, 1, NOW) is None


class TestRecent:
    async def test_is_newest_first_of_an_app_or_a_device(self, store: Store) -> None:
        app = await some_app(store)
        phone, tablet = await some_device(store), await some_device(store, "tablet", "bb")
        rows = [
            row(10, phone.targets[0].id),
            row(11, tablet.targets[0].id),
            row(12, phone.targets[0].id),
        ]
        await store.acceptance.accept([admission(item.notification, rows=[item]) for item in rows])

        assert [item.notification for item in await store.ledger.recent(app.id)] == [12, 11, 10]
        assert [item.notification for item in await store.ledger.recent(app.id, device=phone.id)] == [12, 10]
        assert [item.device_id for item in await store.ledger.recent(app.id, limit=2)] == ["phone", "tablet"]
        assert await store.ledger.recent(app.id + 1) == []

    async def test_of_a_device_has_what_went_to_the_tokens_that_it_gave_up(self, store: Store) -> None:
        app, phone = await some_app(store), await some_device(store)
        await store.acceptance.accept([admission(10, rows=[row(10, phone.targets[0].id)])])
        await store.devices.put([claim(app, tokens=("bb",), at=NOW + 1)])

        (of_phone,) = await store.ledger.recent(app.id, device=phone.id)
        (of_app,) = await store.ledger.recent(app.id)
        assert of_phone == of_app
        assert (of_app.device_id, of_app.kind) == ("phone", "apns")

        await store.devices.delete(app.id, "phone")
        assert [one.device_id for one in await store.ledger.recent(app.id)] == [""]

    async def test_leaves_broadcasts_to_themselves(self, store: Store) -> None:
        app, route = await some_app(store), await some_route(store)
        phone = (await some_device(store)).targets[0].id
        for key in (10, 11, 13):
            await store.acceptance.accept([bulk_admission(key, route.id, [phone])])
        await store.acceptance.accept([admission(12, rows=[row(12, phone)])])

        assert [one.key for one in await store.ledger.broadcasts(app.id, limit=2)] == [13, 11]
        assert (await store.ledger.broadcasts(app.id))[2] == await store.ledger.notification(10)
        assert await store.ledger.broadcasts(app.id + 1) == []

    async def test_takes_all_targets_of_a_device(self, store: Store) -> None:
        app = await some_app(store)
        (registered,) = await store.devices.put([claim(app, tokens=("aa", "bb"))])
        one, two = (target.id for target in registered.device.targets)
        await store.acceptance.accept([admission(10, rows=[row(10, two)]), admission(11, rows=[row(11, one)])])

        found = await store.ledger.recent(app.id, device=registered.device.id)

        assert [(item.notification, item.target) for item in found] == [(11, one), (10, two)]


class TestRetention:
    async def test_forgets_what_was_done_before(self, store: Store, clock: ToldClock) -> None:
        route = await some_route(store)
        await store.acceptance.accept([admission(10, rows=[row(10, 1)]), admission(11, job(11, route.id))])
        clock.time += HOUR
        await store.acceptance.accept([admission(12, rows=[row(12, 1)])])

        assert await store.ledger.prune(NOW + HOUR, 10) == 1

        assert await store.ledger.notification(10) is None
        assert (await store.ledger.deliveries(10, now=NOW)).deliveries == ()
        assert sorted(await store.ledger.notifications([10, 11, 12])) == [11, 12]

    async def test_goes_in_steps(self, store: Store, clock: ToldClock) -> None:
        await store.acceptance.accept([admission(key, rows=[row(key, 1)]) for key in range(10, 15)])

        assert [await store.ledger.prune(NOW + HOUR, 2) for _ in range(4)] == [2, 2, 1, 0]

    async def test_forgets_the_chunks_of_bulk(self, store: Store) -> None:
        route = await some_route(store)
        await store.acceptance.accept([bulk_admission(10, route.id, [1, 2])])
        (claimed,) = await store.queue.claim(route.id, Lane.BULK, limit=9, now=NOW)
        await store.queue.settle(Settlement(finished=[claimed.id], counts={(10, DeliveryState.ACCEPTED): 2}))

        assert await store.ledger.prune(NOW + HOUR, 10) == 1
        assert await store.queue.chunks([claimed.chunk]) == {}

    async def test_forgets_all_of_a_large_one_and_nothing_of_the_next(self, store: Store) -> None:
        chunks = [Chunk(recipients=pack_all([pack(target)]), route=1) for target in range(1, 30)]
        large = admission(10, rows=[row(10, target) for target in range(1, 400)])
        await store.acceptance.accept(
            [msgspec.structs.replace(large, chunks=tuple(chunks)), admission(11, rows=[row(11, 7)])]
        )

        assert await store.ledger.prune(NOW + HOUR, 1) == 1

        assert await store.ledger.notification(10) is None
        assert (await store.ledger.deliveries(10, now=NOW)).deliveries == ()
        assert await store.queue.chunks(range(1, 30)) == {}
        assert [found.target for found in (await store.ledger.deliveries(11, now=NOW)).deliveries] == [7]

    async def test_texts_go_with_the_last_job_where_an_app_does_not_keep_them(self, store: Store) -> None:
        app, route = await some_app(store), await some_route(store)
        await store.apps.update(app.id, settings=AppSettings(keep_content=False))
        given = admission(10, job(10, route.id))
        await store.acceptance.accept([given])
        jobs = await store.queue.claim(route.id, Lane.ALERT, limit=1, now=NOW)
        assert (await store.ledger.notifications([10]))[10].content == given.notification.content

        await store.queue.settle(accepted(*jobs))

        assert (await store.ledger.notifications([10]))[10].content == Content(type=PushType.ALERT)


async def test_newest_is_none_at_first(store: Store) -> None:
    assert await store.ledger.newest() == 0
