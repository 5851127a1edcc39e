"""Rules that several request types share, and the parts of answers that several lists share."""

from __future__ import annotations

from typing import Annotated

import msgspec

# Before a line's end `$` holds in Python and not in ECMA-262, whose patterns OpenAPI has: the newline is refused by name.
SLUG = r"^[a-z0-9][a-z0-9._-]{0,62}(?!\n)$"
PRINTABLE = r"^[^\x00-\x1f\x7f]*(?!\n)$"

Slug = Annotated[
    str, msgspec.Meta(pattern=SLUG, description="lower-case letters, digits, `.`, `_` and `-`; at most 63")
]
Name = Annotated[str, msgspec.Meta(max_length=200)]
Opaque = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=PRINTABLE)]
"""An id that the caller chose: a user, a device, a tag. Control characters would forge lines of logs and terminals."""
Fact = Annotated[str, msgspec.Meta(max_length=100)]
Limit = Annotated[int, msgspec.Meta(ge=1, le=500)]


class Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What callers send: an unknown field is an error, since a misspelt one is silently nothing."""


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What we answer: every field is always there."""


class PageQuery(Strict, frozen=True, kw_only=True):
    """Where a list goes on and how much of it."""

    cursor: str = ""
    limit: Limit = 50
