from __future__ import annotations

import asyncio

import pytest

from storing import DAY, NOW, Store
from wakeline.model.event import Event, EventData, EventType
from wakeline.model.outcome import Action, Outcome, OutcomeClass

pytestmark = pytest.mark.anyio

OUTCOME = Outcome(
    outcome_class=OutcomeClass.TOKEN_DEAD, action=Action.RETIRE, code=0, status=410, reason="Unregistered", since=NOW
)


def event(number: int, event_type: EventType = EventType.PUSH_FAILED, app: str = "acme-chat") -> Event:
    return Event(
        type=event_type,
        at=NOW + number,
        app=app,
        data=EventData(notification=f"n{number}", users=("alice",), outcome=OUTCOME, attempts=2),
    )


async def test_reads_back_what_was_appended_in_order(store: Store) -> None:
    await store.events.append([event(1), event(2)])
    await store.events.append([event(3)])

    events = await store.events.read(after=0)

    assert [item.data for item in events] == [event(number).data for number in (1, 2, 3)]
    assert [item.at for item in events] == [NOW + 1, NOW + 2, NOW + 3]
    numbers = [item.seq for item in events]
    assert numbers == sorted(set(numbers))
    assert await store.events.last() == numbers[-1]


async def test_goes_on_after_a_number_and_stops_at_a_limit(store: Store) -> None:
    await store.events.append([event(number) for number in range(6)])
    first = await store.events.read(after=0, limit=2)

    rest = await store.events.read(after=first[-1].seq, limit=3)

    assert [item.data.notification for item in rest] == ["n2", "n3", "n4"]


async def test_filters_by_type_and_app(store: Store) -> None:
    await store.events.append(
        [event(1), event(2, EventType.BRAKE_CLOSED), event(3, app="other"), event(4, EventType.BRAKE_CLOSED, "other")]
    )

    async def found(types: frozenset[EventType] | None, apps: frozenset[str] | None) -> list[str]:
        return [item.data.notification for item in await store.events.read(after=0, types=types, apps=apps)]

    closed = frozenset({EventType.BRAKE_CLOSED})
    assert await found(closed, None) == ["n2", "n4"]
    assert await found(None, frozenset({"other"})) == ["n3", "n4"]
    assert await found(closed, frozenset({"other"})) == ["n4"]
    assert await found(frozenset(), None) == []


async def test_prune_forgets_the_old_and_never_reuses_a_number(store: Store) -> None:
    await store.events.append([event(0), event(1), event(DAY)])
    last = await store.events.last()

    assert await store.events.prune(NOW + DAY) == 2
    assert [item.at for item in await store.events.read(after=0)] == [NOW + DAY]
    assert await store.events.prune(NOW + 2 * DAY) == 1

    assert await store.events.last() == last
    await store.events.append([event(1)])
    assert await store.events.last() == last + 1


async def test_follower_wakes_for_each_batch_and_reads_by_number(store: Store) -> None:
    feed = store.events.follow()
    await store.events.append([event(1)])
    await store.events.append([event(2)])

    await asyncio.wait_for(anext(feed), 15)
    assert [item.data.notification for item in await store.events.read(after=0)] == ["n1", "n2"]

    waiting = asyncio.ensure_future(anext(feed))
    await asyncio.sleep(0)
    assert not waiting.done()
    await store.events.append([event(3)])
    await asyncio.wait_for(waiting, 15)


async def test_tells_whether_anybody_follows(store: Store) -> None:
    assert not store.events.followed()
    feed = store.events.follow()
    assert store.events.followed()
    assert store.events.followed()
    del feed
    assert store.events.followed(), "since it was last asked"
    assert not store.events.followed()


async def test_remembers_a_follower_who_came_and_left_unseen(store: Store) -> None:
    feed = store.events.follow()
    del feed
    assert store.events.followed()
    assert not store.events.followed()


async def test_every_follower_hears(store: Store) -> None:
    feeds = [store.events.follow() for _ in range(3)]

    await store.events.append([event(1)])

    await asyncio.wait_for(asyncio.gather(*(anext(feed) for feed in feeds)), 15)


async def test_followers_end_when_the_store_closes(store: Store) -> None:
    feed = store.events.follow()
    waiting = asyncio.ensure_future(anext(feed, "ended"))
    await asyncio.sleep(0)

    await store.close()

    assert await asyncio.wait_for(waiting, 15) == "ended"
    assert await anext(store.events.follow(), "ended") == "ended"


async def test_prune_forgets_however_many_are_old(store: Store) -> None:
    await store.events.append([event(0)] * 700 + [event(DAY)])

    assert await store.events.prune(NOW + DAY) == 700
    assert [item.at for item in await store.events.read(after=0)] == [NOW + DAY]


async def test_tells_who_listens_of_every_commit_and_counts_them_as_no_follower(store: Store) -> None:
    heard: list[int] = []
    store.events.listen(lambda: heard.append(1))

    await store.events.append([event(1), event(2)])
    await store.events.append([event(3)])

    assert heard == [1, 1]
    assert not store.events.followed()
