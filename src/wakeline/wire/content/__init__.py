"""From the neutral content model towards a provider's payload: what both push services need and neither owns."""

from __future__ import annotations

from wakeline.wire.content.checks import (
    SURPLUS,
    Measure,
    check_alert,
    check_headers,
    check_text,
    largest_field,
    pointer,
)
from wakeline.wire.content.json import HOLE, Template, encode, merge
from wakeline.wire.content.language import Texts, default_texts, speaks, tags_of, texts_for
from wakeline.wire.content.live_activity import (
    LONGEST_TIMESTAMP,
    check_activity_fields,
    check_live_activity,
    live_activity,
    place_of,
)
from wakeline.wire.content.truncate import fit, shorten

__all__ = [
    "HOLE",
    "LONGEST_TIMESTAMP",
    "SURPLUS",
    "Measure",
    "Template",
    "Texts",
    "check_activity_fields",
    "check_alert",
    "check_headers",
    "check_live_activity",
    "check_text",
    "default_texts",
    "encode",
    "fit",
    "largest_field",
    "live_activity",
    "merge",
    "place_of",
    "pointer",
    "shorten",
    "speaks",
    "tags_of",
    "texts_for",
]
