from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from both_stores import Both
from fuzzing import examples
from portal_nouns import handler, offline, some_application, term
from storing import NOW, Store
from wakeline.model.bitrix24.events import EventHandler, OfflineEvent
from wakeline.model.bitrix24.records import Condition, Operator, Order
from wakeline.model.errors import Conflict

pytestmark = pytest.mark.anyio


async def reserve(
    store: Store,
    process: str = "p",
    *,
    application: int = 1,
    connector: str = "",
    limit: int = 50,
    failed: bool = False,
    filters: tuple[Condition, ...] = (),
) -> list[OfflineEvent]:
    return await store.portal_events.reserve(
        application, connector, process, limit=limit, failed=failed, filters=filters
    )


async def waiting(
    store: Store, *filters: Condition, order: tuple[Order, ...] = (), start: int = 0, limit: int = 50
) -> tuple[list[str], int]:
    events, total = await store.portal_events.waiting(1, "", filters=filters, order=order, start=start, limit=limit)
    return [event.message for event in events], total


async def queue(store: Store, *events: OfflineEvent) -> None:
    await some_application(store)
    await store.portal_events.queue(events)


class TestHandlers:
    async def test_are_listed_oldest_first(self, store: Store) -> None:
        one, other = await some_application(store), await some_application(store, "local.b")
        first = await store.portal_events.bind(handler(one.id))
        second = await store.portal_events.bind(handler(other.id))
        third = await store.portal_events.bind(handler(one.id, "ONAPPTEST"))

        assert first == msgspec.structs.replace(handler(one.id), id=first.id)
        assert store.portal_events.handlers() == [first, second, third]
        assert store.portal_events.handlers(application=one.id) == [first, third]
        assert store.portal_events.handlers(event="ONCRMDEALADD") == [first, second]
        assert store.portal_events.handlers(application=other.id, event="ONAPPTEST") == []

    async def test_are_bound_once(self, store: Store) -> None:
        owner = await some_application(store)
        again: EventHandler = handler(owner.id)
        first = await store.portal_events.bind(again)
        others = [
            msgspec.structs.replace(again, handler="https://acme.example/other"),
            msgspec.structs.replace(again, user=7),
            msgspec.structs.replace(again, handler="", offline=True),
            msgspec.structs.replace(again, handler="", offline=True, connector="erp"),
        ]

        kept = [await store.portal_events.bind(each) for each in others]

        with pytest.raises(Conflict):
            await store.portal_events.bind(msgspec.structs.replace(again, pause=9.0))
        assert store.portal_events.handlers() == [first, *kept]

    async def test_bound_at_once_are_one(self, store: Store) -> None:
        owner = await some_application(store)

        done = await asyncio.gather(
            *(store.portal_events.bind(handler(owner.id)) for _ in range(3)), return_exceptions=True
        )

        assert sum(isinstance(each, Conflict) for each in done) == 2
        assert len(store.portal_events.handlers()) == 1

    async def test_are_unbound_by_what_is_named(self, store: Store) -> None:
        owner = await some_application(store)
        anybody = await store.portal_events.bind(handler(owner.id))
        anna = await store.portal_events.bind(msgspec.structs.replace(handler(owner.id), user=7))
        elsewhere = await store.portal_events.bind(handler(owner.id, url="https://acme.example/other"))
        queued = await store.portal_events.bind(msgspec.structs.replace(handler(owner.id), handler="", offline=True))
        unbind = store.portal_events.unbind

        assert await unbind(owner.id, "ONAPPTEST", handler=None, user=None, offline=False) == 0
        assert await unbind(99, "ONCRMDEALADD", handler=None, user=None, offline=False) == 0
        assert await unbind(owner.id, "ONCRMDEALADD", handler=anna.handler, user=7, offline=False) == 1
        assert store.portal_events.handlers() == [anybody, elsewhere, queued]
        assert await unbind(owner.id, "ONCRMDEALADD", handler=None, user=None, offline=True) == 1
        assert store.portal_events.handlers() == [anybody, elsewhere]
        assert await unbind(owner.id, "ONCRMDEALADD", handler=None, user=None, offline=False) == 2
        assert store.portal_events.handlers() == []

        assert (await store.portal_events.bind(handler(owner.id))).id > queued.id

    async def test_of_one_connector_are_unbound_apart(self, store: Store) -> None:
        owner = await some_application(store)
        offline = msgspec.structs.replace(handler(owner.id), handler="", offline=True)
        crm, pbx = [
            await store.portal_events.bind(msgspec.structs.replace(offline, connector=name)) for name in ("crm", "pbx")
        ]
        unbind = store.portal_events.unbind
        assert await unbind(owner.id, crm.event, handler=None, user=None, offline=True, connector="") == 0
        assert await unbind(owner.id, crm.event, handler=None, user=None, offline=True, connector="crm") == 1
        assert store.portal_events.handlers() == [pbx]


