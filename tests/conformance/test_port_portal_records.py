from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from both_stores import Both
from fuzzing import examples
from portal_nouns import deal, record, term
from storing import Store
from wakeline.model.bitrix24.records import Condition, Fields, Operator, Order, Record, RecordKind, RecordPage

pytestmark = pytest.mark.anyio


async def find(
    store: Store,
    *filters: Condition,
    order: Sequence[Order] = (),
    start: int = 0,
    limit: int = 50,
    count: bool = True,
    kind: RecordKind = RecordKind.DEAL,
) -> RecordPage:
    return await store.portal_records.find(kind, filters=filters, order=order, start=start, limit=limit, count=count)


async def ids(
    store: Store, *filters: Condition, order: Sequence[Order] = (), start: int = 0, limit: int = 50
) -> list[int]:
    page = await find(store, *filters, order=order, start=start, limit=limit)
    return [each.id for each in page.records]


def mixed(count: int) -> list[int]:
    """Return 1 to `count`, not in order."""
    return sorted(range(1, count + 1), key=lambda number: number * 7919 % 5003)


def by(field: str, *, descending: bool = False) -> tuple[Order, ...]:
    return (Order(field, descending=descending),)


class TestRecords:
    async def test_are_made_replaced_and_forgotten(self, store: Store) -> None:
        first = deal(1, TITLE="One", UF_CRM_1=None, PHONE=[{"VALUE": "+7", "VALUE_TYPE": "WORK"}], OPPORTUNITY="10.00")
        lead = record(RecordKind.LEAD, 1, {"TITLE": "A lead"})
        await store.portal_records.put([first, deal(2), lead])
        await store.portal_records.put([deal(2, TITLE="Two")])

        assert await store.portal_records.get(RecordKind.DEAL, 1) == first
        assert await store.portal_records.get(RecordKind.DEAL, 2) == deal(2, TITLE="Two")
        assert await store.portal_records.get(RecordKind.LEAD, 1) == lead
        assert await store.portal_records.get(RecordKind.TASK, 1) is None
        assert await store.portal_records.get(RecordKind.DEAL, 10**30) is None

        assert await store.portal_records.delete(RecordKind.DEAL, [1, 3, 1]) == 1

        assert await store.portal_records.get(RecordKind.DEAL, 1) is None
        assert await store.portal_records.get(RecordKind.LEAD, 1) == lead
        assert await find(store) == RecordPage((deal(2, TITLE="Two"),), 1)

    async def test_keep_the_last_of_two_that_are_given_at_once(self, store: Store) -> None:
        await store.portal_records.put([deal(1, TITLE="a"), deal(1, TITLE="b")])

        assert await store.portal_records.get(RecordKind.DEAL, 1) == deal(1, TITLE="b")

    async def test_are_kept_and_forgotten_however_many_they_are(self, store: Store) -> None:
        await store.portal_records.put([deal(number) for number in range(1, 452)])

        assert (await find(store, limit=1)).total == 451
        assert await store.portal_records.delete(RecordKind.DEAL, range(2, 500)) == 450


def contact(number: int, *phones: str) -> Record:
    fields: Fields = {"NAME": "Ann", "PHONE": [{"VALUE": phone, "VALUE_TYPE": "WORK"} for phone in phones]}
    return Record(kind=RecordKind.CONTACT, id=number, fields=fields)


class TestPhones:
    async def test_find_the_first_record_however_the_number_is_written(self, store: Store) -> None:
        named = [contact(number, "+49 (30) 12-3") for number in (9, 4)]
        await store.portal_records.put(
            [*named, Record(kind=RecordKind.LEAD, id=2, fields={"PHONE": "4930123"}), deal(1, PHONE="")]
        )
        for number in ("+4930123", "0049 30 123", "4930123"):
            found = await store.portal_records.by_phone(RecordKind.CONTACT, number)
            assert found == named[1]
        assert await store.portal_records.by_phone(RecordKind.CONTACT, "30123") is None
        assert await store.portal_records.by_phone(RecordKind.DEAL, "") is None

    async def test_follow_what_becomes_of_their_records(self, store: Store) -> None:
        async def owner(phone: str) -> int | None:
            found = await store.portal_records.by_phone(RecordKind.CONTACT, phone)
            return None if found is None else found.id

        first = contact(1, "1", "2")
        await store.portal_records.put([first, contact(1, "2", "+2")])
        assert (await owner("1"), await owner("2")) == (None, 1)
        await store.portal_records.put([contact(1)])
        assert await owner("2") is None
        await store.portal_records.put([first])
        await store.portal_records.delete(RecordKind.CONTACT, [1])
        assert await owner("1") is None


