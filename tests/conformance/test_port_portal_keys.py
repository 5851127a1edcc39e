from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest

from storing import DAY, NOW, Store, some_app, sqlite_store
from wakeline.model.bitrix24.broker import MOST_SOURCES, PortalKey, PortalSource, seen_from
from wakeline.model.errors import Conflict, NotFound

pytestmark = pytest.mark.anyio


def key(text: str = "licence", *, app: int = 1, topic: str = "") -> PortalKey:
    digest = hashlib.sha256(text.encode()).digest()
    return PortalKey(id=0, app=app, digest=digest, ending=text[-6:], name="Office", topic=topic, created=NOW)


async def test_a_key_is_found_by_its_digest(store: Store) -> None:
    first = await store.portal_keys.bind(key(topic="com.acme.chat"))
    second = await store.portal_keys.bind(key("other"))

    assert first == msgspec.structs.replace(key(topic="com.acme.chat"), id=first.id)
    assert store.portal_keys.by_digest(key().digest) == first
    assert store.portal_keys.by_digest(key("unknown").digest) is None
    assert store.portal_keys.all() == [first, second]


async def test_a_key_is_bound_once(store: Store) -> None:
    bound = await store.portal_keys.bind(key())

    with pytest.raises(Conflict):
        await store.portal_keys.bind(key())

    await store.portal_keys.remove(bound.id)
    again = await store.portal_keys.bind(key())
    assert store.portal_keys.all() == [again]


async def test_a_removed_key_is_useless(store: Store) -> None:
    bound = await store.portal_keys.bind(key())

    await store.portal_keys.remove(bound.id)

    assert store.portal_keys.by_digest(key().digest) is None
    with pytest.raises(NotFound):
        await store.portal_keys.remove(bound.id)


async def test_where_a_key_was_seen_is_kept(store: Store) -> None:
    bound = await store.portal_keys.bind(key())
    seen, _ = seen_from(bound, "portal.example", "192.0.2.1", NOW)

    await store.portal_keys.remember(seen)

    assert store.portal_keys.by_digest(key().digest) == seen


async def test_what_is_remembered_of_a_removed_key_brings_nothing_back(store: Store) -> None:
    bound = await store.portal_keys.bind(key())
    await store.portal_keys.remove(bound.id)

    await store.portal_keys.remember(bound)

    assert store.portal_keys.all() == []


async def test_an_app_takes_its_keys_with_it(store: Store) -> None:
    other = await store.apps.create("other", "Other", NOW)
    mine = await store.portal_keys.bind(key())
    await store.portal_keys.bind(key("others", app=other.id))

    await store.apps.delete(other.id)

    assert store.portal_keys.all() == [mine]
    assert store.portal_keys.by_digest(key("others").digest) is None
    with pytest.raises(NotFound):
        await store.portal_keys.bind(key("late", app=other.id))


async def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    store = sqlite_store(tmp_path)
    await store.open()
    app = await some_app(store)
    seen, _ = seen_from(await store.portal_keys.bind(key(app=app.id)), "portal.example", "192.0.2.1", NOW)
    await store.portal_keys.remember(seen)
    await store.close()

    again = sqlite_store(tmp_path)
    await again.open()
    assert again.portal_keys.all() == [seen]
    assert again.portal_keys.by_digest(seen.digest) == seen
    await again.close()


def test_a_source_is_new_once() -> None:
    first, before = seen_from(key(), "portal.example", "192.0.2.1", NOW)
    assert before is None

    moved, before = seen_from(first, "portal.example", "192.0.2.9", NOW + 1)
    assert before == PortalSource(host="portal.example", address="192.0.2.1", first=NOW, seen=NOW)

    back, before = seen_from(moved, "portal.example", "192.0.2.1", NOW + DAY)
    assert before is None
    assert back.sources[-1] == PortalSource(host="portal.example", address="192.0.2.1", first=NOW, seen=NOW + DAY)
    assert back.seen == NOW + DAY


def test_only_the_newest_sources_are_remembered() -> None:
    many = key()
    for number in range(MOST_SOURCES + 5):
        many, _ = seen_from(many, "portal.example", f"192.0.2.{number}", NOW + number)

    assert len(many.sources) == MOST_SOURCES
    assert many.sources[0].address == "192.0.2.5"
