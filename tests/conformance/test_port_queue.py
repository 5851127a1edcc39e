from __future__ import annotations

import pytest

from storing import (
    HOUR,
    NOW,
    Store,
    ToldClock,
    accepted,
    admission,
    bulk_admission,
    job,
    row,
    some_route,
    walk_admission,
)
from wakeline.model.delivery import BULK_ENTRY, STATE_NUMBERS, DeliveryState, Job, pack, pack_all
from wakeline.model.event import EventType
from wakeline.model.route import Lane
from wakeline.ports import BulkResult, Cancelled, Chunk, Due, FanoutStep, JobProgress, Settlement

pytestmark = pytest.mark.anyio


async def put(store: Store, *jobs: tuple[int, int]) -> int:
    """Accept single pushes given as (key, due); return their route."""
    route = await some_route(store)
    await store.acceptance.accept([admission(key, job(key, route.id, due=due)) for key, due in jobs])
    return route.id


async def claim(store: Store, route: int, limit: int = 100, now: int = NOW, lane: Lane = Lane.ALERT) -> list[Job]:
    return await store.queue.claim(route, lane, limit=limit, now=now)


def keys(jobs: list[Job]) -> list[int]:
    return [job.notification for job in jobs]


class TestClaiming:
    async def test_goes_by_due_time_then_by_age(self, store: Store) -> None:
        route = await put(store, (10, NOW), (11, NOW - 5), (12, NOW - 5), (13, NOW - 9))

        assert keys(await claim(store, route)) == [13, 11, 12, 10]

    async def test_takes_nothing_before_its_time(self, store: Store) -> None:
        route = await put(store, (10, NOW + 1), (11, NOW))

        assert keys(await claim(store, route)) == [11]
        assert keys(await claim(store, route, now=NOW + 1)) == [10]

    async def test_never_gives_a_job_twice(self, store: Store) -> None:
        route = await put(store, *((key, NOW) for key in range(10, 16)))

        batches = [keys(await claim(store, route, limit=2)) for _ in range(4)]

        assert batches == [[10, 11], [12, 13], [14, 15], []]

    async def test_counts_deliveries_not_jobs(self, store: Store) -> None:
        route = await some_route(store)
        await store.acceptance.accept([admission(key, job(key, route.id, [1, 2, 3])) for key in (10, 11, 12)])

        assert keys(await claim(store, route.id, limit=4)) == [10, 11]
        assert await claim(store, route.id, limit=0) == []

    async def test_keeps_routes_and_lanes_apart(self, store: Store) -> None:
        one, two = await some_route(store), await some_route(store, "com.acme.other")
        await store.acceptance.accept(
            [
                admission(10, job(10, one.id)),
                admission(11, job(11, two.id)),
                admission(12, job(12, one.id, lane=Lane.CALL)),
            ]
        )

        assert keys(await claim(store, two.id)) == [11]
        assert keys(await claim(store, one.id, lane=Lane.CALL)) == [12]
        assert keys(await claim(store, one.id)) == [10]

    async def test_finds_what_was_put_with_an_earlier_time_than_was_reached(self, store: Store) -> None:
        route = await put(store, (10, NOW), (11, NOW))
        await claim(store, route, limit=1)

        await put(store, (12, NOW - 100))

        assert keys(await claim(store, route)) == [12, 11]

    async def test_a_job_is_whole(self, store: Store) -> None:
        route = await some_route(store)
        given = job(10, route.id, [7, 8], due=NOW - 1, expires=NOW + 5, attempt=3, code=903, collapse_key="c")
        await store.acceptance.accept([admission(10, given)])

        (claimed,) = await claim(store, route.id)

        assert {name: getattr(claimed, name) for name in given.__struct_fields__} == {
            name: getattr(given, name) for name in given.__struct_fields__
        }


