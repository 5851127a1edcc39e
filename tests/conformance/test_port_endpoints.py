from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from both_stores import Both
from fuzzing import examples
from storing import HOUR, NOW, Store, ToldClock
from wakeline.model.errors import NotFound
from wakeline.model.event import EventType
from wakeline.model.webhook import (
    Disabled,
    Endpoint,
    EndpointHealth,
    EndpointSecret,
    Message,
    MessagePage,
    MessageState,
    Shape,
)
from wakeline.ports.webhooks import Progress
from webhook_nouns import SECRET, endpoint, listening, message, told

pytestmark = pytest.mark.anyio

WAITING, TAKEN, GIVEN_UP = MessageState
NOWHERE = (99, 0, 1 << 80)


async def seqs(store: Store, of: Endpoint, **asked: Any) -> list[int]:
    return [each.seq for each in (await store.endpoints.log(of.id, **asked)).messages]


class TestEndpoints:
    async def test_are_kept_as_they_were_made_oldest_first(self, store: Store) -> None:
        full = endpoint(
            "results",
            events=(EventType.PUSH_FAILED, EventType.BRAKE_CLOSED),
            apps=("acme-chat", "other"),
            shape=Shape.MESIBO,
            disabled=Disabled.OPERATOR,
        )

        first = await store.endpoints.create(full, SECRET, cursor=7)
        second = await listening(store)

        assert first == msgspec.structs.replace(full, id=first.id)
        assert second.id > first.id
        assert store.endpoints.get(first.id) == first
        assert store.endpoints.all() == [first, second]
        assert all(store.endpoints.get(number) is None for number in NOWHERE)

    async def test_are_changed(self, store: Store) -> None:
        first, second = await listening(store), await listening(store)
        other = msgspec.structs.replace(first, url="https://other.example", disabled=Disabled.GONE, events=())

        await store.endpoints.change(other)

        assert store.endpoints.all() == [other, second]
        assert store.endpoints.health(first.id) == EndpointHealth()
        for nowhere in NOWHERE:
            with pytest.raises(NotFound):
                await store.endpoints.change(msgspec.structs.replace(first, id=nowhere))

    async def test_are_forgotten_with_their_log(self, store: Store) -> None:
        first, second = await listening(store, cursor=3), await listening(store, cursor=4)
        await told(store, first, message(first, 1), message(first, 2, WAITING))
        await told(store, second, message(second, 1))

        await store.endpoints.delete(first.id)

        assert store.endpoints.get(first.id) is None
        assert store.endpoints.all() == [second]
        assert store.endpoints.health(first.id) == EndpointHealth()
        assert await seqs(store, first) == []
        assert await store.endpoints.waiting(first.id, limit=9) == []
        assert await store.endpoints.message(first.id, 1) is None
        assert await seqs(store, second) == [1]
        for nowhere in (first.id, *NOWHERE):
            with pytest.raises(NotFound):
                await store.endpoints.delete(nowhere)
            with pytest.raises(NotFound):
                await store.endpoints.secrets(nowhere)

    async def test_never_get_the_id_of_one_that_was_forgotten(self, store: Store) -> None:
        first = await listening(store)
        await told(store, first, message(first, 1))
        await store.endpoints.delete(first.id)
        await store.endpoints.prune(0, 9)

        second = await listening(store)

        assert second.id > first.id
        assert await seqs(store, second) == []

    async def test_say_when_they_were_made_changed_rotated_and_forgotten(self, store: Store) -> None:
        heard: list[tuple[int, bool]] = []
        store.endpoints.listen(lambda number: heard.append((number, store.endpoints.get(number) is not None)))

        of = await listening(store)
        await store.endpoints.change(msgspec.structs.replace(of, name="other"))
        await store.endpoints.rotate(of.id, b"second", until=NOW)
        await told(store, of, message(of, 1))
        await store.endpoints.delete(of.id)

        assert heard == [(of.id, True), (of.id, True), (of.id, True), (of.id, False)]


