from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from both_stores import Both
from connected_nouns import connected, installation, write
from fuzzing import examples
from storing import NOW, Store, some_app
from wakeline.model.bitrix24.outbox import PortalWrite, WriteState
from wakeline.model.errors import NotFound

pytestmark = pytest.mark.anyio


@pytest.fixture
async def of(store: Store) -> int:
    return (await connected(store)).id


async def put(store: Store, *writes: PortalWrite) -> list[PortalWrite]:
    return await store.outbox.put(writes)


async def settle(store: Store, write: PortalWrite, state: WriteState, **facts: Any) -> PortalWrite:
    """Settle a write and return it as it is now."""
    settled = msgspec.structs.replace(write, state=state, **facts)
    assert await store.outbox.settle(settled)
    return settled


async def due(store: Store, of: int, now: int = NOW, limit: int = 99) -> list[str]:
    """Return the keys of open writes."""
    return [each.key for each in await store.outbox.waiting(of, now=now, limit=limit)]


async def keys(store: Store, **asked: Any) -> list[str]:
    return [each.key for each in await store.outbox.recorded(**{"limit": 99, **asked})]


class TestPutting:
    async def test_keeps_writes_as_they_are_and_in_order(self, store: Store, of: int) -> None:
        full = PortalWrite(
            id=0,
            installation=of,
            method="telephony.externalcall.finish",
            params=b'{"CALL_ID":"$result[CALL_ID]"}',
            key="call:1:finish",
            after="call:1:register",
            at=NOW,
            due=NOW + 5,
            attempts=2,
            state=WriteState.DOUBTFUL,
            result=b"{}",
            cause="Who knows",
        )

        first, second = await put(store, full, write(of=of))

        assert first == msgspec.structs.replace(full, id=first.id)
        assert second == msgspec.structs.replace(write(of=of), id=second.id)
        assert second.id > first.id
        assert await store.outbox.by_id(first.id) == await store.outbox.by_key(of, "call:1:finish") == first
        assert await store.outbox.by_id(second.id) == second
        assert await store.outbox.by_id(99) is await store.outbox.by_id(1 << 80) is None

    async def test_takes_the_same_key_for_the_same_write(self, store: Store, of: int) -> None:
        other = (await connected(store, "other")).id
        (first,) = await put(store, write("k", of=of))

        again, elsewhere, twin, same = await put(
            store,
            write("k", of=of, params=b"[]"),
            write("k", of=other),
            write("new", of=of),
            write("new", of=of, params=b"[]"),
        )

        assert again == first
        assert elsewhere.installation == other
        assert same == twin
        done = await settle(store, first, WriteState.DONE, result=b"7")
        assert await put(store, write("k", of=of)) == [done]
        assert len(await store.outbox.recorded(limit=9)) == 3

    async def test_takes_one_key_at_once_once(self, store: Store, of: int) -> None:
        found = await asyncio.gather(*(put(store, write("k", of=of, at=NOW + n)) for n in range(5)))

        assert len({each.id for (each,) in found}) == 1

    async def test_takes_those_without_a_key_each_time(self, store: Store, of: int) -> None:
        first, second = await put(store, write(of=of), write(of=of))

        assert first.id != second.id
        assert await store.outbox.by_key(of, "") is None

    async def test_keeps_none_if_one_is_of_no_installation(self, store: Store, of: int) -> None:
        for nowhere in (99, 1 << 80):
            with pytest.raises(NotFound):
                await put(store, write("a", of=of), write("b", of=nowhere))
            with pytest.raises(NotFound):
                await store.outbox.replace(write("b", of=nowhere))

        assert await store.outbox.recorded(limit=9) == []


class TestReplacing:
    async def test_puts_another_in_the_place_of_one_that_waits(self, store: Store, of: int) -> None:
        first, _ = await put(store, write("k", of=of, due=NOW + 9), write("later", of=of))
        new = write("k", of=of, params=b'{"id":2}', after="before", at=NOW + 1)

        kept = await store.outbox.replace(new)

        assert kept == msgspec.structs.replace(new, id=first.id)
        assert await store.outbox.by_key(of, "k") == kept
        assert await due(store, of) == ["k", "later"]

    @pytest.mark.parametrize("state", [state for state in WriteState if state is not WriteState.WAITING])
    async def test_leaves_one_that_was_sent(self, store: Store, of: int, state: WriteState) -> None:
        (first,) = await put(store, write("k", of=of))
        sent = await settle(store, first, state)

        assert await store.outbox.replace(write("k", of=of, params=b"[]")) == sent
        assert await store.outbox.by_key(of, "k") == sent

    async def test_keeps_a_new_one_if_there_is_none(self, store: Store, of: int) -> None:
        keyed = await store.outbox.replace(write("k", of=of))
        bare = [await store.outbox.replace(write(of=of)) for _ in range(2)]

        assert await store.outbox.recorded(limit=9) == [*reversed(bare), keyed]