class TestReleasing:
    async def test_makes_a_job_due_again_in_its_old_place(self, store: Store) -> None:
        route = await put(store, (10, NOW), (11, NOW), (12, NOW))
        first, second = await claim(store, route, limit=2)

        await store.queue.release([second.id, first.id])

        assert keys(await claim(store, route)) == [10, 11, 12]

    async def test_twice_is_once(self, store: Store) -> None:
        route = await put(store, (10, NOW))
        (claimed,) = await claim(store, route)

        await store.queue.release([claimed.id])
        await store.queue.release([claimed.id])

        assert keys(await claim(store, route)) == [10]
        assert await claim(store, route) == []

    async def test_rescue_frees_all_leases(self, store: Store) -> None:
        route = await put(store, (10, NOW), (11, NOW))
        await claim(store, route)

        assert await store.queue.rescue() == 2
        assert keys(await claim(store, route)) == [10, 11]


class TestExpiring:
    async def test_takes_what_is_late_on_any_route_and_lane(self, store: Store) -> None:
        one, two = await some_route(store), await some_route(store, "com.acme.other")
        await store.acceptance.accept(
            [
                admission(10, job(10, one.id, expires=NOW)),
                admission(11, job(11, two.id, lane=Lane.CALL, expires=NOW - 1, due=NOW + HOUR)),
                admission(12, job(12, two.id, expires=NOW + 1)),
            ]
        )

        assert keys(await store.queue.claim_expired(limit=10, now=NOW)) == [11, 10]
        assert await store.queue.claim_expired(limit=10, now=NOW) == []
        assert keys(await claim(store, two.id)) == [12]

    async def test_leaves_what_is_on_its_way(self, store: Store) -> None:
        route = await put(store, (10, NOW))
        await claim(store, route)

        assert await store.queue.claim_expired(limit=10, now=NOW + 2 * HOUR) == []

    async def test_a_late_job_given_back_is_late_again(self, store: Store) -> None:
        route = await put(store, (10, NOW))
        (late,) = await store.queue.claim_expired(limit=1, now=NOW + 2 * HOUR)

        await store.queue.release([late.id])

        assert keys(await store.queue.claim_expired(limit=1, now=NOW + 2 * HOUR)) == [10]
        await store.queue.release([late.id])
        assert keys(await claim(store, route)) == [10]


class TestDue:
    async def test_names_the_first_time_of_each_route_and_lane(self, store: Store) -> None:
        route = await put(store, (10, NOW + 5), (11, NOW + 3))
        await store.acceptance.accept([admission(12, job(12, route, lane=Lane.CALL, due=NOW + 9)), walk_admission(13)])

        assert await store.queue.due(NOW) == [
            Due(route=0, lane=Lane.BULK, at=NOW),
            Due(route=route, lane=Lane.CALL, at=NOW + 9),
            Due(route=route, lane=Lane.ALERT, at=NOW + 3),
        ]

    async def test_skips_what_is_leased(self, store: Store) -> None:
        route = await put(store, (10, NOW), (11, NOW + 7))
        (first,) = await claim(store, route)

        assert await store.queue.due(NOW) == [Due(route=route, lane=Lane.ALERT, at=NOW + 7)]
        await store.queue.release([first.id])
        assert await store.queue.due(NOW) == [Due(route=route, lane=Lane.ALERT, at=NOW)]

    async def test_is_empty_when_all_is_leased(self, store: Store) -> None:
        route = await put(store, (10, NOW))
        await claim(store, route)

        assert await store.queue.due(NOW) == []

    async def test_listeners_hear_of_work_after_its_commit(self, store: Store) -> None:
        heard: list[tuple[int, Lane, int]] = []
        store.queue.listen(lambda route, lane, due: heard.append((route, lane, due)))

        route = await put(store, (10, NOW + 5), (11, NOW + 3))
        assert (route, Lane.ALERT, NOW + 3) in heard
        heard.clear()

        (claimed,) = await claim(store, route, limit=1, now=NOW + 3)
        again = job(11, route, due=NOW + 60, attempt=2)
        await store.queue.settle(Settlement(finished=[claimed.id], again=[again]))
        assert heard == [(route, Lane.ALERT, NOW + 60)]