class TestSecrets:
    async def test_are_told_to_who_signs(self, store: Store) -> None:
        first, second = await listening(store), await listening(store, secret=b"of the second")

        assert await store.endpoints.secrets(first.id) == (EndpointSecret(value=SECRET),)
        assert await store.endpoints.secrets(second.id) == (EndpointSecret(value=b"of the second"),)

    async def test_that_were_rotated_out_sign_as_long_as_was_said(self, store: Store) -> None:
        of = await listening(store)

        await store.endpoints.rotate(of.id, b"second", until=NOW + HOUR)
        await store.endpoints.rotate(of.id, b"third", until=NOW + 2 * HOUR)

        assert await store.endpoints.secrets(of.id) == (
            EndpointSecret(value=b"third"),
            EndpointSecret(value=b"second", until=NOW + 2 * HOUR),
            EndpointSecret(value=SECRET, until=NOW + HOUR),
        )

    async def test_that_leaked_stop_signing_at_once(self, store: Store) -> None:
        of = await listening(store)
        await store.endpoints.rotate(of.id, b"second", until=NOW + HOUR)

        await store.endpoints.rotate(of.id, b"third", until=NOW)

        assert await store.endpoints.secrets(of.id) == (EndpointSecret(value=b"third"),)

    async def test_are_forgotten_when_they_are_over(self, store: Store, clock: ToldClock) -> None:
        of = await listening(store)
        await store.endpoints.rotate(of.id, b"second", until=NOW + HOUR)
        clock.time += HOUR

        await store.endpoints.rotate(of.id, b"third", until=clock.time + HOUR)

        assert [each.value for each in await store.endpoints.secrets(of.id)] == [b"third", b"second"]

    async def test_are_few_and_none_is_there_twice(self, store: Store) -> None:
        of = await listening(store)

        for number in (*range(9), 7):
            await store.endpoints.rotate(of.id, b"%d" % number, until=NOW + HOUR)

        assert [each.value for each in await store.endpoints.secrets(of.id)] == [b"7", b"8", b"6", b"5", b"4"]

    async def test_of_an_unknown_endpoint_are_not_rotated(self, store: Store) -> None:
        for nowhere in NOWHERE:
            with pytest.raises(NotFound):
                await store.endpoints.rotate(nowhere, b"second", until=NOW)

    async def test_are_in_no_text_form(self, store: Store) -> None:
        of = await listening(store)

        assert SECRET.decode() not in repr(await store.endpoints.secrets(of.id))


class TestProgress:
    async def test_starts_behind_the_cursor_that_was_said(self, store: Store) -> None:
        of = await listening(store, cursor=42)

        assert store.endpoints.health(of.id) == EndpointHealth(cursor=42)

    async def test_of_several_endpoints_is_recorded_at_once(self, store: Store) -> None:
        first, second = await listening(store), await listening(store)
        ailing = EndpointHealth(
            cursor=9, failures=3, failing_since=NOW, retry_at=NOW + 5, status=503, detail="It is down", taken_at=NOW - 1
        )
        full = Message(
            endpoint=second.id,
            seq=5,
            type=EventType.TARGET_RETIRED,
            state=WAITING,
            app="acme-chat",
            lane="acme-chat/phone",
            tries=2,
            status=503,
            detail="It answered 503",
            duration=12,
            at=NOW + 1,
            first=NOW,
            due=NOW + 2,
        )

        await store.endpoints.record(
            [
                Progress(endpoint=first.id, health=EndpointHealth(cursor=7), messages=(message(first, 7),)),
                Progress(endpoint=second.id, health=ailing, messages=(full, message(second, 9))),
            ]
        )

        assert store.endpoints.health(first.id) == EndpointHealth(cursor=7)
        assert store.endpoints.health(second.id) == ailing
        assert await store.endpoints.message(first.id, 7) == message(first, 7)
        assert await store.endpoints.message(second.id, 5) == full
        assert await store.endpoints.message(second.id, 9) == message(second, 9)
        assert await store.endpoints.message(second.id, 7) is None
        assert await store.endpoints.message(second.id, 1 << 80) is None

    async def test_replaces_what_was_known_of_a_message(self, store: Store) -> None:
        of = await listening(store)
        await told(store, of, message(of, 1, WAITING, due=NOW))

        await told(store, of, message(of, 1, TAKEN, tries=2, status=204))
        await told(store, of, message(of, 1, GIVEN_UP, tries=3), message(of, 1, WAITING, tries=4, due=NOW))

        assert await store.endpoints.message(of.id, 1) == message(of, 1, WAITING, tries=4, due=NOW)
        assert await seqs(store, of) == await seqs(store, of, state=WAITING) == [1]
        assert await seqs(store, of, state=TAKEN) == await seqs(store, of, state=GIVEN_UP) == []

    async def test_of_what_was_forgotten_is_left_out(self, store: Store) -> None:
        first, second = await listening(store), await listening(store)
        both = [
            Progress(endpoint=each.id, health=EndpointHealth(cursor=7), messages=(message(each, 7),))
            for each in (first, second)
        ]

        await asyncio.gather(store.endpoints.delete(first.id), store.endpoints.record(both))
        await store.endpoints.record(both)
        await store.endpoints.record([])

        assert store.endpoints.health(first.id) == EndpointHealth()
        assert await store.endpoints.message(first.id, 7) is None
        assert store.endpoints.health(second.id).cursor == 7
        assert await seqs(store, second) == [7]