class TestPages:
    @pytest.fixture(autouse=True)
    async def deals(self, store: Store) -> None:
        numbers = mixed(323)
        await store.portal_records.put([deal(number, TITLE=f"Deal {number:03}") for number in numbers])
        await store.portal_records.put([record(RecordKind.LEAD, number, {}) for number in range(500, 510)])

    async def test_come_by_id_without_an_order(self, store: Store) -> None:
        page = await find(store)

        assert [each.id for each in page.records] == list(range(1, 51))
        assert page.total == 323
        assert page.records[6] == deal(7, TITLE="Deal 007")

    async def test_begin_and_end_where_they_are_asked_to(self, store: Store) -> None:
        assert await ids(store, start=300) == list(range(301, 324))
        assert await ids(store, start=323) == []
        assert await ids(store, start=10**30) == []
        assert await ids(store, limit=2, start=1) == [2, 3]
        assert await ids(store, limit=0) == []
        assert await ids(store, order=by("TITLE"), start=321) == [322, 323]
        assert await ids(store, order=by("TITLE"), start=400) == []

    async def test_are_counted_if_asked(self, store: Store) -> None:
        above = term("ID", Operator.MORE, "300")
        named = term("TITLE", Operator.PATTERN, "deal 1%")

        assert (await find(store, above)).total == 23
        assert (await find(store, above, count=False)).total == 0
        assert (await find(store, named, limit=1)).total == 100
        assert (await find(store, named, limit=1, count=False)).total == 0
        assert (await find(store, named, limit=1, order=by("TITLE"))).total == 100

    async def test_of_a_walk_by_id_are_each_record_once(self, store: Store) -> None:
        seen: list[int] = []
        while some := await ids(store, term("ID", Operator.MORE, str(seen[-1] if seen else 0)), order=by("ID")):
            seen += some

        assert seen == list(range(1, 324))

    async def test_may_come_by_falling_id(self, store: Store) -> None:
        falling = by("ID", descending=True)
        odd = term("TITLE", Operator.LIKE, "5")

        assert await ids(store, order=falling, limit=3) == [323, 322, 321]
        assert await ids(store, order=falling, start=320) == [3, 2, 1]
        assert await ids(store, odd, order=falling, limit=3) == [315, 305, 295]
        assert await ids(store, odd, term("ID", Operator.LESS, "300"), order=by("id", descending=True), limit=2) == [
            295,
            285,
        ]

    async def test_are_of_one_kind(self, store: Store) -> None:
        page = await find(store, kind=RecordKind.LEAD)

        assert ([each.id for each in page.records], page.total) == (list(range(500, 510)), 10)
        assert await find(store, kind=RecordKind.TASK) == RecordPage((), 0)


