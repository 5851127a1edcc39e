from __future__ import annotations

import asyncio

import pytest

from storing import HOUR, NOW, Store, ToldClock, notification, some_device, some_route
from storing import job as some_job
from wakeline.model.app import AppSettings
from wakeline.model.delivery import Attempt, DeliveryState, Job, pack, pack_all, unpack_all
from wakeline.model.event import EventType
from wakeline.model.notification import Counts
from wakeline.model.route import Lane
from wakeline.ports import (
    AcceptedRun,
    Admission,
    Cancelled,
    Committed,
    IdempotencyKey,
    JobProgress,
    Replayed,
    Reply,
    Settlement,
    Single,
)

pytestmark = pytest.mark.anyio

ATTEMPT = Attempt(number=1, at=NOW, duration=12, status=200, outcome_class="accepted")


def single(key: int, route: int, target: int = 0, **more: object) -> Admission:
    return Admission(notification=notification(key), single=Single(route, pack(target or key, 1)), **more)  # type: ignore[arg-type]


async def put(store: Store, *keys: int) -> int:
    """Accept single pushes in one batch; return their route."""
    route = await some_route(store)
    await store.acceptance.accept([single(key, route.id) for key in keys])
    return route.id


async def claim(store: Store, route: int, now: int = NOW, limit: int = 1000) -> list[Job]:
    return await store.queue.claim(route, Lane.ALERT, limit=limit, now=now)


async def completed(store: Store) -> list[str]:
    return [
        event.data.note for event in await store.events.read(after=0) if event.type is EventType.NOTIFICATION_COMPLETED
    ]


def taken(*keys: int) -> AcceptedRun:
    return AcceptedRun(list(keys), list(keys), ATTEMPT, NOW, whole=True)