class TestSettling:
    async def test_ends_jobs_and_completes_the_notification(self, store: Store) -> None:
        route = await put(store, (10, NOW))

        await store.queue.settle(accepted(*await claim(store, route)))

        assert await store.queue.pending() == 0
        assert await store.queue.rescue() == 0
        assert (await store.ledger.counts(10, NOW)).accepted == 1
        (event,) = await store.events.read(after=0)
        assert (event.type, event.data.note) == (EventType.NOTIFICATION_COMPLETED, "accepted 1")

    async def test_completes_only_when_the_last_job_ends(self, store: Store) -> None:
        route = await some_route(store)
        await store.acceptance.accept([admission(10, job(10, route.id, [1]), job(10, route.id, [2]))])
        first, second = await claim(store, route.id)

        await store.queue.settle(accepted(first))
        assert await store.events.read(after=0) == []
        await store.queue.settle(accepted(second))

        (event,) = await store.events.read(after=0)
        assert event.data.note == "accepted 2"

    async def test_progress_keeps_the_lease_and_what_remains(self, store: Store) -> None:
        route = await some_route(store)
        await store.acceptance.accept([admission(10, job(10, route.id, [1, 2, 3]))])
        (claimed,) = await claim(store, route.id)
        remaining = pack_all([pack(3, 1)])

        await store.queue.settle(
            Settlement(
                progress=[JobProgress(job=claimed.id, remaining=remaining)],
                rows=[row(10, 1), row(10, 2)],
                counts={(10, DeliveryState.ACCEPTED): 2},
            )
        )

        assert await store.queue.pending() == 1
        assert await claim(store, route.id) == []
        await store.queue.release([claimed.id])
        (again,) = await claim(store, route.id)
        assert again.recipients == remaining

    async def test_a_retry_is_a_new_job(self, store: Store) -> None:
        route = await put(store, (10, NOW))
        (claimed,) = await claim(store, route)

        again = job(10, route, due=NOW + 60, attempt=2)
        await store.queue.settle(Settlement(finished=[claimed.id], again=[again]))

        assert await store.events.read(after=0) == []
        assert await claim(store, route) == []
        (retry,) = await claim(store, route, now=NOW + 60)
        assert (retry.notification, retry.attempt) == (10, 2)
        assert retry.id != claimed.id

    async def test_a_lease_that_ended_settles_nothing_twice(self, store: Store) -> None:
        route = await put(store, (10, NOW))
        jobs = await claim(store, route)
        await store.queue.settle(accepted(*jobs))

        await store.queue.settle(Settlement(finished=[jobs[0].id]))

        assert len(await store.events.read(after=0)) == 1
        assert await store.queue.pending() == 0

    async def test_bulk_results_are_eight_bytes_each(self, store: Store) -> None:
        route = await some_route(store)
        await store.acceptance.accept([bulk_admission(10, route.id, [5, 6])])
        (claimed,) = await claim(store, route.id, lane=Lane.BULK)
        good = BULK_ENTRY.pack(STATE_NUMBERS[DeliveryState.ACCEPTED], 1, 0, 2)
        bad = BULK_ENTRY.pack(STATE_NUMBERS[DeliveryState.FAILED], 1, 410, 3)

        await store.queue.settle(
            Settlement(
                finished=[claimed.id],
                bulk=[BulkResult(chunk=claimed.chunk, entries=((0, good), (1, bad)))],
                counts={(10, DeliveryState.ACCEPTED): 1, (10, DeliveryState.FAILED): 1},
            )
        )

        page = await store.ledger.deliveries(10, now=NOW)
        assert [(item.target, item.state, item.status, item.tries, item.at) for item in page.deliveries] == [
            (5, DeliveryState.ACCEPTED, 0, 1, NOW + 2000),
            (6, DeliveryState.FAILED, 410, 1, NOW + 3000),
        ]

    async def test_waiting_states_are_never_counted(self, store: Store) -> None:
        route = await put(store, (10, NOW))
        (claimed,) = await claim(store, route)

        with pytest.raises(ValueError, match="derived"):
            await store.queue.settle(Settlement(finished=[claimed.id], counts={(10, DeliveryState.QUEUED): 1}))


