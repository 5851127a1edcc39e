from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeline.model import ids
from wakeline.model.errors import NotFound

KEYS = st.builds(ids.key_at, st.integers(0, (1 << 48) - 1), st.integers(0, (1 << ids.COUNTER_BITS) - 1))


@given(KEYS)
def test_a_key_and_its_uuid_lead_to_each_other(key: int) -> None:
    assert ids.parse(ids.uuid_of(key)) == (key, None)


@given(KEYS)
def test_the_uuid_is_a_version_7_of_the_right_time(key: int) -> None:
    value = uuid.UUID(ids.uuid_of(key))

    assert value.version == 7
    assert value.variant == uuid.RFC_4122
    assert value.int >> 80 == ids.milliseconds_of(key)


@given(KEYS, KEYS)
def test_uuids_sort_like_their_keys(one: int, other: int) -> None:
    assert (one < other) == (ids.uuid_of(one) < ids.uuid_of(other))


@given(KEYS, st.integers(1, (1 << ids.TARGET_BITS) - 1))
def test_a_deliverys_id_names_notification_and_target(key: int, target: int) -> None:
    parsed_key, parsed_target = ids.parse(ids.delivery_id(key, target).upper())

    assert parsed_key == key
    assert parsed_target in (target, None)  # None only where the target equals the notification's own tail


@pytest.mark.parametrize(
    "text",
    ["", "x", "01234567-89ab-7cde-8f01-23456789abc", "01234567-89ab-4cde-8f01-23456789abcd", "0" * 36],
)
def test_other_texts_are_not_found(text: str) -> None:
    with pytest.raises(NotFound):
        ids.parse(text)


@given(KEYS, st.integers(0, 11))
def test_a_mistyped_digit_before_the_tail_is_noticed(key: int, place: int) -> None:
    text = ids.uuid_of(key)
    digits = [position for position in range(19) if text[position] != "-" and position != 14]
    position = digits[place]
    wrong = text[:position] + ("0" if text[position] != "0" else "1") + text[position + 1 :]

    try:
        parsed, _ = ids.parse(wrong)
    except NotFound:
        return
    assert parsed != key