class TestAccepting:
    async def test_what_goes_the_same_way_shares_a_job(self, store: Store) -> None:
        route = await put(store, 10, 11, 12)

        [job] = await claim(store, route)

        assert job.notification == 0
        assert unpack_all(job.members) == [10, 11, 12]
        assert job.recipients == pack_all([pack(10, 1), pack(11, 1), pack(12, 1)])
        assert await store.queue.pending() == 3

    async def test_one_alone_has_a_job_of_its_own(self, store: Store) -> None:
        route = await put(store, 10)

        [job] = await claim(store, route)

        assert (job.notification, job.members) == (10, b"")

    async def test_other_ways_are_other_jobs(self, store: Store) -> None:
        one, other = await some_route(store), await some_route(store, "com.example.other")
        await store.acceptance.accept(
            [single(key, route.id) for key, route in ((10, one), (11, other), (12, one), (13, other))]
        )

        assert [unpack_all(job.members) for job in await claim(store, one.id)] == [[10, 12]]
        assert [unpack_all(job.members) for job in await claim(store, other.id)] == [[11, 13]]

    async def test_a_job_holds_some_hundred_at_most(self, store: Store) -> None:
        route = await put(store, *range(10, 1211))

        assert [len(job.recipients) // 8 for job in await claim(store, route, limit=5000)] == [250, 250, 250, 250, 201]

    async def test_a_repeated_key_is_no_member(self, store: Store) -> None:
        route = await some_route(store)
        key = IdempotencyKey(scope="scope", key="order-7", fingerprint=b"body")
        reply = Reply(status=202, body=b"{}")
        twins = [single(number, route.id, idempotency=key, reply=reply) for number in (10, 11)]

        assert await store.acceptance.accept([*twins, single(12, route.id)]) == [
            Committed(),
            Replayed(reply=reply),
            Committed(),
        ]
        assert [unpack_all(job.members) for job in await claim(store, route.id)] == [[10, 12]]

    async def test_each_is_seen_alone(self, store: Store) -> None:
        device = await some_device(store)
        target = device.targets[0].id
        route = await some_route(store)
        await store.acceptance.accept([single(10, route.id, 77), single(11, route.id, target)])

        assert await store.ledger.counts(11, NOW) == Counts(pending=1)
        page = await store.ledger.deliveries(11, now=NOW)
        assert [(line.target, line.device_id, line.state) for line in page.deliveries] == [
            (target, "phone", DeliveryState.QUEUED)
        ]
        waiting = await store.ledger.delivery(10, 77, NOW)
        assert waiting is not None
        assert await store.ledger.delivery(10, target, NOW) is None
        await claim(store, route.id)
        assert (await store.ledger.deliveries(10, now=NOW)).deliveries[0].state is DeliveryState.SENDING


class TestSettling:
    async def test_an_accepted_run_is_written_counted_and_completed(self, store: Store) -> None:
        route = await put(store, 10, 11)
        [job] = await claim(store, route)

        await store.queue.settle(Settlement(finished=[job.id], accepted=[taken(10, 11)]))

        for key in (10, 11):
            assert await store.ledger.counts(key, NOW) == Counts(accepted=1)
            delivery = await store.ledger.delivery(key, key, NOW)
            assert delivery is not None
            assert (delivery.state, delivery.status, delivery.attempts) == (DeliveryState.ACCEPTED, 200, (ATTEMPT,))
        assert await completed(store) == ["accepted 1", "accepted 1"]
        assert await store.queue.pending() == 0
        assert await store.ledger.prune(NOW + 1, 10) == 2

    async def test_nobody_listening_success_is_no_event(self, store: Store) -> None:
        route = await put(store, 10, 11, 12)
        [job] = await claim(store, route)
        ended = Settlement(finished=[job.id], accepted=[taken(10, 11)], ended=[12], quiet=True)
        ended.counts[12, DeliveryState.FAILED] = 1

        await store.queue.settle(ended)

        assert await completed(store) == ["failed 1"]
        assert await store.ledger.counts(12, NOW) == Counts(failed=1)

    async def test_content_that_is_not_to_be_kept_goes_all_the_same(self, store: Store) -> None:
        app = store.apps.all()[0]
        await store.apps.update(app.id, settings=AppSettings(keep_content=False))
        route = await put(store, 10, 11)
        [job] = await claim(store, route)

        await store.queue.settle(Settlement(finished=[job.id], accepted=[taken(10, 11)], quiet=True))

        kept = await store.ledger.notification(10)
        assert kept is not None
        assert kept.content.alert is None or kept.content.alert.body != "number 10"

    async def test_progress_keeps_what_remains(self, store: Store) -> None:
        route = await put(store, 10, 11, 12)
        [job] = await claim(store, route)

        left = JobProgress(job=job.id, remaining=pack_all([pack(11, 1)]), members=pack_all([11]))
        await store.queue.settle(Settlement(progress=[left], accepted=[taken(10, 12)]))

        assert await store.ledger.counts(10, NOW) == Counts(accepted=1)
        assert await store.ledger.counts(11, NOW) == Counts(pending=1)
        assert await store.queue.pending() == 1
        assert await claim(store, route) == []
        await store.queue.release([job.id])
        [again] = await claim(store, route)
        assert (unpack_all(again.members), again.recipients) == ([11], left.remaining)

    async def test_a_retry_of_one_is_a_job_of_its_own(self, store: Store) -> None:
        route = await put(store, 10, 11)
        [job] = await claim(store, route)
        again = some_job(11, route, [11], attempt=2, due=NOW + 50)

        await store.queue.settle(Settlement(finished=[job.id], accepted=[taken(10)], again=[again]))

        assert await completed(store) == ["accepted 1"]
        [retry] = await claim(store, route, now=NOW + 50)
        assert (retry.notification, retry.members, retry.attempt) == (11, b"", 2)
        await store.queue.settle(Settlement(finished=[retry.id], counts={(11, DeliveryState.FAILED): 1}))
        assert await completed(store) == ["accepted 1", "failed 1"]


class TestCancelling:
    async def test_takes_one_out_and_leaves_the_others(self, store: Store) -> None:
        route = await put(store, 10, 11, 12)

        assert await store.queue.cancel(11, NOW) == Cancelled(cancelled=1, in_flight=0)

        assert await store.ledger.counts(11, NOW) == Counts(cancelled=1)
        assert await completed(store) == ["cancelled 1"]
        assert await store.queue.pending() == 2
        [job] = await claim(store, route)
        assert unpack_all(job.members) == [10, 12]
        assert await store.queue.cancel(11, NOW) == Cancelled(cancelled=0, in_flight=0)

    async def test_all_of_them_together(self, store: Store) -> None:
        route = await put(store, 10, 11, 12)

        done = await asyncio.gather(*(store.queue.cancel(key, NOW) for key in (10, 11, 12)))

        assert [one.cancelled for one in done] == [1, 1, 1]
        assert await claim(store, route) == []
        assert await store.queue.pending() == 0
        assert [depth for depth in await store.queue.depth() if depth.jobs] == []

    async def test_what_is_on_its_way_is_told(self, store: Store) -> None:
        route = await put(store, 10, 11)
        [job] = await claim(store, route)

        assert await store.queue.cancel(10, NOW) == Cancelled(cancelled=0, in_flight=1)

        await store.queue.release([job.id])
        assert await store.ledger.counts(10, NOW) == Counts(cancelled=1)
        [again] = await claim(store, route)
        assert unpack_all(again.members) == [11]

    async def test_what_would_be_tried_again_ends_as_cancelled_and_is_complete(self, store: Store) -> None:
        route = await put(store, 10, 11)
        [job] = await claim(store, route)
        await store.queue.cancel(11, NOW)
        again = some_job(11, route, [11], attempt=2, due=NOW + 50)

        await store.queue.settle(Settlement(finished=[job.id], accepted=[taken(10)], again=[again]))

        assert await store.ledger.counts(11, NOW) == Counts(cancelled=1)
        assert await completed(store) == ["accepted 1", "cancelled 1"]
        assert await store.ledger.prune(NOW + 1, 10) == 2

    async def test_a_claim_after_it_finds_the_others(self, store: Store) -> None:
        route = await put(store, 10, 11)
        [job] = await claim(store, route)
        await store.queue.release([job.id])

        await store.queue.cancel(10, NOW)

        [again] = await claim(store, route)
        assert unpack_all(again.members) == [11]


async def test_late_parcels_are_claimed_whole(store: Store, clock: ToldClock) -> None:
    await put(store, 10, 11)
    clock.time = NOW + HOUR

    [job] = await store.queue.claim_expired(limit=10, now=clock.time)

    assert unpack_all(job.members) == [10, 11]


async def test_a_forgotten_app_takes_its_parcels_along(store: Store) -> None:
    route = await put(store, 10, 11)
    [job] = await claim(store, route)
    await put(store, 12, 13)

    await store.apps.delete(1)
    await store.queue.settle(Settlement(finished=[job.id], accepted=[taken(10, 11)]))

    assert await store.queue.pending() == 0
    assert await claim(store, route) == []
    assert await store.ledger.notifications([10, 11, 12, 13]) == {}
    assert (await store.ledger.deliveries(10, now=NOW)).deliveries == ()
