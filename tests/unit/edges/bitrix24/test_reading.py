"""Parameters as clients really send them."""

from __future__ import annotations

import pytest

from wakeline.edges.bitrix24 import reading
from wakeline.edges.bitrix24.reading import Value


@pytest.mark.parametrize("value", ["Y", "y", "1", 1, "true", "True", True, " yes ", "on", 1.0])
def test_yes(value: Value) -> None:
    assert reading.flag({"A": value}, "A", default=False) is True


@pytest.mark.parametrize("value", ["N", "n", "0", 0, "false", "False", False, "no"])
def test_no(value: Value) -> None:
    assert reading.flag({"A": value}, "A", default=True) is False


@pytest.mark.parametrize("value", [None, "", "None", "null", "perhaps", [], {}, ["Y"]])
def test_neither(value: Value) -> None:
    for default in (True, False):
        assert reading.flag({"A": value}, "A", default=default) is default
        assert reading.flag({}, "A", default=default) is default


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("5", 5),
        (5, 5),
        (" -7 ", -7),
        ("5.9", 5),
        (5.9, 5),
        (True, 1),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", None),
        (2**70, None),
        ("1e400", None),
        ("nan", None),
        ("+-5", None),
        ("", None),
        ("x", None),
        (None, None),
        ([5], None),
    ],
)
def test_a_number_is_whole_and_has_64_bits(value: Value, number: int | None) -> None:
    assert reading.number({"A": value}, "A") == number


@pytest.mark.parametrize(
    ("value", "numbers"),
    [
        (7, [7]),
        ("7", [7]),
        ([1, "2", 2, None, "x"], [1, 2]),
        ({"0": "3", "5": 4}, [3, 4]),
        ("[1, 2]", [1, 2]),
        ("['1','2']", [1, 2]),
        ('{"a": 5}', [5]),
        ("1,2, 3", [1, 2, 3]),
        ("[1,", []),
        ("", []),
        (None, []),
        ([[1]], []),
        ("[" * 5000, []),
    ],
)
def test_numbers_come_in_every_dress(value: Value, numbers: list[int]) -> None:
    assert reading.numbers({"A": value}, "A") == numbers


@pytest.mark.parametrize(
    ("value", "text"),
    [("x", "x"), (5, "5"), (5.0, "5"), (1.5, "1.5"), (True, "1"), (False, ""), (None, "d"), ([], "d")],
)
def test_text_is_what_php_would_print(value: Value, text: str) -> None:
    assert reading.text({"A": value}, "A", "d") == text


def test_texts_are_a_list_a_map_or_one() -> None:
    for value in (["a", 1, "", None], {"0": "a", "9": 1}):
        assert reading.texts({"A": value}, "A") == ["a", "1"]
    assert reading.texts({"A": "a"}, "A") == ["a"]
    assert reading.texts({}, "A") == []


def test_a_tree_is_a_map_a_list_or_json() -> None:
    assert reading.tree({"A": {"x": 1}}, "A") == {"x": 1}
    assert reading.tree({"A": ["x"]}, "A") == {"0": "x"}
    assert reading.tree({"A": '{"x": [1]}'}, "A") == {"x": [1]}
    for value in ("", "None", "x", None, 5):
        assert reading.tree({"A": value}, "A") == {}
