from __future__ import annotations

import asyncio

import msgspec
import pytest

from storing import DAY, NOW, Store
from wakeline.ports import Committed, IdempotencyKey, Mismatch, Replayed, Reply, Running

pytestmark = pytest.mark.anyio

KEY = IdempotencyKey(scope="key 1 /v1/webhooks", key="k", fingerprint=b"body")
REPLY = Reply(status=201, body=b"{}", secret=True, resource="webhook 7")


async def test_first_use_goes_on_and_a_second_one_waits(store: Store) -> None:
    assert await store.idempotency.begin(KEY, NOW) == Committed()
    assert await store.idempotency.begin(KEY, NOW) == Running()


async def test_calls_made_together_have_one_winner(store: Store) -> None:
    results = await asyncio.gather(*(store.idempotency.begin(KEY, NOW) for _ in range(5)))

    assert sorted(type(result).__name__ for result in results) == ["Committed", *["Running"] * 4]


async def test_finished_request_is_replayed_with_all_it_said(store: Store) -> None:
    await store.idempotency.begin(KEY, NOW)
    await store.idempotency.finish(KEY, REPLY, NOW)

    assert await store.idempotency.begin(KEY, NOW) == Replayed(reply=REPLY)


async def test_other_body_is_a_mismatch_even_while_the_first_runs(store: Store) -> None:
    await store.idempotency.begin(KEY, NOW)

    other = IdempotencyKey(scope=KEY.scope, key=KEY.key, fingerprint=b"other")
    assert await store.idempotency.begin(other, NOW) == Mismatch()


async def test_same_key_in_another_scope_is_another_key(store: Store) -> None:
    await store.idempotency.begin(KEY, NOW)

    other = IdempotencyKey(scope="key 2 /v1/webhooks", key=KEY.key, fingerprint=b"body")
    assert await store.idempotency.begin(other, NOW) == Committed()


async def test_abandoned_key_is_free_again(store: Store) -> None:
    await store.idempotency.begin(KEY, NOW)
    await store.idempotency.abandon(KEY)

    assert await store.idempotency.begin(KEY, NOW) == Committed()


async def test_an_answer_given_is_never_abandoned(store: Store) -> None:
    await store.idempotency.begin(KEY, NOW)
    await store.idempotency.finish(KEY, REPLY, NOW)
    await store.idempotency.abandon(KEY)

    assert await store.idempotency.begin(KEY, NOW) == Replayed(reply=REPLY)


async def test_prune_forgets_old_keys_only(store: Store) -> None:
    young = IdempotencyKey(scope=KEY.scope, key="young", fingerprint=b"body")
    for key, at in ((KEY, NOW), (young, NOW + DAY)):
        await store.idempotency.begin(key, at)
        await store.idempotency.finish(key, REPLY, at)

    assert await store.idempotency.prune(NOW + DAY) == 1

    assert await store.idempotency.begin(KEY, NOW) == Committed()
    assert await store.idempotency.begin(young, NOW) == Replayed(reply=REPLY)


async def test_prune_forgets_however_many_are_old(store: Store) -> None:
    await asyncio.gather(*(store.idempotency.begin(msgspec.structs.replace(KEY, key=str(n)), NOW) for n in range(250)))

    assert await store.idempotency.prune(NOW + 1) == 250
    assert await store.idempotency.prune(NOW + 1) == 0
