from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeline.model.notification import Alert, Translation
from wakeline.wire.content import HOLE, Template, default_texts, merge, shorten, tags_of, texts_for

ALERT = Alert(
    title="Hello",
    body="World",
    body_loc_key="WORLD",
    localized={
        "de": Translation(title="Hallo", body="Welt"),
        "zh-Hant": Translation(body="世界"),
        "pt_BR": Translation(title="Olá", body="Mundo"),
    },
)


@pytest.mark.parametrize(
    ("locale", "title", "body"),
    [
        ("de", "Hallo", "Welt"),
        ("de-AT", "Hallo", "Welt"),
        ("DE_de.UTF-8", "Hallo", "Welt"),
        ("zh-Hant-TW", "Hello", "世界"),
        ("zh-Hans-CN", "Hello", "World"),
        ("pt-BR", "Olá", "Mundo"),
        ("pt", "Hello", "World"),
        ("", "Hello", "World"),
        ("xx", "Hello", "World"),
    ],
)
def test_the_most_specific_translation_is_chosen(locale: str, title: str, body: str) -> None:
    texts = texts_for(ALERT, locale)
    assert (texts.title, texts.body) == (title, body)


def test_a_translation_silences_the_loc_key_that_the_phone_would_prefer() -> None:
    assert texts_for(ALERT, "de").body_loc_key == ""
    assert texts_for(ALERT, "fr").body_loc_key == "WORLD"


def test_without_a_default_text_the_first_translation_speaks() -> None:
    alert = Alert(localized={"fr": Translation(body="Salut"), "de": Translation(body="Hallo")})
    assert default_texts(alert).body == "Salut"
    assert texts_for(alert, "de").body == "Hallo"
    assert default_texts(Alert(body_loc_key="K", localized={"fr": Translation(body="Salut")})).body == ""


def test_tags_reach_every_variant() -> None:
    assert {texts_for(ALERT, tag).body for tag in tags_of(ALERT)} == {"World", "Welt", "世界", "Mundo"}


def test_merge_goes_into_objects_and_replaces_everything_else() -> None:
    inner = {"aps": {"sound": "a", "badge": 1}, "list": [1], "x": {"y": 1}}
    assert merge(inner, {"aps": {"sound": {"name": "b"}}, "list": [2], "x": 3}) == {
        "aps": {"sound": {"name": "b"}, "badge": 1},
        "list": [2],
        "x": 3,
    }
    assert inner["aps"] == {"sound": "a", "badge": 1}


def test_a_hole_is_filled_and_cannot_be_forged_by_text() -> None:
    template = Template.of({"badge": HOLE, "text": "\x00", "again": HOLE})
    assert json.loads(template.fill(7)) == {"badge": 7, "text": "\x00", "again": 7}
    assert template.longest == len(template.fill(2_147_483_647))
    assert not Template.of({"text": "\x00"}).has_holes


def _size(text: str) -> int:
    return len(msgspec.json.encode(text)) - 2


@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"])), room=st.integers(min_value=-10, max_value=60))
def test_shortened_text_fits_and_begins_like_the_original(text: str, room: int) -> None:
    short = shorten(text, room)
    assert _size(short) <= max(room, 0)
    if _size(text) <= room:
        assert short == text
    elif short:
        assert short.endswith("…")
        assert text.startswith(short[:-1])


@pytest.mark.parametrize(
    "character",
    [
        "👍🏽",  # a skin tone
        "👩‍🚀",  # joined with ZERO WIDTH JOINER
        "🇩🇪",  # two regional indicators
        "e\u0301",  # a combining accent
        "❤️",  # a variation selector
        "🏴󠁧󠁢󠁳󠁣󠁴󠁿",  # a tag sequence
        "นี้",  # marks above one another
    ],
)
def test_what_a_reader_sees_as_one_character_is_never_cut(character: str) -> None:
    text = f"ab{character}cdefgh"
    seen = {shorten(text, room).removesuffix("…") for room in range(_size(text))}
    assert seen <= {"", "a", "ab", *(f"ab{character}{tail}" for tail in ("", "c", "cd", "cde", "cdef", "cdefg"))}
    assert f"ab{character}" in seen


def test_flags_in_a_row_are_cut_between_flags() -> None:
    flags = "🇩🇪🇫🇷🇮🇹"
    for room in range(_size(flags)):
        assert len(shorten(flags, room).removesuffix("…")) % 2 == 0


def test_a_line_break_of_two_characters_stays_whole_and_ends_are_trimmed() -> None:
    assert shorten("ab\r\ncd", 7) == "ab…"
    assert shorten("word another", 9) == "word a…"
    assert shorten("word another", 8) == "word…"
