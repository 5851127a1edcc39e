"""What receipts promise beyond their port: restarts, and commits that fail."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from storing import NOW, accepted, admission, job, some_device, some_route, sqlite_store
from wakeline.model.delivery import DeliveryState, Job
from wakeline.model.errors import StoreUnavailable
from wakeline.model.notification import Counts
from wakeline.model.receipt import Receipt, ReceiptKind
from wakeline.model.route import Lane
from wakeline.storage.sqlite import SqliteStore

pytestmark = pytest.mark.anyio


async def sending(folder: Path) -> tuple[SqliteStore, Job, Receipt]:
    """Return an open store with a push that is being sent, and what its phone says of it."""
    store = sqlite_store(folder)
    await store.open()
    phone, route = await some_device(store), await some_route(store)
    await store.acceptance.accept([admission(10, job(10, route.id, [phone.targets[0].id]))])
    (claimed,) = await store.queue.claim(route.id, Lane.ALERT, limit=1, now=NOW)
    said = Receipt(app=1, notification=10, device=phone.id, kind=ReceiptKind.OPENED, at=NOW)
    return store, claimed, said


async def test_what_was_said_of_a_push_under_way_outlives_a_crash_and_ends_it(tmp_path: Path) -> None:
    store, claimed, said = await sending(tmp_path)
    await store.receipts.note([said])
    await store.close()  # without an answer, as after a crash

    again = sqlite_store(tmp_path)
    await again.open()

    assert await again.queue.claim(claimed.route, Lane.ALERT, limit=1, now=NOW) == []
    assert await again.queue.pending() == 0
    assert await again.ledger.counts(10, NOW) == Counts(accepted=1, opened=1)
    assert [heard.fresh for heard in await again.receipts.note([said])] == [False]
    await again.close()


async def test_what_another_phone_may_have_said_outlives_a_crash_and_ends_nothing(tmp_path: Path) -> None:
    store, claimed, said = await sending(tmp_path)
    doubtful = msgspec.structs.replace(said, certain=False)
    await store.receipts.note([doubtful])
    await store.close()  # without an answer, as after a crash

    again = sqlite_store(tmp_path)
    await again.open()
    (retry,) = await again.queue.claim(claimed.route, Lane.ALERT, limit=1, now=NOW)
    await again.queue.settle(accepted(retry))

    assert await again.ledger.counts(10, NOW) == Counts(accepted=1, opened=1)
    assert [heard.fresh for heard in await again.receipts.note([doubtful])] == [False]
    await again.close()


async def test_memory_follows_the_disk_when_a_commit_fails(tmp_path: Path) -> None:
    store, claimed, said = await sending(tmp_path)
    connection = store.receipts._writer._connection
    connection.execute("PRAGMA query_only = 1")  # as a broken disk

    with pytest.raises(StoreUnavailable):
        await store.receipts.note([said])
    connection.execute("PRAGMA query_only = 0")
    await store.queue.settle(accepted(claimed))

    delivery = await store.ledger.delivery(10, claimed.recipients[2], NOW)
    assert delivery is not None
    assert delivery.state is DeliveryState.ACCEPTED
    assert await store.ledger.counts(10, NOW) == Counts(accepted=1)
    await store.close()


async def test_a_waiting_push_goes_out_when_what_was_said_of_it_could_not_be_kept(tmp_path: Path) -> None:
    store, claimed, said = await sending(tmp_path)
    await store.queue.release([claimed.id])
    connection = store.receipts._writer._connection
    connection.execute("PRAGMA query_only = 1")

    with pytest.raises(StoreUnavailable):
        await store.receipts.note([said])
    connection.execute("PRAGMA query_only = 0")

    assert [one.id for one in await store.queue.claim(claimed.route, Lane.ALERT, limit=1, now=NOW)] == [claimed.id]
    assert await store.queue.pending() == 1
    await store.close()
