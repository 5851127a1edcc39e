"""PHP's forms: what real clients send, what the encoder writes, what json_encode makes of maps, and where it ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from computing import computing_at_most
from wakeline.model.errors import RemoteProtocolError
from wakeline.wire.php_form import DEEPEST, MOST_PAIRS, Value, build_query, parse, shape


@pytest.mark.parametrize(
    ("query", "tree"),
    [
        # The forms in which clients of Bitrix24 write the same list request.
        (
            "select[0]=ID&select[1]=TITLE&order[ID]=ASC&start=50&",
            {"select": ["ID", "TITLE"], "order": {"ID": "ASC"}, "start": "50"},
        ),
        (
            "filter%5B%3EID%5D=0&select%5B0%5D=ID&order%5BID%5D=ASC&start=100&",
            {"filter": {">ID": "0"}, "select": ["ID"], "order": {"ID": "ASC"}, "start": "100"},
        ),
        ("order[ID]=ASC&filter[%3EID]=50&start=-1", {"order": {"ID": "ASC"}, "filter": {">ID": "50"}, "start": "-1"}),
        ("filter[>ID]=300&select[]=ID&select[]=STAGE_ID", {"filter": {">ID": "300"}, "select": ["ID", "STAGE_ID"]}),
        ("filter[%3E%3DDATE_CREATE]=2026-01-01", {"filter": {">=DATE_CREATE": "2026-01-01"}}),
        (
            "__order=order0000000000&USER_ID[0]=1&USER_ID[1]=2&TEXT=hi%20%26%20bye+now",
            {"__order": "order0000000000", "USER_ID": ["1", "2"], "TEXT": "hi & bye now"},
        ),
        (
            "halt=0&cmd[a]=crm.deal.get%3FID%3D3&cmd[b]=profile",
            {"halt": "0", "cmd": {"a": "crm.deal.get?ID=3", "b": "profile"}},
        ),
        (
            "FIELDS[PHONE][0][VALUE]=1&FIELDS[PHONE][0][TYPE]=WORK",
            {"FIELDS": {"PHONE": [{"VALUE": "1", "TYPE": "WORK"}]}},
        ),
        # What PHP makes of the rest.
        ("", {}),
        ("&&", {}),
        ("a", {"a": ""}),
        ("a=1&a=2", {"a": "2"}),
        ("a=1&a[b]=2", {"a": {"b": "2"}}),
        ("a[b]=2&a=1", {"a": "1"}),
        ("a[5]=x&a[]=y", {"a": {"5": "x", "6": "y"}}),
        ("a[-3]=x&a[]=y", {"a": {"-3": "x", "0": "y"}}),
        ("a[01]=x", {"a": {"01": "x"}}),
        ("a[1]=x&a[0]=y", {"a": {"1": "x", "0": "y"}}),
        ("a.b c=1", {"a_b_c": "1"}),
        ("a[b.c]=1", {"a": {"b.c": "1"}}),
        ("a[b=1", {"a_b": "1"}),
        ("a[b]c=1", {"a": {"b": "1"}}),
        ("[a]=1&=2", {}),
        ("t=%D0%9F%D1%80%D0%B8%D0%B2%D0%B5%D1%82&bad=%FF", {"t": "Привет", "bad": "\ufffd"}),
    ],
)
def test_a_form_is_the_tree_that_php_sees(query: str, tree: dict[str, Value]) -> None:
    assert parse(query) == tree


def test_a_tree_has_an_end() -> None:
    assert parse("a" + "[b]" * (DEEPEST - 1) + "=1")
    with pytest.raises(RemoteProtocolError, match="nested deeper than 10"):
        parse("a" + "[b]" * DEEPEST + "=1")


def test_so_has_a_list_of_pairs() -> None:
    assert len(parse("&".join(f"a{n}=1" for n in range(MOST_PAIRS)))) == MOST_PAIRS
    for query in ("a=1&" * (MOST_PAIRS + 1), "&" * 3 * MOST_PAIRS):
        with pytest.raises(RemoteProtocolError, match="more than 5000"):
            parse(query)


def test_appending_thousands_of_times_costs_no_more_than_naming_places() -> None:
    with computing_at_most(0.5):
        found = parse("a[]=x&" * MOST_PAIRS)
    assert found == {"a": ["x"] * MOST_PAIRS}


@pytest.mark.parametrize(
    ("tree", "query"),
    [
        ({"event": "ONAPPTEST", "ts": 1766047124}, "event=ONAPPTEST&ts=1766047124"),
        ({"data": {"FIELDS": {"ID": "7405"}}}, "data%5BFIELDS%5D%5BID%5D=7405"),
        ({"a": None, "b": {}, "c": [], "d": {"e": None}, "f": ""}, "f="),
        ({"a": [True, False, 1.5, 2.0]}, "a%5B0%5D=1&a%5B1%5D=0&a%5B2%5D=1.5&a%5B3%5D=2"),
        ({"a": [None, "x"]}, "a%5B1%5D=x"),
        ({"u": "https://p.test/rest/?a=b c~"}, "u=https%3A%2F%2Fp.test%2Frest%2F%3Fa%3Db+c%7E"),
        ({}, ""),
    ],
)
def test_a_tree_is_the_query_that_http_build_query_writes(tree: dict[str, Value], query: str) -> None:
    assert build_query(tree) == query


_NAMES = st.text(st.characters(codec="utf-8", exclude_characters="[]. \x00"), min_size=1, max_size=5)
_TREES = st.dictionaries(
    _NAMES,
    st.recursive(
        st.text(st.characters(codec="utf-8"), max_size=5),
        lambda inner: st.dictionaries(_NAMES, inner, min_size=1, max_size=3) | st.lists(inner, min_size=1, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


@given(_TREES)
def test_what_is_written_is_read_again(tree: dict[str, Value]) -> None:
    assert parse(build_query(tree)) == {name: shape(value) for name, value in tree.items()}


@given(st.text(st.sampled_from("ab[]=&.%5B+ 0"), max_size=40))
def test_no_query_is_a_defect(query: str) -> None:
    assert isinstance(parse(query), dict)


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        ({}, []),
        ({"a": {}}, {"a": []}),
        ({"0": "x", "1": "y"}, ["x", "y"]),
        ({0: "x", 2: "y"}, {"0": "x", "2": "y"}),
        ({"1": "x", "0": "y"}, {"1": "x", "0": "y"}),
        ([{"0": {}}, ()], [[[]], []]),
        ("x", "x"),
        (None, None),
    ],
)
def test_maps_are_printed_as_php_does(value: Value, printed: Value) -> None:
    assert shape(value) == printed
