from __future__ import annotations

import asyncio

import pytest

from storing import NOW, Store, accepted, admission, bulk_admission, job, row, some_route
from wakeline.model.delivery import DeliveryState
from wakeline.model.errors import StoreUnavailable
from wakeline.model.event import Event, EventType
from wakeline.model.route import Lane
from wakeline.ports import Admission, Committed, IdempotencyKey, Mismatch, Replayed, Reply

pytestmark = pytest.mark.anyio

KEY = IdempotencyKey(scope="key 1 /v1/apps/acme-chat/notifications", key="order-7", fingerprint=b"body")
REPLY = Reply(status=202, body=b'{"id":"first"}')


async def test_keeps_a_notification_as_it_was_given(store: Store) -> None:
    route = await some_route(store)
    given = admission(10, job(10, route.id))

    assert await store.acceptance.accept([given]) == [Committed()]

    assert await store.ledger.notification(10) == given.notification
    assert await store.ledger.notifications([10, 11]) == {10: given.notification}
    assert await store.ledger.newest() == 10


async def test_queues_what_it_accepted(store: Store) -> None:
    route = await some_route(store)

    await store.acceptance.accept([admission(10, job(10, route.id, [1, 2])), admission(11, job(11, route.id, [3]))])

    claimed = await store.queue.claim(route.id, Lane.ALERT, limit=10, now=NOW)
    assert [(item.notification, item.recipients) for item in claimed] == [
        (10, job(10, route.id, [1, 2]).recipients),
        (11, job(11, route.id, [3]).recipients),
    ]


async def test_repeated_key_gets_the_first_answer(store: Store) -> None:
    route = await some_route(store)
    first = admission(10, job(10, route.id), idempotency=KEY, reply=REPLY)
    second = admission(11, job(11, route.id), idempotency=KEY, reply=Reply(status=202, body=b'{"id":"second"}'))

    await store.acceptance.accept([first])

    assert await store.acceptance.accept([second]) == [Replayed(reply=REPLY)]
    assert await store.ledger.notification(11) is None
    assert await store.queue.pending() == 1


async def test_twins_in_one_batch_share_one_result(store: Store) -> None:
    route = await some_route(store)
    twins = [admission(key, job(key, route.id), idempotency=KEY, reply=REPLY) for key in (10, 11)]

    assert await store.acceptance.accept(twins) == [Committed(), Replayed(reply=REPLY)]
    assert await store.queue.pending() == 1


async def test_twins_in_calls_made_together_share_one_result(store: Store) -> None:
    route = await some_route(store)
    calls = [
        store.acceptance.accept([admission(key, job(key, route.id), idempotency=KEY, reply=REPLY)])
        for key in range(10, 20)
    ]

    results = [result for (result,) in await asyncio.gather(*calls)]

    assert results.count(Committed()) == 1
    assert results.count(Replayed(reply=REPLY)) == 9
    assert await store.queue.pending() == 1


async def test_key_with_another_body_is_a_mismatch(store: Store) -> None:
    route = await some_route(store)
    other = IdempotencyKey(scope=KEY.scope, key=KEY.key, fingerprint=b"other body")
    await store.acceptance.accept([admission(10, job(10, route.id), idempotency=KEY, reply=REPLY)])

    result = await store.acceptance.accept([admission(11, job(11, route.id), idempotency=other, reply=REPLY)])

    assert result == [Mismatch()]


async def test_a_key_that_exists_fails_the_whole_call_and_nothing_else(store: Store) -> None:
    route = await some_route(store)
    await store.acceptance.accept([admission(10, job(10, route.id))])

    results = await asyncio.gather(
        store.acceptance.accept([admission(11, job(11, route.id)), admission(10, job(10, route.id))]),
        store.acceptance.accept([admission(12, job(12, route.id))]),
        return_exceptions=True,
    )

    assert isinstance(results[0], StoreUnavailable)
    assert results[1] == [Committed()]
    assert sorted(await store.ledger.notifications([10, 11, 12])) == [10, 12]
    assert await store.queue.pending() == 2


