"""References between commands of a batch: what they name, how far they reach, what they become."""

from __future__ import annotations

import pytest

from wakeline.model.errors import RemoteProtocolError
from wakeline.wire.bitrix24.references import MOST, resolve
from wakeline.wire.php_form import Value

DEALS: list[Value] = [{"ID": "51", "TITLE": "First"}, {"ID": "52", "TITLE": None}]
KNOWN: dict[str, dict[str, Value]] = {
    "result": {"1": DEALS, "deal": {"ID": 7, "SUM": 1.5, "OPEN": True, "PHONE": []}, "done": True},
    "total": {"1": 323},
    "next": {"1": 50},
    "time": {"1": {"start": 1.0}},
    "error": {"bad": {"error": "ERROR_CORE", "error_description": "no"}},
}


@pytest.mark.parametrize(
    ("value", "becomes"),
    [
        ("$result[1][1][ID]", "52"),
        ("$result[deal][ID]", 7),
        ("$result[deal][OPEN]", True),
        ("$result[1]", DEALS),
        ("$total[1]", 323),
        ("$next[1]", 50),
        ("$time[1][start]", 1.0),
        ("$error[bad][error]", "ERROR_CORE"),
        # What is missing ends the way: the deepest value reached is the answer.
        ("$result[1][49][ID]", DEALS),
        ("$result[1][0][ID][x]", "51"),
        ("$result[1][-1]", DEALS),
        ("$result[none][ID]", KNOWN["result"]),
        ("$error[1]", KNOWN["error"]),
        # Inside a longer text only texts and numbers are put in.
        ("n $result[deal][ID], $result[1][0][ID]!", "n 7, 51!"),
        ("$result[deal][ID]$result[deal][SUM]", "71.5"),
        ("all: $result[1]", "all: $result[1]"),
        ("x$result[deal][OPEN]", "x$result[deal][OPEN]"),
        # What is no reference stays.
        ("$result", "$result"),
        ("$results[1]", "$results[1]"),
        ("$result[]", "$result[]"),
        ("$other[1]", "$other[1]"),
        ("5 $", "5 $"),
        (5, 5),
        ({"filter": {">ID": ["$total[1]", "$result[deal][ID]"]}}, {"filter": {">ID": [323, 7]}}),
        ({"F$result[deal][ID]": "x"}, {"F7": "x"}),
    ],
)
def test_a_reference_becomes_what_it_names(value: Value, becomes: Value) -> None:
    assert resolve(value, KNOWN) == becomes


def test_what_a_reference_gives_is_not_looked_up_again() -> None:
    known: dict[str, dict[str, Value]] = {"result": {"a": {"T": "$result[a][SECRET]", "SECRET": "s"}}}
    assert resolve("$result[a][T]", known) == "$result[a][SECRET]"


def test_a_page_is_named_by_many_commands_as_clients_do() -> None:
    rows: Value = [{"ID": str(number), "TITLE": "A deal like any other"} for number in range(50)]
    assert resolve({"filter": {">ID": "$result[a][50][ID]"}}, {"result": {"a": rows}}) == {"filter": {">ID": rows}}


@pytest.mark.parametrize(
    "value",
    [
        ["$result[page]"] * 100,
        "$result[page][0][TEXT]" * 100,
        {"$result[page][0][TEXT]" * 100: "1"},
        {"a": {"b": ["$result[page]", "$result[page][0][TEXT]" * 99]}},
    ],
)
def test_references_do_not_multiply_what_they_name(value: Value) -> None:
    page: Value = [{"TEXT": "x" * (MOST // 90)}]
    with pytest.raises(RemoteProtocolError):
        resolve(value, {"result": {"page": page}})
