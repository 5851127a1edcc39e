from __future__ import annotations

import pytest

from sip_nouns import user
from storing import Store
from wakeline.model.errors import NotFound

pytestmark = pytest.mark.anyio


async def test_a_user_is_found_by_name_and_domain(store: Store) -> None:
    await store.sip_users.put(user())

    assert store.sip_users.get("bob", "example.org") == user()
    assert store.sip_users.get("bob", "example.com") is None
    assert store.sip_users.get("Bob", "example.org") is None


async def test_a_new_password_takes_the_place_of_the_old(store: Store) -> None:
    await store.sip_users.put(user())

    await store.sip_users.put(user(mark="1"))

    assert list(store.sip_users.all()) == [user(mark="1")]


async def test_all_are_listed_by_domain_and_name(store: Store) -> None:
    names = [("ann", "a.org"), ("bob", "a.org"), ("ann", "b.org")]
    for name, domain in reversed(names):
        await store.sip_users.put(user(name, domain))

    assert [(each.user, each.domain) for each in store.sip_users.all()] == names


async def test_a_user_who_was_deleted_is_forgotten(store: Store) -> None:
    await store.sip_users.put(user())
    await store.sip_users.put(user("ann"))

    await store.sip_users.delete("bob", "example.org")

    assert store.sip_users.get("bob", "example.org") is None
    assert list(store.sip_users.all()) == [user("ann")]
    with pytest.raises(NotFound):
        await store.sip_users.delete("bob", "example.org")