class TestWalking:
    async def walk(self, store: Store) -> Job:
        await store.acceptance.accept([walk_admission(10)])
        (walk,) = await claim(store, 0, lane=Lane.BULK)
        return walk

    def step(self, walk: Job, route: int, targets: list[int], *, finished: bool = False) -> FanoutStep:
        recipients = pack_all([pack(target) for target in targets])
        return FanoutStep(
            job=walk.id,
            notification=10,
            cursor=max(targets),
            finished=finished,
            found=len(targets),
            jobs=(job(10, route, targets, lane=Lane.BULK, chunk=-1),),
            chunks=(Chunk(recipients=recipients, route=route),),
        )

    async def test_commits_jobs_with_the_cursor_and_keeps_the_lease(self, store: Store) -> None:
        route = await some_route(store)
        walk = await self.walk(store)

        await store.queue.step(self.step(walk, route.id, [1, 2]))

        assert await store.queue.pending() == 2
        assert await claim(store, 0, lane=Lane.BULK) == []
        await store.queue.release([walk.id])
        (again,) = await claim(store, 0, lane=Lane.BULK)
        assert again.cursor == 2

    async def test_the_last_step_says_how_many_were_found(self, store: Store) -> None:
        route = await some_route(store)
        walk = await self.walk(store)

        await store.queue.step(self.step(walk, route.id, [1, 2]))
        await store.queue.step(self.step(walk, route.id, [3], finished=True))

        found = await store.ledger.notification(10)
        assert found is not None
        assert (found.recipients, found.walked) == (3, True)
        assert await store.ledger.notifications([10]) == {10: found}

    async def test_completes_after_walk_and_jobs_have_ended(self, store: Store) -> None:
        route = await some_route(store)
        walk = await self.walk(store)
        await store.queue.step(self.step(walk, route.id, [1]))
        jobs = await claim(store, route.id, lane=Lane.BULK)
        await store.queue.settle(Settlement(finished=[jobs[0].id], counts={(10, DeliveryState.ACCEPTED): 1}))
        assert await store.events.read(after=0) == []

        await store.queue.step(FanoutStep(job=walk.id, notification=10, cursor=1, finished=True, found=0))

        (event,) = await store.events.read(after=0)
        assert event.type is EventType.NOTIFICATION_COMPLETED

    async def test_keeps_whom_no_credential_serves(self, store: Store) -> None:
        walk = await self.walk(store)
        entry = BULK_ENTRY.pack(STATE_NUMBERS[DeliveryState.FAILED], 0, 901, 0)
        step = FanoutStep(
            job=walk.id,
            notification=10,
            cursor=1,
            finished=True,
            found=1,
            chunks=(Chunk(recipients=pack_all([pack(9)]), route=0),),
            results=(BulkResult(chunk=-1, entries=((0, entry),)),),
            counts=((DeliveryState.FAILED, 1),),
        )

        await store.queue.step(step)

        (delivery,) = (await store.ledger.deliveries(10, now=NOW)).deliveries
        assert (delivery.target, delivery.state, delivery.code) == (9, DeliveryState.FAILED, 901)
        assert (await store.ledger.counts(10, NOW)).failed == 1

    async def test_a_cancelled_walk_makes_nothing_more(self, store: Store) -> None:
        route = await some_route(store)
        walk = await self.walk(store)
        await store.queue.cancel(10, NOW)

        await store.queue.step(self.step(walk, route.id, [1, 2]))

        assert await store.queue.pending() == 0
        assert await store.queue.depth() == []
        assert [event.type for event in await store.events.read(after=0)] == [EventType.NOTIFICATION_COMPLETED]


