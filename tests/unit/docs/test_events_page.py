from __future__ import annotations

from pathlib import Path

from wakeline.edges.rest.webhooks.meanings import FIELDS, MEANINGS, page
from wakeline.model.event import EventType
from wakeline.wire.event_json import EventDataView

PAGE = Path(__file__).parents[3] / "docs/reference/events.md"


def test_the_committed_page_is_the_generated_one() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_type_and_every_field_is_explained_and_nothing_else() -> None:
    assert list(MEANINGS) == list(EventType)
    assert tuple(FIELDS) == EventDataView.__struct_fields__
    for kind, meaning in MEANINGS.items():
        assert set(meaning.fields) <= set(FIELDS), kind
