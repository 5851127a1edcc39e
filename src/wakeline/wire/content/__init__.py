"""From the neutral content model towards a provider's payload: what both push services need and neither owns."""

from __future__ import annotations

from wakeline.wire.content.checks import Measure, check_alert, check_headers, check_text, largest_field, pointer
from wakeline.wire.content.json import HOLE, Template, encode, merge
from wakeline.wire.content.language import Texts, default_texts, tags_of, texts_for
from wakeline.wire.content.truncate import fit, shorten

__all__ = [
    "HOLE",
    "Measure",
    "Template",
    "Texts",
    "check_alert",
    "check_headers",
    "check_text",
    "default_texts",
    "encode",
    "fit",
    "largest_field",
    "merge",
    "pointer",
    "shorten",
    "tags_of",
    "texts_for",
]
