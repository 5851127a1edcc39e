"""The same event is the same bytes, whether a portal posted it or its queue of offline events tells it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeline.wire import php_form
from wakeline.wire.bitrix24.event_data import canonical, record_of

_LEAVES = st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.text(st.characters(codec="utf-8"), max_size=4)
_NAMES = st.text(st.sampled_from("IDTASK_1"), min_size=1, max_size=4)
_TREES = st.dictionaries(
    _NAMES,
    st.recursive(
        _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3), max_leaves=6
    ),
    max_size=4,
)


def test_a_form_and_the_offline_queue_tell_the_same_event() -> None:
    posted = php_form.parse("data[FIELDS][ID]=7405")["data"]

    assert canonical(posted) == canonical({"FIELDS": {"ID": 7405}}) == b'{"FIELDS":{"ID":"7405"}}'


def test_no_data_is_an_empty_map_however_it_is_said() -> None:
    nothing: list[object] = [None, False, [], {}, "", {"FIELDS": []}, {"FIELDS": None}]

    assert {canonical(said) for said in nothing} == {b"{}"}


def test_the_order_of_keys_does_not_count() -> None:
    assert canonical({"b": 1, "a": {"d": 1.0, "c": True}}) == canonical({"a": {"c": 1, "d": 1}, "b": "1"})


def test_what_is_nested_too_deep_is_left_out() -> None:
    deep: object = "bottom"
    for _ in range(5000):
        deep = [deep]

    assert canonical({"deep": deep, "ID": 1}) == b'{"ID":"1"}'


@given(tree=_TREES)
def test_any_tree_is_the_same_after_its_way_through_a_form(tree: dict[str, object]) -> None:
    form = php_form.build_query({"data": tree})

    assert canonical(php_form.parse(form).get("data")) == canonical(tree)


@given(tree=_TREES)
def test_it_is_json_that_stays_as_it_is(tree: dict[str, object]) -> None:
    once = canonical(tree)

    assert canonical(json.loads(once)) == once


@pytest.mark.parametrize(
    ("event", "data", "number"),
    [
        ("ONCRMDEALADD", {"FIELDS": {"ID": "7405"}}, 7405),
        ("ONCRMDEALADD", {"FIELDS": {"ID": 7405}}, 7405),
        ("ONTASKADD", {"FIELDS_BEFORE": "undefined", "FIELDS_AFTER": {"ID": "11"}}, 11),
        ("ONTASKDELETE", {"FIELDS_BEFORE": {"ID": "11"}, "FIELDS_AFTER": "undefined"}, 11),
        ("ONTASKCOMMENTADD", {"FIELDS_AFTER": {"ID": "900", "TASK_ID": "11"}}, 11),
        ("ONEXTERNALCALLSTART", {"CALL_ID": "externalCall.1", "CRM_ENTITY_ID": "5"}, 0),
        ("ONCRMDEALADD", {"FIELDS": {"ID": "-7"}}, 0),
        ("ONCRMDEALADD", {"FIELDS": {"ID": "\u0667"}}, 0),
        ("ONCRMDEALADD", {"FIELDS": {"ID": "9" * 4000}}, 0),
        ("ONCRMDEALADD", {"FIELDS": {"ID": True}}, 0),
        ("ONCRMDEALADD", {"FIELDS": ["7"]}, 0),
        ("ONCRMDEALADD", [7], 0),
    ],
)
def test_the_record_of_an_event(event: str, data: object, number: int) -> None:
    assert record_of(event, data) == number