class TestWaiting:
    async def test_comes_by_its_due_time_and_then_by_its_place_in_the_journal(self, store: Store) -> None:
        of, other = await listening(store), await listening(store)
        due = {1: 5, 2: 3, 3: 3, 4: 9, -1: 3}
        await told(store, of, *(message(of, seq, WAITING, due=NOW + late) for seq, late in due.items()))
        await told(store, of, message(of, 5), message(of, 6, GIVEN_UP), message(of, 4, WAITING, due=NOW))
        await told(store, other, message(other, 1, WAITING, due=NOW))

        assert [each.seq for each in await store.endpoints.waiting(of.id, limit=99)] == [4, -1, 2, 3, 1]
        assert await store.endpoints.waiting(of.id, limit=1) == [message(of, 4, WAITING, due=NOW)]
        assert await store.endpoints.waiting(99, limit=9) == []

    async def test_is_counted_for_each_endpoint_that_has_any(self, store: Store) -> None:
        first, second, third = [await listening(store) for _ in range(3)]
        assert await store.endpoints.waiting_counts() == {}
        for of in (first, second):
            await told(store, of, *(message(of, seq, WAITING) for seq in range(of.id)), message(of, 9))
        await told(store, third, message(third, 1, GIVEN_UP))
        await told(store, second, message(second, 0, TAKEN))

        assert await store.endpoints.waiting_counts() == {first.id: first.id, second.id: second.id - 1}

        await store.endpoints.delete(first.id)
        assert await store.endpoints.waiting_counts() == {second.id: second.id - 1}


class TestLog:
    async def test_is_read_from_the_newest_event_page_by_page(self, store: Store) -> None:
        of, other = await listening(store), await listening(store)
        await told(store, of, *(message(of, seq) for seq in (3, 1, 4, 0, -2)))
        await told(store, other, message(other, 9))

        assert await seqs(store, of) == [4, 3, 1, 0, -2]
        first = await store.endpoints.log(of.id, limit=2)
        assert first == MessagePage(messages=(message(of, 4), message(of, 3)), cursor=3)
        assert await store.endpoints.log(of.id, limit=2, cursor=3) == MessagePage(
            messages=(message(of, 1), message(of, 0)), cursor=0
        )
        assert await store.endpoints.log(of.id, limit=1, cursor=0) == MessagePage(
            messages=(message(of, -2),), cursor=None
        )
        assert await store.endpoints.log(of.id, cursor=-2) == MessagePage(messages=(), cursor=None)
        assert await store.endpoints.log(99) == MessagePage(messages=(), cursor=None)

    async def test_is_read_by_state(self, store: Store) -> None:
        of = await listening(store)
        states = [TAKEN, WAITING, GIVEN_UP, TAKEN, WAITING]
        await told(store, of, *(message(of, seq, state) for seq, state in enumerate(states, 1)))

        assert await seqs(store, of, state=TAKEN) == [4, 1]
        assert await seqs(store, of, state=WAITING) == [5, 2]
        assert await seqs(store, of, state=GIVEN_UP) == [3]
        assert await seqs(store, of, state=WAITING, cursor=5) == [2]
        assert (await store.endpoints.log(of.id, state=TAKEN, limit=1)).cursor == 4

    async def test_takes_any_cursor(self, store: Store) -> None:
        of = await listening(store)
        await told(store, of, message(of, 1))

        assert await seqs(store, of, cursor=1 << 80) == await seqs(store, of, cursor=1 << 80, state=TAKEN) == [1]
        assert await seqs(store, of, cursor=-1 << 80) == []