class TestWaiting:
    async def test_gives_waiting_and_sent_ones_that_are_due_in_their_order(self, store: Store, of: int) -> None:
        written = await put(store, *(write(key, of=of) for key in "abcdefg"))
        states = [*WriteState]
        for each, state in zip(written, states, strict=False):
            await settle(store, each, state)
        await settle(store, written[-1], WriteState.WAITING, due=NOW + 5)

        assert states[:2] == [WriteState.WAITING, WriteState.SENT]
        assert await due(store, of) == ["a", "b"]
        assert await due(store, of, limit=1) == ["a"]
        assert await due(store, of, NOW + 5) == ["a", "b", "g"]
        await settle(store, written[0], WriteState.SENT)
        await settle(store, written[1], WriteState.WAITING)
        assert await due(store, of) == ["a", "b"]
        assert await due(store, 99) == []

    async def test_says_when_there_is_more_to_do(self, store: Store, of: int) -> None:
        other = (await connected(store, "other")).id
        first, second, third = await put(
            store, write("a", of=of, due=NOW + 5), write("b", of=of, due=NOW + 3), write(of=other)
        )
        assert await store.outbox.next_due() == {of: NOW + 3, other: 0}

        await settle(store, second, WriteState.REFUSED)
        await settle(store, third, WriteState.DOUBTFUL)
        assert await store.outbox.next_due() == {of: NOW + 5}
        await settle(store, first, WriteState.SENT)
        assert await store.outbox.next_due() == {of: NOW + 5}


class TestSettling:
    async def test_writes_what_became_of_a_write_and_nothing_else(self, store: Store, of: int) -> None:
        (first,) = await put(store, write("k", of=of))
        fate = {"attempts": 3, "due": NOW + 7, "result": b'{"CALL_ID":"x"}', "cause": "It took three"}

        await settle(store, first, WriteState.DONE, params=b"[]", key="other", method="other", **fate)

        expected = msgspec.structs.replace(
            first, state=WriteState.DONE, attempts=3, due=NOW + 7, result=b'{"CALL_ID":"x"}', cause="It took three"
        )
        assert await store.outbox.by_key(of, "k") == await store.outbox.by_id(first.id) == expected

    async def test_instead_of_a_state_leaves_what_is_in_another(self, store: Store, of: int) -> None:
        (first,) = await put(store, write("k", of=of))
        sent = msgspec.structs.replace(first, state=WriteState.SENT, attempts=1)
        dropped = msgspec.structs.replace(first, state=WriteState.DROPPED, cause="Needless")

        done = await asyncio.gather(
            *(store.outbox.settle(each, instead_of=WriteState.WAITING) for each in (dropped, sent, dropped))
        )

        assert done == [True, False, False]
        assert await store.outbox.by_id(first.id) == dropped
        assert await store.outbox.settle(sent, instead_of=WriteState.DROPPED)
        assert await store.outbox.by_id(first.id) == sent

    async def test_brings_nothing_back(self, store: Store, of: int) -> None:
        (first,) = await put(store, write(of=of))
        await store.installations.delete(of)

        assert not await store.outbox.settle(first)

        assert await store.outbox.recorded(limit=9) == []


class TestRecorded:
    async def test_are_listed_newest_first_by_what_is_asked(self, store: Store, of: int) -> None:
        other = (await connected(store, "other")).id
        written = await put(store, *(write(key, of=of if key in "ace" else other) for key in "abcde"))
        for place in (0, 3, 4):
            await settle(store, written[place], WriteState.REFUSED)

        assert await keys(store) == ["e", "d", "c", "b", "a"]
        assert await keys(store, limit=2) == ["e", "d"]
        assert await keys(store, installation=of) == ["e", "c", "a"]
        assert await keys(store, installation=99) == []
        assert await keys(store, state=WriteState.REFUSED) == ["e", "d", "a"]
        assert await keys(store, installation=other, state=WriteState.WAITING) == ["b"]
        assert await keys(store, before=written[2].id) == ["b", "a"]
        assert await keys(store, before=written[4].id, state=WriteState.REFUSED, installation=of) == ["a"]
        assert await keys(store, before=1 << 80, limit=1) == ["e"]