class TestQueue:
    async def test_gives_events_oldest_first(self, store: Store) -> None:
        await queue(store, offline(1, "late", at=NOW + 2), offline(1, "early", at=NOW), offline(1, "mid", at=NOW + 1))

        found = await reserve(store, limit=2)

        assert [event.message for event in found] == ["early", "mid"]
        assert found[0] == msgspec.structs.replace(offline(1, "early"), id=found[0].id, process="p")

    async def test_keeps_what_waits_already_once_with_the_new_time(self, store: Store) -> None:
        await queue(store, offline(1, "a", at=NOW), offline(1, "b", at=NOW + 1))
        await queue(store, offline(1, "a", at=NOW + 2), offline(1, "a", at=NOW + 3))

        found = await reserve(store)

        assert [(event.message, event.at) for event in found] == [("b", NOW + 1), ("a", NOW + 3)]

    async def test_keeps_applications_and_connectors_apart(self, store: Store) -> None:
        other = await some_application(store, "local.b", app=1)
        owner = await some_application(store)
        await store.portal_events.queue(
            [offline(owner.id), offline(owner.id, connector="erp"), offline(other.id), offline(owner.id)]
        )

        assert len(await reserve(store, application=owner.id)) == 1
        assert len(await reserve(store, application=owner.id, connector="erp")) == 1
        assert len(await reserve(store, application=other.id)) == 1
        assert await reserve(store, application=other.id, connector="erp") == []

    async def test_takes_a_repeated_change_anew_once_the_former_is_reserved(self, store: Store) -> None:
        await queue(store, offline(1))
        (first,) = await reserve(store, "p1")

        await queue(store, offline(1, at=NOW + 1))

        (second,) = await reserve(store, "p2")
        assert (second.id == first.id, second.at) == (False, NOW + 1)
        assert await store.portal_events.reserved(1, "p1") == [first]

    async def test_takes_any_number_of_events(self, store: Store) -> None:
        await queue(store, *(offline(1, f"m{number}", at=NOW + number) for number in range(601)))

        found = await reserve(store, limit=1000)

        assert [event.message for event in found] == [f"m{number}" for number in range(601)]