class TestCancelling:
    async def test_takes_out_what_waits_and_counts_what_is_on_its_way(self, store: Store) -> None:
        route = await some_route(store)
        await store.acceptance.accept([admission(10, job(10, route.id, [1, 2]), job(10, route.id, [3]))])
        (leased,) = await claim(store, route.id, limit=1)

        assert await store.queue.cancel(10, NOW) == Cancelled(cancelled=1, in_flight=2)

        found = await store.ledger.notification(10)
        assert found is not None
        assert found.cancelled
        assert (await store.ledger.notifications([10]))[10].cancelled
        await store.queue.settle(accepted(leased))
        counts = await store.ledger.counts(10, NOW)
        assert (counts.accepted, counts.cancelled, counts.pending) == (2, 1, 0)
        types = [event.type for event in await store.events.read(after=0)]
        assert types == [EventType.PUSH_CANCELLED, EventType.NOTIFICATION_COMPLETED]

    async def test_a_retry_of_a_cancelled_one_is_cancelled(self, store: Store) -> None:
        route = await put(store, (10, NOW))
        (claimed,) = await claim(store, route)
        await store.queue.cancel(10, NOW)

        await store.queue.settle(Settlement(finished=[claimed.id], again=[job(10, route, attempt=2)]))

        (delivery,) = (await store.ledger.deliveries(10, now=NOW)).deliveries
        assert (delivery.state, delivery.tries) == (DeliveryState.CANCELLED, 1)
        assert await store.queue.pending() == 0

    async def test_what_is_given_back_after_a_cancel_is_cancelled(self, store: Store) -> None:
        route = await put(store, (10, NOW))
        (claimed,) = await claim(store, route)
        await store.queue.cancel(10, NOW)

        await store.queue.release([claimed.id])

        assert await claim(store, route) == []
        assert (await store.ledger.counts(10, NOW)).cancelled == 1

    async def test_bulk_is_cancelled_in_its_entries(self, store: Store) -> None:
        route = await some_route(store)
        await store.acceptance.accept([bulk_admission(10, route.id, [1, 2], [3])])

        assert await store.queue.cancel(10, NOW) == Cancelled(cancelled=3, in_flight=0)

        page = await store.ledger.deliveries(10, now=NOW)
        assert [item.state for item in page.deliveries] == [DeliveryState.CANCELLED] * 3
        assert [event.type for event in await store.events.read(after=0)] == [EventType.NOTIFICATION_COMPLETED]

    async def test_ends_a_walk_that_waits(self, store: Store) -> None:
        await store.acceptance.accept([walk_admission(10)])

        assert await store.queue.cancel(10, NOW) == Cancelled(cancelled=0, in_flight=0)

        assert await claim(store, 0, lane=Lane.BULK) == []
        assert len(await store.events.read(after=0)) == 1

    async def test_does_nothing_to_what_is_done_or_unknown(self, store: Store) -> None:
        route = await put(store, (10, NOW))
        await store.queue.settle(accepted(*await claim(store, route)))

        assert await store.queue.cancel(10, NOW) == Cancelled(cancelled=0, in_flight=0)
        assert await store.queue.cancel(99, NOW) == Cancelled(cancelled=0, in_flight=0)
        found = await store.ledger.notification(10)
        assert found is not None
        assert not found.cancelled


async def test_depth_counts_jobs_deliveries_and_leases(store: Store, clock: ToldClock) -> None:
    route = await some_route(store)
    await store.acceptance.accept(
        [admission(10, job(10, route.id, [1, 2], due=NOW - 5)), admission(11, job(11, route.id, [3]))]
    )
    await claim(store, route.id, limit=1)

    (depth,) = await store.queue.depth()

    assert (depth.jobs, depth.deliveries, depth.leased, depth.oldest) == (2, 3, 1, NOW)
    assert await store.queue.pending() == 3
