from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from both_stores import Both
from connected_nouns import connected, event, installation
from fuzzing import examples
from storing import NOW, Store, some_app
from wakeline.model.bitrix24.inbox import EventState, Origin, ReceivedEvent, Settled, subject_of

pytestmark = pytest.mark.anyio


@pytest.fixture
async def of(store: Store) -> int:
    return (await connected(store)).id


async def due(store: Store, of: int, now: int = NOW, limit: int = 99) -> list[int]:
    """Return the records of waiting events."""
    return [each.record for each in await store.event_inbox.waiting(of, now=now, limit=limit)]


async def records(store: Store, **asked: Any) -> list[int]:
    return [each.record for each in await store.event_inbox.recorded(**{"limit": 99, **asked})]


class TestPutting:
    async def test_keeps_an_event_as_it_is(self, store: Store, of: int) -> None:
        full = msgspec.structs.replace(
            event(7, of=of, origin=Origin.RESENT, due=NOW - 5),
            attempts=3,
            cause="It was tried",
            notifications=("a", "b"),
        )

        assert await store.event_inbox.put([full]) == [True]

        (kept,) = await store.event_inbox.waiting(of, now=NOW, limit=9)
        assert kept == msgspec.structs.replace(full, id=kept.id)
        assert await store.event_inbox.by_id(kept.id) == await store.event_inbox.by_identity(of, full.identity) == kept
        assert await store.event_inbox.by_identity(of + 1, full.identity) is None
        assert await store.event_inbox.by_identity(of, full.subject) is None
        assert await store.event_inbox.by_id(kept.id + 1) is None
        assert await store.event_inbox.by_id(1 << 80) is None

    async def test_takes_two_deliveries_of_one_event_once(self, store: Store, of: int) -> None:
        other = (await connected(store, "other")).id
        put = store.event_inbox.put

        assert await put([event(1, of=of), event(1, of=of), event(2, of=of)]) == [True, False, True]
        assert await put([event(1, of=of), event(1, of=other), event(1, of=of, at=NOW + 1000)]) == [False, True, True]
        assert await due(store, of) == [1, 2, 1]
        assert await due(store, other) == [1]

    async def test_takes_what_comes_at_once_once(self, store: Store, of: int) -> None:
        done = await asyncio.gather(*(store.event_inbox.put([event(n % 40, of=of)]) for n in range(120)))

        assert sum(kept for (kept,) in done) == 40
        assert sorted(await due(store, of)) == list(range(40))

    async def test_takes_a_delivery_of_a_settled_event_not_again(self, store: Store, of: int) -> None:
        await store.event_inbox.put([event(1, of=of)])
        (kept,) = await store.event_inbox.waiting(of, now=NOW, limit=1)
        await store.event_inbox.settle([Settled(id=kept.id, state=EventState.DONE)])

        assert await store.event_inbox.put([event(1, of=of)]) == [False]
        assert await due(store, of) == []

    async def test_drops_those_of_no_installation(self, store: Store, of: int) -> None:
        assert await store.event_inbox.put([event(1, of=99), event(1, of=of), event(1, of=1 << 80)]) == [
            False,
            True,
            False,
        ]
        assert await store.event_inbox.put([]) == []
        assert await records(store) == [1]

    async def test_takes_a_burst_whole_and_in_order(self, store: Store, of: int) -> None:
        burst = [event(number, of=of) for number in range(3_000)]

        done = await asyncio.gather(
            *(store.event_inbox.put(burst[start : start + 100]) for start in range(0, len(burst), 100))
        )

        assert done == [[True] * 100] * 30
        assert await due(store, of, limit=5_000) == list(range(3_000))


