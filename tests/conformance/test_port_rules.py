from __future__ import annotations

import asyncio

import msgspec
import pytest

from connected_nouns import connected, rule
from storing import Store
from wakeline.model.bitrix24.rule import Rule
from wakeline.model.errors import Conflict, NotFound
from wakeline.model.notification import Priority, PushType

pytestmark = pytest.mark.anyio

FULL = Rule(
    id=0,
    name="full",
    event="*",
    recipients=("user",),
    condition="data.FIELDS",
    type=PushType.CALL,
    title="{{ deal.TITLE }}",
    body="Body",
    image="https://acme.example/{{ record.ID }}.png",
    data={"a": "{{ event }}"},
    collapse="deal-{{ record.ID }}",
    caller="{{ data.PHONE_NUMBER }}",
    priority=Priority.HIGH,
    ttl=30,
    enabled=False,
    created=5,
)


async def test_one_is_found_by_its_id(store: Store) -> None:
    of = await connected(store)
    first = await store.portal_rules.create(rule(of=of.id))
    second = await store.portal_rules.create(FULL)

    assert first == msgspec.structs.replace(rule(of=of.id), id=first.id)
    assert store.portal_rules.by_id(first.id) == first
    assert store.portal_rules.all() == [first, msgspec.structs.replace(FULL, id=second.id)]
    assert store.portal_rules.by_id(99) is None


async def test_a_name_is_one_rules(store: Store) -> None:
    await store.portal_rules.create(rule())
    other = await store.portal_rules.create(rule("other"))

    with pytest.raises(Conflict, match="won"):
        await store.portal_rules.create(rule())
    with pytest.raises(Conflict, match="won"):
        await store.portal_rules.change(msgspec.structs.replace(other, name="won"))

    assert store.portal_rules.by_id(other.id) == other


async def test_two_at_once_with_one_name_are_one(store: Store) -> None:
    done = await asyncio.gather(*(store.portal_rules.create(rule()) for _ in range(3)), return_exceptions=True)

    assert sum(isinstance(each, Conflict) for each in done) == 2
    assert len(store.portal_rules.all()) == 1


async def test_a_change_takes_its_place(store: Store) -> None:
    first = await store.portal_rules.create(rule())
    second = await store.portal_rules.create(rule("other"))
    changed = msgspec.structs.replace(FULL, id=first.id, installation=(await connected(store)).id)

    await store.portal_rules.change(changed)

    assert store.portal_rules.all() == [changed, second]
    assert (await store.portal_rules.create(rule())).id > second.id


async def test_a_deleted_one_is_gone_and_its_name_free(store: Store) -> None:
    gone = await store.portal_rules.create(rule())

    await store.portal_rules.delete(gone.id)

    assert store.portal_rules.all() == []
    again = await store.portal_rules.create(rule())
    assert again.id > gone.id


async def test_what_is_not_there_is_refused(store: Store) -> None:
    kept = await store.portal_rules.create(rule())
    for number in (99, -1, 1 << 80):
        with pytest.raises(NotFound):
            await store.portal_rules.delete(number)
        with pytest.raises(NotFound):
            await store.portal_rules.change(msgspec.structs.replace(rule("late"), id=number))
        with pytest.raises(NotFound):
            await store.portal_rules.create(rule("late", of=number))
        with pytest.raises(NotFound):
            await store.portal_rules.change(msgspec.structs.replace(kept, installation=number))

    assert store.portal_rules.all() == [kept]
