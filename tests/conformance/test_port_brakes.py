from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from storing import DAY, NOW, Store, some_app, sqlite_store
from wakeline.model.brake import BrakeEpisode, ReasonCount
from wakeline.model.errors import NotFound
from wakeline.model.route import Environment, ProviderKind

pytestmark = pytest.mark.anyio

EPISODE = BrakeEpisode(
    app=1,
    route=3,
    provider=ProviderKind.APNS,
    environment=Environment.SANDBOX,
    topic="com.acme.chat",
    began=NOW - 1000,
    closed_at=NOW,
    answers=100,
    doubtful=25,
    distinct=24,
    usual=0.01,
    reasons=(ReasonCount("BadDeviceToken", 25),),
)


async def test_episodes_are_listed_newest_first(store: Store) -> None:
    first = await store.brakes.keep(EPISODE)
    second = await store.brakes.keep(msgspec.structs.replace(EPISODE, closed_at=NOW - DAY))

    assert first == msgspec.structs.replace(EPISODE, id=first.id)
    assert store.brakes.all() == [second, first]
    assert store.brakes.get(first.id) == first
    assert store.brakes.get(99) is None


async def test_what_became_of_one_is_kept(store: Store) -> None:
    kept = await store.brakes.keep(EPISODE)
    changed = msgspec.structs.replace(kept, released_at=NOW + 5, undone_at=NOW + 6, restored=7)

    await store.brakes.change(changed)

    assert store.brakes.get(kept.id) == changed
    with pytest.raises(NotFound):
        await store.brakes.change(EPISODE)


async def test_only_what_is_over_and_old_is_forgotten(store: Store) -> None:
    still_closed = await store.brakes.keep(EPISODE)
    over = await store.brakes.keep(msgspec.structs.replace(EPISODE, released_at=NOW + 1))
    young = await store.brakes.keep(msgspec.structs.replace(EPISODE, closed_at=NOW + DAY, released_at=NOW + DAY))

    assert await store.brakes.prune(NOW + 1) == 1

    assert store.brakes.all() == [young, still_closed]
    assert store.brakes.get(over.id) is None
    assert await store.brakes.prune(NOW + 1) == 0


async def test_an_app_takes_its_episodes_with_it(store: Store) -> None:
    other = await store.apps.create("other", "Other", NOW)
    mine = await store.brakes.keep(EPISODE)
    await store.brakes.keep(msgspec.structs.replace(EPISODE, app=other.id))

    await store.apps.delete(other.id)

    assert store.brakes.all() == [mine]
    with pytest.raises(NotFound):
        await store.brakes.keep(msgspec.structs.replace(EPISODE, app=other.id))


async def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    store = sqlite_store(tmp_path)
    await store.open()
    app = await some_app(store)
    kept = await store.brakes.keep(msgspec.structs.replace(EPISODE, app=app.id))
    over = msgspec.structs.replace(kept, released_at=NOW + 1)
    await store.brakes.change(over)
    await store.close()

    again = sqlite_store(tmp_path)
    await again.open()
    assert again.brakes.all() == [over]
    assert await again.brakes.prune(NOW + DAY) == 1
    await again.close()

    third = sqlite_store(tmp_path)
    await third.open()
    assert third.brakes.all() == []
    await third.close()