class TestPruning:
    async def test_forgets_old_ones_that_do_not_wait(self, store: Store) -> None:
        of, other = await listening(store), await listening(store)
        await told(store, of, *(message(of, seq, state) for seq, state in enumerate(MessageState)))
        await told(store, of, message(of, 9, at=NOW + 1))
        await told(store, other, message(other, 3))

        assert await store.endpoints.prune(NOW, 99) == 0
        assert await store.endpoints.prune(NOW + 1, 99) == 3

        assert await seqs(store, of) == [9, 0]
        assert await seqs(store, other) == []

    async def test_forgets_some_at_a_time(self, store: Store) -> None:
        of = await listening(store)
        await told(store, of, *(message(of, seq) for seq in range(5)))

        assert [await store.endpoints.prune(NOW + 1, 2) for _ in range(4)] == [2, 2, 1, 0]
        assert await seqs(store, of) == []

    async def test_leaves_what_is_replayed_meanwhile(self, store: Store) -> None:
        of = await listening(store)
        await told(store, of, message(of, 1), message(of, 2))

        again = message(of, 1, WAITING, at=NOW + 9)
        await asyncio.gather(told(store, of, again), store.endpoints.prune(NOW + 1, 9))

        assert (await store.endpoints.log(of.id)).messages == (again,)

    async def test_keeps_the_newest_of_an_endpoint_that_has_too_many(self, store: Store) -> None:
        of, other = await listening(store), await listening(store)
        await told(store, of, message(of, -5), message(of, 1, WAITING), *(message(of, seq) for seq in range(2, 12)))
        await told(store, other, *(message(other, seq) for seq in range(1, 11)))
        assert await store.endpoints.trim(12, 99) == 0

        assert [await store.endpoints.trim(10, 2) for _ in range(3)] == [2, 1, 0]
        assert await seqs(store, of) == [11, 10, 9, 8, 7, 6, 5, 1, -5]
        assert await seqs(store, other) == list(range(10, 0, -1))

        await told(store, of, message(of, 12), message(of, 11))
        assert await store.endpoints.trim(10, 99) == 0
        await told(store, of, message(of, 13))
        assert await store.endpoints.trim(10, 99) == 2
        assert await seqs(store, of) == [13, 12, 11, 10, 9, 8, 7, 1, -5]

    async def test_what_a_disabled_endpoint_gave_up_stays_for_the_day_it_goes_on(self, store: Store) -> None:
        of, other = await listening(store), await listening(store)
        rows = ((1, TAKEN, NOW), (2, GIVEN_UP, NOW - 1), (3, GIVEN_UP, NOW))
        for one in (of, other):
            await told(store, one, *(message(one, seq, state, at=at) for seq, state, at in rows))
        await store.endpoints.record([Progress(endpoint=of.id, health=EndpointHealth(stopped=NOW))])

        assert await store.endpoints.trim(1, 99) == 3
        assert await store.endpoints.prune(NOW + 1, 99) == 2
        assert (await seqs(store, of), await seqs(store, other)) == ([3], [])

    async def test_of_an_endpoint_of_which_everything_waits_is_kept_whole(self, store: Store) -> None:
        of = await listening(store)
        await told(store, of, *(message(of, seq, WAITING) for seq in range(1, 9)))

        assert await store.endpoints.trim(2, 99) == 0
        assert len(await seqs(store, of)) == 8


OWNERS = st.integers(0, 1)
STATES = st.sampled_from(MessageState)
STEPS = st.one_of(
    st.tuples(st.just("told"), OWNERS, st.lists(st.tuples(st.integers(-1, 5), STATES, st.integers(0, 4)), max_size=4)),
    st.tuples(st.just("log"), OWNERS, st.sampled_from([None, *MessageState]), st.integers(-1, 6), st.integers(1, 3)),
    st.tuples(st.just("waiting"), OWNERS, st.integers(1, 4)),
    st.tuples(st.just("prune"), st.integers(0, 5)),
)


async def step(store: Store, owners: list[Endpoint], made: tuple[Any, ...]) -> object:
    """Take one step, return what it answered, under the places of the endpoints instead of their ids."""
    match made:
        case ("told", int(owner), list(many)):
            of = owners[owner]
            await told(store, of, *(message(of, seq, state, at=NOW + t, due=NOW + t) for seq, state, t in many))
            return nameless(await store.endpoints.waiting(of.id, limit=99))
        case ("log", int(owner), state, int(cursor), int(limit)):
            page = await store.endpoints.log(owners[owner].id, state=state, cursor=cursor, limit=limit)
            return nameless(page.messages), page.cursor
        case ("waiting", int(owner), int(limit)):
            return nameless(await store.endpoints.waiting(owners[owner].id, limit=limit))
        case ("prune", int(age)):
            return await store.endpoints.prune(NOW + age, 1000)
    raise AssertionError(made)


def nameless(messages: Any) -> list[Message]:
    return [msgspec.structs.replace(each, endpoint=0) for each in messages]


@settings(max_examples=examples(25), deadline=None)
@given(life=st.lists(STEPS, max_size=25))
def test_every_adapter_lives_the_same_life(both: Both, life: list[tuple[Any, ...]]) -> None:
    async def lived(store: Store) -> list[object]:
        owners = [await listening(store) for _ in range(2)]
        answers = [await step(store, owners, made) for made in life]
        for owner in owners:
            answers.append(nameless((await store.endpoints.log(owner.id)).messages))
            await store.endpoints.delete(owner.id)
        await store.endpoints.prune(0, 1000)
        return answers

    first, second = [both.loop.run_until_complete(lived(store)) for store in both.stores]

    assert first == second