ANSWERS = [
    (term("OPPORTUNITY", Operator.EQUAL, "9"), [1]),
    (term("OPPORTUNITY", Operator.EQUAL, "100.0"), [2, 5]),
    (term("OPPORTUNITY", Operator.NOT, "100"), [1, 3, 4]),
    (term("OPPORTUNITY", Operator.MORE, "10"), [2, 3, 5]),
    (term("OPPORTUNITY", Operator.LEAST, "10.5"), [2, 3, 5]),
    (term("OPPORTUNITY", Operator.LESS, "10.5"), [1, 4]),
    (term("OPPORTUNITY", Operator.MOST, "10.5"), [1, 3, 4]),
    (term("OPPORTUNITY", Operator.EQUAL, ""), [4]),
    (term("MISSING", Operator.EQUAL, ""), [1, 2, 3, 4, 5]),
    (term("MISSING", Operator.NOT, ""), []),
    (term("STAGE_ID", Operator.EQUAL, "Won"), [2, 3]),
    (term("STAGE_ID", Operator.EQUAL, "c1:НОВАЯ"), [4]),
    (term("STAGE_ID", Operator.EQUAL, "100"), []),
    (term("STAGE_ID", Operator.IN, "new", "WON"), [1, 2, 3]),
    (term("STAGE_ID", Operator.NOT_IN, "new", "WON"), [4, 5]),
    (term("STAGE_ID", Operator.IN), []),
    (term("STAGE_ID", Operator.NOT_IN), [1, 2, 3, 4, 5]),
    (term("OPPORTUNITY", Operator.IN, "9.0", "100"), [1, 2, 5]),
    (term("STAGE_ID", Operator.LIKE, "ов"), [4]),
    (term("STAGE_ID", Operator.LIKE, "W"), [1, 2, 3]),
    (term("STAGE_ID", Operator.NOT_LIKE, "W"), [4, 5]),
    (term("STAGE_ID", Operator.LIKE, "%"), []),
    (term("STAGE_ID", Operator.PATTERN, "%w"), [1]),
    (term("STAGE_ID", Operator.PATTERN, "w%"), [2, 3]),
    (term("STAGE_ID", Operator.PATTERN, "won"), [2, 3]),
    (term("STAGE_ID", Operator.PATTERN, "w%n%n"), []),
    (term("STAGE_ID", Operator.PATTERN, "c%:%я"), [4]),
    (term("STAGE_ID", Operator.PATTERN, "%"), [1, 2, 3, 4, 5]),
    (term("STAGE_ID", Operator.NOT_PATTERN, "w%"), [1, 4, 5]),
    (term("PHONE", Operator.EQUAL, "+72"), [5]),
    (term("PHONE", Operator.EQUAL, "+71"), [1, 5]),
    (term("PHONE", Operator.NOT, "+71"), [2, 3, 4]),
    (term("PHONE", Operator.EQUAL, ""), [2, 3, 4]),
    (term("ACTIVE", Operator.EQUAL, "y"), [2]),
    (term("ACTIVE", Operator.EQUAL, "N"), [4]),
    (term("DATE", Operator.LESS, "2026-03-01T13:00:00+03:00"), [1, 4]),
    (term("DATE", Operator.EQUAL, "2026-03-01T05:00:00-0500"), [2]),
    (term("DATE", Operator.LEAST, "2026-03-01T10:00:00Z"), [2, 3, 5]),
    (term("DATE", Operator.MORE, "2026-03-01"), [1, 2, 3, 5]),
    (term("ID", Operator.EQUAL, "3"), [3]),
    (term("id", Operator.EQUAL, "3.0"), [3]),
    (term("ID", Operator.EQUAL, "3.5"), []),
    (term("ID", Operator.NOT, "3"), [1, 2, 4, 5]),
    (term("ID", Operator.MORE, "2.5"), [3, 4, 5]),
    (term("ID", Operator.LEAST, "2.5"), [3, 4, 5]),
    (term("ID", Operator.LESS, "2.5"), [1, 2]),
    (term("ID", Operator.MOST, "2.5"), [1, 2]),
    (term("ID", Operator.MORE, "9" * 40), []),
    (term("ID", Operator.LESS, "9" * 40), [1, 2, 3, 4, 5]),
    (term("ID", Operator.LESS, "-" + "9" * 40), []),
    (term("ID", Operator.MORE, ""), [1, 2, 3, 4, 5]),
    (term("ID", Operator.MORE, "abc"), []),
    (term("ID", Operator.IN, "5", "2", "2", "99", "2.5"), [2, 5]),
    (term("ID", Operator.IN, "5", "x"), [5]),
    (term("ID", Operator.IN), []),
    (term("ID", Operator.NOT_IN, "5", "2"), [1, 3, 4]),
    (term("ID", Operator.LIKE, "4"), [4]),
]
"""Terms, and which of the deals of `TestFilters` meet them."""


class TestFilters:
    @pytest.fixture(autouse=True)
    async def deals(self, store: Store) -> None:
        await store.portal_records.put(
            [
                deal(1, OPPORTUNITY="9.00", STAGE_ID="NEW", DATE="2026-03-01T12:00:00+03:00", PHONE=[{"VALUE": "+71"}]),
                deal(2, OPPORTUNITY="100", STAGE_ID="WON", DATE="2026-03-01T10:00:00+00:00", ACTIVE=True),
                deal(3, OPPORTUNITY="10.50", STAGE_ID="won", DATE="2026-03-01T11:00:00Z", PHONE=[]),
                deal(4, OPPORTUNITY=None, STAGE_ID="C1:Новая", DATE="", ACTIVE=False),
                deal(5, OPPORTUNITY=100, STAGE_ID="1e2", DATE="soon", PHONE=[{"VALUE": "+71"}, {"VALUE": "+72"}]),
            ]
        )

    async def test_say_what_is_found(self, store: Store) -> None:
        answers = [(asked, await ids(store, asked)) for asked, _ in ANSWERS]

        assert answers == ANSWERS

    async def test_hold_all_together(self, store: Store) -> None:
        won = term("STAGE_ID", Operator.EQUAL, "won")

        assert await ids(store, won, term("OPPORTUNITY", Operator.MORE, "50")) == [2]
        assert await ids(store, term("ID", Operator.MORE, "2"), term("ID", Operator.MOST, "4"), won) == [3]
        assert await ids(store, term("ID", Operator.IN, "1", "2"), term("ID", Operator.IN, "2", "3")) == [2]
        assert await ids(store, term("ID", Operator.IN, "1", "3", "5"), term("ID", Operator.LESS, "4")) == [1, 3]