class TestPruning:
    async def test_forgets_old_ones_that_wait_for_nothing_and_nobody(self, store: Store, of: int) -> None:
        written = await put(store, *(write(state.value, of=of, at=NOW) for state in WriteState))
        for each, state in zip(written, WriteState, strict=True):
            await settle(store, each, state)
        await put(store, write("young", of=of, at=NOW + 1, state=WriteState.DONE))

        assert await store.outbox.prune(NOW) == 0
        assert await store.outbox.prune(NOW + 1) == 3

        assert await keys(store) == ["young", "doubtful", "sent", "waiting"]
        assert await put(store, write("done", of=of)) != [written[3]]

    async def test_keeps_a_result_for_which_another_waits(self, store: Store, of: int) -> None:
        done = WriteState.DONE
        other = (await connected(store, "other")).id
        await put(store, *(write(key, of=of, state=done) for key in ("needed", "", "doubted", "used")))
        await put(store, write("needed", of=other, state=done))
        finish, doubtful, _ = await put(
            store,
            write("finish", of=of, after="needed"),
            write("doubtful", of=of, after="doubted", state=WriteState.DOUBTFUL),
            write("over", of=of, after="used", state=done),
        )

        assert await store.outbox.prune(NOW + 1) == 4
        assert sorted(await keys(store)) == ["doubted", "doubtful", "finish", "needed"]

        await settle(store, finish, done)
        await settle(store, doubtful, WriteState.DROPPED)
        assert await store.outbox.prune(NOW + 1) == 4
        assert await keys(store) == []

    async def test_takes_any_number_of_writes(self, store: Store, of: int) -> None:
        await put(store, *(write(str(number), of=of, at=NOW + number, state=WriteState.DONE) for number in range(450)))

        assert await store.outbox.prune(NOW + 449) == 449
        assert await keys(store) == ["449"]


KEYS = st.sampled_from(["", "a", "b", "c"])
OWNERS = st.integers(0, 1)
STATES = st.sampled_from(WriteState)
WRITES = st.tuples(OWNERS, KEYS, KEYS, st.integers(0, 4), STATES)
STEPS = st.one_of(
    st.tuples(st.just("put"), st.lists(WRITES, max_size=4)),
    st.tuples(st.just("replace"), WRITES),
    st.tuples(st.just("settle"), OWNERS, st.integers(0, 4), STATES),
    st.tuples(st.just("list"), OWNERS, st.sampled_from([None, *WriteState])),
    st.tuples(st.just("prune"), st.integers(0, 5)),
)


async def step(store: Store, owners: Sequence[int], made: tuple[Any, ...]) -> object:
    """Take one step, return what it answered."""
    outbox = store.outbox

    def some(owner: int, key: str, after: str, late: int, state: WriteState) -> PortalWrite:
        return write(key, of=owners[owner], after=after, at=NOW + late, due=NOW + late, state=state)

    match made:
        case ("put", list(many)):
            return nameless(await outbox.put([some(*each) for each in many]))
        case ("replace", one):
            return nameless([await outbox.replace(some(*one))])
        case ("settle", int(owner), int(late), WriteState() as state):
            found = await outbox.waiting(owners[owner], now=NOW + late, limit=2)
            for each in found:
                await outbox.settle(msgspec.structs.replace(each, state=state, attempts=each.attempts + 1))
            return nameless(found)
        case ("list", int(owner), state):
            found = await outbox.recorded(installation=owners[owner], state=state, limit=3)
            rest = await outbox.recorded(before=found[-1].id, limit=3) if found else []
            return nameless([*found, *rest])
        case ("prune", int(before)):
            return await outbox.prune(NOW + before)
    raise AssertionError(made)


def nameless(writes: Sequence[PortalWrite]) -> list[PortalWrite]:
    """Return writes without their ids and owners, which are the store's own."""
    return [msgspec.structs.replace(write, id=0, installation=0) for write in writes]


@settings(max_examples=examples(60), deadline=None)
@given(life=st.lists(STEPS, max_size=25))
def test_every_adapter_lives_the_same_life(both: Both, life: list[tuple[Any, ...]]) -> None:
    async def lived(store: Store) -> list[object]:
        app = (await some_app(store)).id
        owners = [(await store.installations.create(installation(name, app=app))).id for name in "ab"]
        answers: list[object] = []
        for made in life:
            answers.append(await step(store, owners, made))
            answers += nameless(await store.outbox.recorded(limit=99))
            soonest = await store.outbox.next_due()
            answers += [soonest.get(owner) for owner in owners]
        for owner in owners:
            await store.installations.delete(owner)
        return [*answers, await store.outbox.recorded(limit=9)]

    first, second = [both.loop.run_until_complete(lived(store)) for store in both.stores]

    assert first == second
