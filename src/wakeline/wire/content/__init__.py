"""From the neutral content model towards a provider's payload: what both push services need and neither owns."""

from __future__ import annotations

from wakeline.wire.content.checks import check_alert, check_headers, check_text
from wakeline.wire.content.json import HOLE, Template, encode, merge
from wakeline.wire.content.language import Texts, default_texts, tags_of, texts_for
from wakeline.wire.content.truncate import shorten

__all__ = [
    "HOLE",
    "Template",
    "Texts",
    "check_alert",
    "check_headers",
    "check_text",
    "default_texts",
    "encode",
    "merge",
    "shorten",
    "tags_of",
    "texts_for",
]
