from __future__ import annotations

import asyncio

import msgspec
import pytest

from sip_nouns import ALICE, BOB, binding, message
from storing import HOUR, NOW, Store
from wakeline.model.errors import InvalidRequest
from wakeline.model.sip.binding import BindingChange

pytestmark = pytest.mark.anyio


async def keys(store: Store, uid: str = "phone", *, aor: str = BOB, now: int = NOW, limit: int = 99) -> list[str]:
    found = [each.key for each in await store.sip_messages.waiting(aor, uid, now=now, limit=limit)]
    assert store.sip_messages.any_for(aor, uid, now=now) is bool(found)
    return found


async def test_a_message_is_kept_as_it_is(store: Store) -> None:
    full = message("c1 1", "phone", "tablet", request=b"MESSAGE\r\n\r\n\x00\xff" + b"x" * 60_000, at=NOW - 5)

    kept = await store.sip_messages.put(full)

    assert kept == msgspec.structs.replace(full, id=kept.id)
    assert await store.sip_messages.waiting(BOB, "phone", now=NOW, limit=9) == [kept]
    assert await store.sip_messages.waiting(BOB, "tablet", now=NOW, limit=9) == [kept]
    assert await store.sip_messages.waiting(BOB, "other", now=NOW, limit=9) == []


async def test_messages_stay_in_order(store: Store) -> None:
    names = [f"c{number} 1" for number in range(10)]
    for name in names:
        await store.sip_messages.put(message(name))

    assert await keys(store) == names
    assert await keys(store, limit=3) == names[:3]


async def test_messages_that_come_together_keep_the_order_in_which_they_came(store: Store) -> None:
    names = [f"c{number} 1" for number in range(40)]

    kept = await asyncio.gather(*(store.sip_messages.put(message(name)) for name in names))

    assert await keys(store) == names
    assert [each.id for each in kept] == sorted({each.id for each in kept})


async def test_a_repeated_request_is_the_message_that_is_there(store: Store) -> None:
    first = await store.sip_messages.put(message())

    assert await store.sip_messages.put(message(at=NOW + 9, request=b"changed")) == first
    together = await asyncio.gather(store.sip_messages.put(message()), store.sip_messages.put(message()))
    assert list(together) == [first, first]
    to_another = await store.sip_messages.put(message(aor=ALICE))
    assert to_another.id != first.id
    assert await store.sip_messages.count(BOB) == 1


async def test_a_repeated_request_is_for_whom_has_not_taken_it(store: Store) -> None:
    first = await store.sip_messages.put(message("c1 1", "phone", "tablet"))
    await store.sip_messages.taken("phone", [first.id])

    again = await store.sip_messages.put(message("c1 1", "phone", "tablet"))

    assert again == msgspec.structs.replace(first, uids=("tablet",))
    assert await keys(store, "phone") == []


async def test_each_phone_takes_a_message_once(store: Store) -> None:
    one = await store.sip_messages.put(message("c1 1", "phone", "tablet"))
    two = await store.sip_messages.put(message("c2 1", "tablet"))

    await store.sip_messages.taken("phone", [one.id, two.id, 999])
    await store.sip_messages.taken("phone", [one.id])

    assert await keys(store, "phone") == []
    assert await keys(store, "tablet") == ["c1 1", "c2 1"]
    (first, _) = await store.sip_messages.waiting(BOB, "tablet", now=NOW, limit=9)
    assert first.uids == ("tablet",)


async def test_what_all_have_taken_is_forgotten(store: Store) -> None:
    one = await store.sip_messages.put(message("c1 1", "phone", "tablet"))
    await store.sip_messages.put(message("c2 1"))

    await store.sip_messages.taken("phone", [one.id])
    assert await store.sip_messages.count(BOB) == 2
    await store.sip_messages.taken("tablet", [one.id])

    assert await store.sip_messages.count(BOB) == 1
    assert (await store.sip_messages.put(message("c1 1"))).id > one.id


async def test_what_is_no_text_is_refused(store: Store) -> None:
    await store.sip_messages.put(message())
    with pytest.raises(InvalidRequest):
        await store.sip_messages.put(message("\udcff 1"))

    assert await keys(store, "\udcff") == await keys(store, aor="\udcff") == []
    await store.sip_messages.taken("\udcff", [1])
    assert await store.sip_messages.count("\udcff") == 0


async def test_an_id_is_never_given_twice(store: Store) -> None:
    one = await store.sip_messages.put(message())
    await store.sip_messages.taken("phone", [one.id])

    assert (await store.sip_messages.put(message("c2 1"))).id > one.id


async def test_a_phone_with_two_accounts_is_given_those_of_each(store: Store) -> None:
    await store.sip_messages.put(message("c1 1"))
    await store.sip_messages.put(message("c2 1", aor=ALICE))

    assert await keys(store) == ["c1 1"]
    assert await keys(store, aor=ALICE) == ["c2 1"]
    assert await store.sip_messages.count(ALICE) == 1


async def test_what_waits_for_a_phone_that_has_another_name_now_waits_for_it_by_that(store: Store) -> None:
    await store.sip_messages.put(message("c1 1", "old", "tablet"))
    await store.sip_messages.put(message("c2 1", "old", "new"))
    await store.sip_messages.put(message("c3 1", "old", aor=ALICE))

    change = BindingChange(aor=BOB, put=(binding("new"),), removed=("old",), moved=(("old", "new"),))
    await store.sip_bindings.change(change)

    assert await keys(store, "new") == ["c1 1", "c2 1"]
    assert await keys(store, "old") == []
    assert await keys(store, "tablet") == ["c1 1"]
    assert await keys(store, "old", aor=ALICE) == ["c3 1"]
    assert [each.uids for each in await store.sip_messages.waiting(BOB, "new", now=NOW, limit=9)] == [
        ("new", "tablet"),
        ("new",),
    ]


async def test_what_has_expired_is_left_out_and_then_forgotten(store: Store) -> None:
    await store.sip_messages.put(message("c1 1", expires=NOW + 5))
    await store.sip_messages.put(message("c2 1"))

    assert await keys(store, now=NOW + 4) == ["c1 1", "c2 1"]
    assert await keys(store, now=NOW + 5) == ["c2 1"]
    assert await store.sip_messages.prune(NOW + 4) == 0
    assert await store.sip_messages.prune(NOW + 5) == 1
    assert await store.sip_messages.count(BOB) == 1
    assert await store.sip_messages.prune(NOW + HOUR) == 1
    assert await keys(store) == []
