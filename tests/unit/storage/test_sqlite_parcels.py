from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from storing import NOW, notification, some_app, some_route, sqlite_store
from wakeline.model.delivery import Attempt, DeliveryState, pack, pack_all, unpack_all
from wakeline.model.notification import Counts
from wakeline.model.route import Lane
from wakeline.ports import AcceptedRun, Admission, JobProgress, Settlement, Single
from wakeline.storage.sqlite import SqliteStore

pytestmark = pytest.mark.anyio


async def opened(folder: Path) -> SqliteStore:
    store = sqlite_store(folder)
    await store.open()
    return store


async def put(store: SqliteStore, *keys: int) -> int:
    await some_app(store)
    route = await some_route(store)
    singles = [Admission(notification=notification(key), single=Single(route.id, pack(key, 1))) for key in keys]
    await store.acceptance.accept(singles)
    return route.id


async def test_what_of_a_parcel_was_not_settled_is_claimed_after_a_crash(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    route = await put(store, 10, 11, 12)
    [job] = await store.queue.claim(route, Lane.ALERT, limit=10, now=NOW)
    left = JobProgress(job=job.id, remaining=pack_all([pack(11, 1), pack(12, 1)]), members=pack_all([11, 12]))
    done = AcceptedRun([10], [10], Attempt(number=1, at=NOW, status=200), NOW, whole=True)
    await store.queue.settle(Settlement(progress=[left], accepted=[done]))
    await store.queue.cancel(12, NOW)
    await store.close()

    store = await opened(tmp_path)
    await store.queue.rescue()

    assert await store.queue.pending() == 1
    [again] = await store.queue.claim(route, Lane.ALERT, limit=10, now=NOW)
    assert unpack_all(again.members) == [11]
    assert await store.ledger.counts(10, NOW) == Counts(accepted=1)
    assert await store.ledger.counts(11, NOW) == Counts(pending=1)
    assert await store.ledger.counts(12, NOW) == Counts(cancelled=1)
    await store.close()


async def test_the_number_of_an_old_parcel_means_nothing_once_another_job_has_it(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    route = await put(store, 10, 11)
    [job] = await store.queue.claim(route, Lane.ALERT, limit=10, now=NOW)
    done = AcceptedRun([10, 11], [10, 11], Attempt(number=1, at=NOW, status=200), NOW, whole=True)
    await store.queue.settle(Settlement(finished=[job.id], accepted=[done]))
    await store.close()

    store = await opened(tmp_path)  # ids of jobs begin anew: no job is left
    await put(store, 20, 21)
    [other] = await store.queue.claim(route, Lane.ALERT, limit=10, now=NOW)

    assert other.id == job.id
    assert await store.ledger.counts(10, NOW) == Counts(accepted=1)
    delivery = await store.ledger.delivery(10, 10, NOW)
    assert delivery is not None
    assert delivery.state is DeliveryState.ACCEPTED
    await store.close()


async def test_a_parcel_that_is_settled_while_its_app_is_forgotten_is_counted_once(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    route = await put(store, 10, 11)
    await put(store, 12, 13, 14)
    first, second = await store.queue.claim(route, Lane.ALERT, limit=10, now=NOW)
    left = JobProgress(job=first.id, remaining=pack_all([pack(11, 1)]), members=pack_all([11]))
    done = AcceptedRun([10, 12, 13, 14], [10, 12, 13, 14], Attempt(number=1, at=NOW, status=200), NOW, whole=True)

    await asyncio.gather(
        store.queue.settle(Settlement(progress=[left], finished=[second.id], accepted=[done])),
        store.queue.forget_app(1, 100),
    )

    assert await store.queue.pending() == 0
    assert await store.queue.depth() == []
    await store.close()