class TestReserving:
    async def test_gives_no_event_to_two_readers(self, store: Store) -> None:
        await queue(store, *(offline(1, f"m{number:02}", at=NOW + number) for number in range(50)))

        found = await asyncio.gather(*(reserve(store, f"p{number}", limit=20) for number in range(4)))

        messages = [event.message for each in found for event in each]
        assert sorted(messages) == [f"m{number:02}" for number in range(50)]
        assert sorted(len(each) for each in found) == [0, 10, 20, 20]
        assert await reserve(store, "late") == []
        for number, each in enumerate(found):
            assert await store.portal_events.reserved(1, f"p{number}") == each

    async def test_is_by_what_the_reader_asks_for(self, store: Store) -> None:
        await queue(
            store,
            offline(1, "a", at=NOW),
            offline(1, "b", at=NOW + 61_000, event="ONCRMLEADADD"),
            offline(1, "c", at=NOW + 62_000),
        )
        everything, _ = await store.portal_events.waiting(1, "", filters=(), order=(), start=0, limit=9)
        at = term("TIMESTAMP_X", Operator.MORE, "2026-09-21T17:14:00+03:00")  # NOW is 14:13:20Z

        async def asked(process: str, *filters: Condition) -> list[str]:
            return [event.message for event in await reserve(store, process, filters=filters)]

        assert await asked("p1", term("EVENT_NAME", Operator.EQUAL, "oncrmleadadd"), at) == ["b"]
        assert await asked("p2", term("ID", Operator.LEAST, str(everything[2].id))) == ["c"]
        assert await asked("p3", term("MESSAGE_ID", Operator.IN, "x", "a"), at) == []
        assert await asked("p4", term("MESSAGE_ID", Operator.IN, "x", "a")) == ["a"]

    async def test_of_a_long_queue_finds_the_rare_one(self, store: Store) -> None:
        events = [offline(1, f"m{number}", at=NOW + number) for number in range(700)]
        await queue(store, *events, offline(1, "rare", at=NOW + 9000, event="ONTASKADD"))

        (found,) = await reserve(store, filters=(term("EVENT_NAME", Operator.EQUAL, "ONTASKADD"),), limit=3)

        assert found.message == "rare"

    async def test_is_forgotten_when_it_is_cleared(self, store: Store) -> None:
        await queue(store, *(offline(1, message, at=NOW + n) for n, message in enumerate("abcdef")))
        by_message = {event.message: event for event in await reserve(store, limit=5)}
        clear = store.portal_events.clear

        assert await clear(1, "other") == 0
        assert await clear(2, "p") == 0
        assert await clear(1, "p", messages=["a", "f", "x"]) == 1
        assert await clear(1, "p", ids=[by_message["b"].id, 999]) == 1
        assert await clear(1, "p", messages=[], ids=[]) == 0
        assert await clear(1, "p", messages=["c"], ids=[by_message["d"].id]) == 2
        assert [event.message for event in await store.portal_events.reserved(1, "p")] == ["e"]
        assert await clear(1, "p") == 1
        assert await store.portal_events.reserved(1, "p") == []
        assert await waiting(store) == (["f"], 1)

    async def test_by_nobody_clears_nothing(self, store: Store) -> None:
        await queue(store, offline(1))

        assert await store.portal_events.clear(1, "") == 0
        assert await store.portal_events.reserved(1, "") == []
        assert await store.portal_events.fail(1, "", ["m1"]) == 0


class TestFailing:
    async def test_gives_events_back_to_who_asks_for_failed_ones(self, store: Store) -> None:
        await queue(store, offline(1, "a"), offline(1, "b", at=NOW + 1))
        await reserve(store, "p1")

        assert await store.portal_events.fail(1, "p2", ["a"]) == 0
        assert await store.portal_events.fail(1, "p1", ["a", "x"]) == 1

        assert [event.message for event in await store.portal_events.reserved(1, "p1")] == ["b"]
        assert await reserve(store, "p2") == []
        (found,) = await reserve(store, "p2", failed=True)
        assert (found.message, found.failed, found.process) == ("a", True, "p2")

    async def test_ends_when_the_thing_changes_again(self, store: Store) -> None:
        await queue(store, offline(1, "a"))
        await reserve(store)
        await store.portal_events.fail(1, "p", ["a"])

        await queue(store, offline(1, "a", at=NOW + 5))

        assert await reserve(store, failed=True) == []
        assert [event.at for event in await reserve(store)] == [NOW + 5]

    async def test_of_one_that_waits_anew_leaves_only_that(self, store: Store) -> None:
        await queue(store, offline(1, "a"))
        await reserve(store)
        await queue(store, offline(1, "a", at=NOW + 5))

        assert await store.portal_events.fail(1, "p", ["a"]) == 1

        assert await store.portal_events.reserved(1, "p") == []
        assert await reserve(store, failed=True) == []
        assert [event.at for event in await reserve(store)] == [NOW + 5]


