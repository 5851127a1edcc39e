"""A later write says what an earlier one was answered."""

from __future__ import annotations

import pytest

from wakeline.model.errors import RemoteProtocolError
from wakeline.wire.bitrix24.standing_in import stand_in


def test_a_text_that_is_the_reference_becomes_what_was_answered_as_it_is() -> None:
    params = {"id": "$result", "fields": {"LINES": ["$result", 1, None, True]}}

    assert stand_in(params, 17) == {"id": 17, "fields": {"LINES": [17, 1, None, True]}}


def test_names_and_places_lead_into_the_answer() -> None:
    answer = {"CALL_ID": "externalCall.1", "MADE": [{"ID": "5"}]}

    assert stand_in(["$result[CALL_ID]", "$result[MADE][0][ID]"], answer) == ["externalCall.1", "5"]


def test_words_that_only_contain_it_stay() -> None:
    params = {"TITLE": "cost: $result", "TEXT": "$result of it", "$result": "$results", "OTHER": "$result[]"}

    assert stand_in(params, 17) == params


@pytest.mark.parametrize("name", ["$result[B]", "$result[A][0]", "$result[L][2]", "$result[L][x]", "$result[L][-1]"])
def test_what_was_not_answered_is_an_error_and_no_hole(name: str) -> None:
    with pytest.raises(RemoteProtocolError, match="nothing at"):
        stand_in({"id": name}, {"A": "text", "L": [1, 2]})
