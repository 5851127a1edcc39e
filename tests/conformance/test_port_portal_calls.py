from __future__ import annotations

import asyncio

import msgspec
import pytest

from storing import HOUR, NOW, Store
from wakeline.model.bitrix24.calls import ExternalCall
from wakeline.model.errors import Conflict, NotFound

pytestmark = pytest.mark.anyio

CALL = ExternalCall(
    id=0,
    call_id="externalCall.a.1",
    fingerprint=b"f" * 32,
    user=7,
    phone="+79990000000",
    type=2,
    begun=NOW,
    entity_type="CONTACT",
    entity_id=3,
)


def named(call_id: str, **fields: object) -> ExternalCall:
    return msgspec.structs.replace(CALL, call_id=call_id, **fields)


async def test_a_call_is_found_by_its_call_id(store: Store) -> None:
    kept = await store.portal_calls.register(CALL, since=NOW)

    assert kept == msgspec.structs.replace(CALL, id=kept.id)
    assert await store.portal_calls.call("externalCall.a.1") == kept
    assert await store.portal_calls.call("externalCall.b.1") is None


async def test_the_same_call_registered_again_is_that_call(store: Store) -> None:
    kept = await store.portal_calls.register(CALL, since=NOW - HOUR)

    again = await store.portal_calls.register(named("externalCall.b.2", begun=NOW + 1), since=NOW)

    assert again == kept
    assert await store.portal_calls.call("externalCall.b.2") is None


async def test_the_same_call_registered_at_once_is_one(store: Store) -> None:
    calls = [named(f"externalCall.{number}.1") for number in range(4)]

    kept = await asyncio.gather(*(store.portal_calls.register(call, since=NOW) for call in calls))

    assert len({call.id for call in kept}) == 1


async def test_one_that_began_long_ago_is_another(store: Store) -> None:
    old = await store.portal_calls.register(CALL, since=NOW)
    new = await store.portal_calls.register(named("externalCall.b.2", begun=NOW + HOUR), since=NOW + 1)

    assert new.id != old.id
    assert await store.portal_calls.register(named("externalCall.c.3", begun=NOW + HOUR), since=NOW) == new


async def test_another_call_is_kept_apart_even_at_the_same_time(store: Store) -> None:
    first = await store.portal_calls.register(CALL, since=NOW)
    second = await store.portal_calls.register(named("externalCall.b.1", fingerprint=b"g" * 32), since=NOW)

    assert first.id != second.id
    with pytest.raises(Conflict):
        await store.portal_calls.register(named("externalCall.b.1", fingerprint=b"h" * 32), since=NOW)


async def test_how_a_call_ended_is_written(store: Store) -> None:
    kept = await store.portal_calls.register(CALL, since=NOW)
    ended = msgspec.structs.replace(
        kept, finished=NOW + 9000, duration=9, status="200", cost="1.50", currency="EUR", vote=5, record_url="https://r"
    )

    await store.portal_calls.finish(ended)

    assert await store.portal_calls.call(kept.call_id) == ended
    assert await store.portal_calls.register(CALL, since=NOW) == ended
    with pytest.raises(NotFound):
        await store.portal_calls.finish(msgspec.structs.replace(ended, id=99))


async def test_calls_are_forgotten_by_when_they_began_finished_or_not(store: Store) -> None:
    ended = await store.portal_calls.register(CALL, since=NOW)
    await store.portal_calls.finish(msgspec.structs.replace(ended, finished=NOW + HOUR, duration=9))
    await store.portal_calls.register(named("externalCall.b.2", fingerprint=b"g" * 32), since=NOW)
    kept = await store.portal_calls.register(named("externalCall.c.3", begun=NOW + 1, fingerprint=b"h" * 32), since=NOW)

    assert await store.portal_calls.prune_calls(NOW + 1) == 2
    assert await store.portal_calls.prune_calls(NOW + 1) == 0

    assert await store.portal_calls.call("externalCall.a.1") is None
    assert await store.portal_calls.call("externalCall.b.2") is None
    assert await store.portal_calls.call("externalCall.c.3") == kept
    again = await store.portal_calls.register(CALL, since=NOW)
    assert again.id != kept.id