class TestListing:
    async def test_shows_reserved_ones_too_and_changes_nothing(self, store: Store) -> None:
        await queue(store, *(offline(1, message, at=NOW + 1000 * n) for n, message in enumerate("abc")))
        await reserve(store, limit=1)

        assert await waiting(store) == (["a", "b", "c"], 3)
        assert await waiting(store) == (["a", "b", "c"], 3)
        assert await waiting(store, term("PROCESS_ID", Operator.EQUAL, "p")) == (["a"], 1)
        assert await waiting(store, term("PROCESS_ID", Operator.EQUAL, "")) == (["b", "c"], 2)

    async def test_pages_sorts_and_filters(self, store: Store) -> None:
        await queue(store, *(offline(1, message, at=NOW + 1000 * n) for n, message in enumerate("dbcae")))
        await reserve(store, limit=1)
        await store.portal_events.fail(1, "p", ["d"])

        by_message = (Order("MESSAGE_ID", descending=True),)
        assert await waiting(store, start=1, limit=2) == (["b", "c"], 5)
        assert await waiting(store, start=9) == ([], 5)
        assert await waiting(store, order=by_message, start=1, limit=2) == (["d", "c"], 5)
        assert await waiting(store, order=(Order("TIMESTAMP_X", descending=True),), limit=1) == (["e"], 5)
        assert await waiting(store, term("ERROR", Operator.EQUAL, "1")) == (["d"], 1)
        assert await waiting(store, term("MESSAGE_ID", Operator.NOT_IN, "a", "b"), order=by_message) == (
            ["e", "d", "c"],
            3,
        )

    async def test_of_another_connector_is_another_list(self, store: Store) -> None:
        await queue(store, offline(1, "a"), offline(1, "b", connector="erp"))

        found, total = await store.portal_events.waiting(1, "erp", filters=(), order=(), start=0, limit=9)

        assert ([event.message for event in found], total) == (["b"], 1)


async def test_what_is_older_is_pruned_reserved_or_not(store: Store) -> None:
    await queue(store, *(offline(1, f"m{number}", at=NOW + number) for number in range(500)))
    await reserve(store, limit=3)

    assert await store.portal_events.prune_events(NOW + 498) == 498

    assert await waiting(store) == (["m498", "m499"], 2)
    assert await store.portal_events.reserved(1, "p") == []
    assert await store.portal_events.prune_events(NOW + 498) == 0


MESSAGES = st.sampled_from(["a", "b", "c"])
PROCESSES = st.sampled_from(["p1", "p2", ""])
STEPS = st.one_of(
    st.tuples(st.just("queue"), st.lists(st.tuples(MESSAGES, st.integers(0, 5)), max_size=4)),
    st.tuples(st.just("reserve"), st.sampled_from(["p1", "p2"]), st.integers(0, 3), st.booleans()),
    st.tuples(st.just("clear"), PROCESSES, st.one_of(st.none(), st.lists(MESSAGES, max_size=2))),
    st.tuples(st.just("fail"), PROCESSES, st.lists(MESSAGES, max_size=2)),
    st.tuples(st.just("prune"), st.integers(0, 3)),
)


async def step(store: Store, owner: int, made: tuple[Any, ...]) -> object:
    """Take one step, return what it answered."""
    events = store.portal_events
    match made:
        case ("queue", list(some)):
            await events.queue([offline(owner, message, at=NOW + at) for message, at in some])
            return None
        case ("reserve", str(process), int(limit), bool(failed)):
            return nameless(await reserve(store, process, application=owner, limit=limit, failed=failed))
        case ("clear", str(process), messages):
            return await events.clear(owner, process, messages=messages)
        case ("fail", str(process), list(messages)):
            return await events.fail(owner, process, messages)
        case ("prune", int(before)):
            return await events.prune_events(NOW + before)
    raise AssertionError(made)


def nameless(events: Sequence[OfflineEvent]) -> list[OfflineEvent]:
    """Return events without their ids, which are the store's own."""
    return [msgspec.structs.replace(event, id=0) for event in events]


@settings(max_examples=examples(60), deadline=None)
@given(life=st.lists(STEPS, max_size=25))
def test_every_adapter_lives_the_same_life(both: Both, life: list[tuple[Any, ...]]) -> None:
    async def lived(store: Store) -> list[object]:
        owner = (await some_application(store)).id
        answers: list[object] = []
        for made in life:
            page, total = await store.portal_events.waiting(owner, "", filters=(), order=(), start=0, limit=99)
            answers += [await step(store, owner, made), nameless(page), total]
        await store.portal_access.delete_application(owner)
        return answers

    first, second = [both.loop.run_until_complete(lived(store)) for store in both.stores]

    assert first == second