class TestOrders:
    @pytest.fixture(autouse=True)
    async def deals(self, store: Store) -> None:
        values: list[object] = [
            "b",
            "10",
            "9",
            None,
            "A",
            "2026-01-01T00:00:00Z",
            "2026-01-01T01:00:00+02:00",
            "ab",
            "9.0",
        ]
        await store.portal_records.put(
            [deal(number, V=value, EVEN="NY"[number % 2 == 0]) for number, value in enumerate(values, 1)]
        )

    async def test_put_empty_numbers_times_and_texts_after_each_other(self, store: Store) -> None:
        assert await ids(store, order=by("V")) == [4, 3, 9, 2, 7, 6, 5, 8, 1]

    async def test_may_fall_and_equal_ones_still_come_by_id(self, store: Store) -> None:
        assert await ids(store, order=by("V", descending=True)) == [1, 8, 5, 6, 7, 2, 3, 9, 4]

    async def test_have_several_keys(self, store: Store) -> None:
        assert await ids(store, order=(*by("EVEN", descending=True), *by("V"))) == [4, 2, 6, 8, 3, 9, 7, 5, 1]
        assert await ids(store, order=(*by("EVEN"), *by("ID", descending=True))) == [9, 7, 5, 3, 1, 8, 6, 4, 2]

    async def test_of_many_records_are_kept_over_all_of_them(self, store: Store) -> None:
        await store.portal_records.put([record(RecordKind.TASK, number, {"V": str(-number)}) for number in mixed(5000)])

        page = await find(store, kind=RecordKind.TASK, order=by("V"), limit=3)
        assert ([each.id for each in page.records], page.total) == ([5000, 4999, 4998], 5000)
        page = await find(store, kind=RecordKind.TASK, order=by("V"), limit=3, start=4998)
        assert [each.id for each in page.records] == [2, 1]


VALUES = st.one_of(
    st.sampled_from(["", "1", "01", "1.0", "2", "-3", "10", "a", "A", "b%", "straße", "STRASSE", "2026-01-01"]),
    st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-01T02:00:00+02:00", "2026-13-01T00:00:00Z", "1e1"]),
    st.integers(-30, 30).map(str),
)
FIELDS = st.dictionaries(
    st.sampled_from(["A", "B", "ID"]),
    st.one_of(
        VALUES,
        st.none(),
        st.booleans(),
        st.integers(-9, 9),
        st.lists(VALUES, max_size=2),
        st.lists(VALUES.map(lambda value: {"VALUE": value}), max_size=2),
    ),
)
FIELD = st.sampled_from(["A", "B", "ID", "id", "C"])
CONDITIONS = st.builds(Condition, FIELD, st.sampled_from(Operator), st.lists(VALUES, max_size=3).map(tuple))
ORDERS = st.lists(st.builds(Order, FIELD, st.booleans()), max_size=2)


@settings(max_examples=examples(150), deadline=None)
@given(
    rows=st.dictionaries(st.integers(-2, 30), FIELDS, max_size=8),
    filters=st.lists(CONDITIONS, max_size=3),
    order=ORDERS,
    start=st.integers(0, 5),
    limit=st.integers(0, 5),
    count=st.booleans(),
)
def test_every_adapter_finds_the_same(
    both: Both,
    rows: dict[int, dict[str, object]],
    filters: list[Condition],
    order: list[Order],
    start: int,
    limit: int,
    *,
    count: bool,
) -> None:
    records = [Record(kind=RecordKind.CONTACT, id=number, fields=fields) for number, fields in rows.items()]

    async def life(store: Store) -> RecordPage:
        await store.portal_records.delete(RecordKind.CONTACT, range(-2, 31))
        await store.portal_records.put(records)
        return await find(store, *filters, order=order, start=start, limit=limit, count=count, kind=RecordKind.CONTACT)

    first, second = [both.loop.run_until_complete(life(store)) for store in both.stores]

    assert first == second