async def test_rows_that_are_final_already_are_counted_and_complete_it(store: Store) -> None:
    await store.acceptance.accept(
        [admission(10, rows=[row(10, 5, DeliveryState.FAILED), row(10, 6, DeliveryState.SKIPPED)])]
    )

    counts = await store.ledger.counts(10, NOW)
    events = await store.events.read(after=0)
    assert (counts.failed, counts.skipped, counts.pending) == (1, 1, 0)
    assert [event.type for event in events] == [EventType.NOTIFICATION_COMPLETED]
    assert events[0].app == "acme-chat"
    assert events[0].data.note == "skipped 1, failed 1"


async def test_events_of_an_admission_are_kept_with_it(store: Store) -> None:
    route = await some_route(store)
    event = Event(type=EventType.PUSH_FAILED, at=NOW, app="acme-chat")
    given = Admission(notification=admission(10).notification, jobs=(job(10, route.id),), events=(event,))

    await store.acceptance.accept([given])

    assert [event.type for event in await store.events.read(after=0)] == [EventType.PUSH_FAILED]


async def test_chunks_of_bulk_get_row_ids(store: Store) -> None:
    route = await some_route(store)

    await store.acceptance.accept([bulk_admission(10, route.id, [1, 2], [3])])

    claimed = await store.queue.claim(route.id, Lane.BULK, limit=10, now=NOW)
    assert all(item.chunk > 0 for item in claimed)
    recipients = await store.queue.chunks([item.chunk for item in claimed])
    assert [recipients[item.chunk] for item in claimed] == [item.recipients for item in claimed]


class TestSuperseding:
    async def test_newer_push_takes_the_place_of_a_limited_one(self, store: Store) -> None:
        route = await some_route(store)
        await store.acceptance.accept([admission(10, job(10, route.id, code=914, collapse_key="chat"))])

        await store.acceptance.accept([admission(11, job(11, route.id, collapse_key="chat"))])

        (superseded,) = (await store.ledger.deliveries(10, now=NOW)).deliveries
        assert superseded.state is DeliveryState.SUPERSEDED
        assert (await store.ledger.counts(10, NOW)).superseded == 1
        types = [event.type for event in await store.events.read(after=0)]
        assert types == [EventType.PUSH_SUPERSEDED, EventType.NOTIFICATION_COMPLETED]
        claimed = await store.queue.claim(route.id, Lane.ALERT, limit=9, now=NOW)
        assert [item.notification for item in claimed] == [11]

    async def test_works_within_one_batch_too(self, store: Store) -> None:
        route = await some_route(store)

        await store.acceptance.accept(
            [admission(key, job(key, route.id, code=914, collapse_key="chat")) for key in (10, 11, 12)]
        )

        claimed = await store.queue.claim(route.id, Lane.ALERT, limit=9, now=NOW)
        assert [item.notification for item in claimed] == [12]
        assert await store.queue.pending() == 1

    @pytest.mark.parametrize(
        ("code", "collapse_key"), [(0, "chat"), (914, "other"), (914, "")], ids=["not limited", "other key", "no key"]
    )
    async def test_leaves_everything_else_alone(self, store: Store, code: int, collapse_key: str) -> None:
        route = await some_route(store)
        await store.acceptance.accept([admission(10, job(10, route.id, code=code, collapse_key=collapse_key))])

        await store.acceptance.accept([admission(11, job(11, route.id, collapse_key="chat"))])

        assert await store.queue.pending() == 2

    async def test_leaves_what_is_on_its_way(self, store: Store) -> None:
        route = await some_route(store)
        await store.acceptance.accept([admission(10, job(10, route.id, code=914, collapse_key="chat"))])
        claimed = await store.queue.claim(route.id, Lane.ALERT, limit=1, now=NOW)

        await store.acceptance.accept([admission(11, job(11, route.id, collapse_key="chat"))])
        await store.queue.settle(accepted(*claimed))

        assert (await store.ledger.counts(10, NOW)).accepted == 1