class TestWaiting:
    async def test_gives_what_is_due_oldest_first(self, store: Store, of: int) -> None:
        await store.event_inbox.put(
            [event(1, of=of, due=NOW + 5), event(2, of=of, due=NOW), event(3, of=of), event(4, of=of, due=NOW + 1)]
        )

        assert await due(store, of, NOW) == [2, 3]
        assert await due(store, of, NOW + 1) == [2, 3, 4]
        assert await due(store, of, NOW + 5, limit=2) == [1, 2]
        assert await due(store, of, NOW - 1) == [3]
        assert await due(store, 99) == []

    async def test_has_all_that_waits_due_at_once_if_it_is_told_to(self, store: Store, of: int) -> None:
        other = (await connected(store, "other")).id
        events = [event(1, of=of, due=NOW + 5), event(2, of=of, due=NOW - 5), event(3, of=of, state=EventState.DONE)]
        await store.event_inbox.put([*events, event(1, of=other, due=NOW + 5)])

        await store.event_inbox.hasten(of, now=NOW)

        assert await due(store, of, NOW - 1) == [2]
        assert await due(store, of, NOW) == [1, 2]
        assert await store.event_inbox.next_due() == {of: NOW - 5, other: NOW + 5}

    async def test_says_when_there_is_more_to_do(self, store: Store, of: int) -> None:
        other, idle = (await connected(store, "other")).id, (await connected(store, "idle")).id
        await store.event_inbox.put([event(1, of=of, due=NOW + 5), event(2, of=of, due=NOW + 3)])
        await store.event_inbox.put([event(1, of=other, due=7), event(2, of=idle, state=EventState.FAILED)])

        assert await store.event_inbox.next_due() == {of: NOW + 3, other: 7}

        (first,) = await store.event_inbox.waiting(other, now=NOW, limit=9)
        await store.event_inbox.settle([Settled(id=first.id, state=EventState.DONE)])
        assert await store.event_inbox.next_due() == {of: NOW + 3}


class TestSettling:
    async def test_writes_what_became_of_events(self, store: Store, of: int) -> None:
        await store.event_inbox.put([event(number, of=of) for number in (1, 2, 3, 4)])
        one, two, three, four = await store.event_inbox.waiting(of, now=NOW, limit=9)

        await store.event_inbox.settle(
            [
                Settled(id=one.id, state=EventState.DONE, notifications=("n1", "n2")),
                Settled(id=two.id, state=EventState.FAILED, cause="Rule won: no such field"),
                Settled(id=three.id, state=EventState.WAITING, due=NOW + 9, cause="The portal is down"),
                Settled(id=999, state=EventState.DONE),
            ]
        )

        expected = [
            msgspec.structs.replace(four),
            msgspec.structs.replace(three, attempts=1, due=NOW + 9, cause="The portal is down"),
            msgspec.structs.replace(two, attempts=1, state=EventState.FAILED, cause="Rule won: no such field"),
            msgspec.structs.replace(one, attempts=1, state=EventState.DONE, notifications=("n1", "n2")),
        ]
        assert await store.event_inbox.recorded(limit=9) == expected
        assert await due(store, of) == [4]
        assert await due(store, of, NOW + 9) == [3, 4]

    async def test_changes_nothing_that_was_settled_before(self, store: Store, of: int) -> None:
        await store.event_inbox.put([event(1, of=of)])
        (one,) = await store.event_inbox.waiting(of, now=NOW, limit=9)
        done = Settled(id=one.id, state=EventState.DONE, notifications=("n1",))
        await store.event_inbox.settle([done])

        await store.event_inbox.settle([Settled(id=one.id, state=EventState.WAITING, due=5), done])

        assert await store.event_inbox.by_id(one.id) == msgspec.structs.replace(
            one, attempts=1, state=EventState.DONE, notifications=("n1",)
        )


class TestLatest:
    async def test_is_the_last_event_about_each_subject_done_or_not(self, store: Store, of: int) -> None:
        other = (await connected(store, "other")).id
        await store.event_inbox.put([event(1, of=of, at=NOW + at) for at in (1000, 9000, 5000)])
        await store.event_inbox.put([event(2, of=of), event(1, of=other, at=NOW + 60_000)])
        (first, *_) = await store.event_inbox.waiting(of, now=NOW, limit=1)
        await store.event_inbox.settle([Settled(id=first.id, state=EventState.DONE)])
        one, two = event(1).subject, event(2).subject
        unknown = subject_of("ONTASKADD", b"{}")

        assert await store.event_inbox.latest(of, [one, two, unknown, one]) == {one: NOW + 9000, two: NOW}
        assert await store.event_inbox.latest(other, {two, one}) == {one: NOW + 60_000}
        assert await store.event_inbox.latest(of, []) == {}
        assert await store.event_inbox.latest(99, [one]) == {}


class TestRecorded:
    async def test_are_listed_newest_first_by_what_is_asked(self, store: Store, of: int) -> None:
        other = (await connected(store, "other")).id
        await store.event_inbox.put(
            [
                event(1, of=of),
                event(2, of=other, named="ONTASKADD"),
                event(3, of=of, state=EventState.FAILED),
                event(4, of=of, named="ONTASKADD", state=EventState.DONE),
                event(5, of=other),
                event(6, of=of),
            ]
        )
        (third,) = await store.event_inbox.recorded(state=EventState.FAILED, limit=9)

        assert await records(store) == [6, 5, 4, 3, 2, 1]
        assert await records(store, limit=2) == [6, 5]
        assert await records(store, installation=of) == [6, 4, 3, 1]
        assert await records(store, installation=99) == await records(store, installation=1 << 80) == []
        assert await records(store, event="ONTASKADD") == [4, 2]
        assert await records(store, state=EventState.WAITING) == [6, 5, 2, 1]
        assert await records(store, installation=of, event="ONCRMDEALUPDATE", state=EventState.WAITING) == [6, 1]
        assert await records(store, before=third.id) == [2, 1]
        assert await records(store, before=third.id, installation=other, event="ONTASKADD", limit=1) == [2]
        assert await records(store, before=1 << 80, limit=1) == [6]


class TestPruning:
    async def test_forgets_old_ones_that_wait_for_nothing(self, store: Store, of: int) -> None:
        await store.event_inbox.put(
            [
                event(number, of=of, received=NOW + number, state=state)
                for number, state in enumerate([EventState.DONE, EventState.WAITING, EventState.FAILED] * 100)
            ]
        )

        assert await store.event_inbox.prune(NOW + 297) == 198
        assert await store.event_inbox.prune(NOW + 297) == 0

        assert await records(store, state=EventState.DONE) == [297]
        assert await records(store, state=EventState.FAILED) == [299]
        assert len(await records(store, limit=999)) == 102

    async def test_makes_room_for_the_same_event(self, store: Store, of: int) -> None:
        await store.event_inbox.put([event(1, of=of, state=EventState.DONE)])
        assert await store.event_inbox.put([event(1, of=of)]) == [False]

        await store.event_inbox.prune(NOW + 1)

        assert await store.event_inbox.put([event(1, of=of)]) == [True]


OWNERS = st.integers(0, 1)
NAMES = st.sampled_from(["ONTASKADD", "ONCRMDEALADD"])
STEPS = st.one_of(
    st.tuples(
        st.just("put"),
        OWNERS,
        st.lists(st.tuples(st.integers(0, 4), NAMES, st.integers(0, 4), st.sampled_from(EventState)), max_size=4),
    ),
    st.tuples(st.just("settle"), OWNERS, st.integers(0, 4), st.sampled_from(EventState)),
    st.tuples(st.just("list"), OWNERS, st.sampled_from([None, "ONTASKADD"]), st.sampled_from([None, *EventState])),
    st.tuples(st.just("prune"), st.integers(0, 5)),
)


async def step(store: Store, owners: Sequence[int], made: tuple[Any, ...]) -> object:
    """Take one step, return what it answered."""
    inbox = store.event_inbox
    match made:
        case ("put", int(owner), list(some)):
            return await inbox.put(
                [
                    event(number, of=owners[owner], named=name, received=NOW + late, due=NOW + late, state=state)
                    for number, name, late, state in some
                ]
            )
        case ("settle", int(owner), int(late), EventState() as state):
            found = await inbox.waiting(owners[owner], now=NOW + late, limit=2)
            await inbox.settle([Settled(id=each.id, state=state, due=NOW + 3, cause="c") for each in found])
            return nameless(found)
        case ("list", int(owner), name, state):
            found = await inbox.recorded(installation=owners[owner], event=name, state=state, limit=3)
            rest = await inbox.recorded(event=name, before=found[-1].id, limit=3) if found else []
            return nameless([*found, *rest])
        case ("prune", int(before)):
            return await inbox.prune(NOW + before)
    raise AssertionError(made)


def nameless(events: Sequence[ReceivedEvent]) -> list[ReceivedEvent]:
    """Return events without their ids and owners, which are the store's own."""
    return [msgspec.structs.replace(event, id=0, installation=0) for event in events]


@settings(max_examples=examples(60), deadline=None)
@given(life=st.lists(STEPS, max_size=25))
def test_every_adapter_lives_the_same_life(both: Both, life: list[tuple[Any, ...]]) -> None:
    async def lived(store: Store) -> list[object]:
        app = (await some_app(store)).id
        owners = [(await store.installations.create(installation(name, app=app))).id for name in "ab"]
        answers: list[object] = []
        for made in life:
            answers.append(await step(store, owners, made))
            answers += nameless(await store.event_inbox.recorded(limit=99))
            soonest = await store.event_inbox.next_due()
            answers += [soonest.get(owner) for owner in owners]
            subjects = {event(number, named="ONTASKADD").subject for number in range(5)}
            answers.append(await store.event_inbox.latest(owners[0], subjects))
        for owner in owners:
            await store.installations.delete(owner)
        return [*answers, await store.event_inbox.recorded(limit=9)]

    first, second = [both.loop.run_until_complete(lived(store)) for store in both.stores]

    assert first == second
