"""Shortening text to a number of bytes as JSON writes it, without cutting what a reader sees as one character.

A cut falls between extended grapheme clusters as far as they can be told without tables of our own: combining marks,
variation selectors, skin tones, joined emoji, flags and tag sequences stay whole (Unicode Standard Annex 29, in essence).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

from wakeline.wire.content.json import encode
from wakeline.wire.content.language import Texts

ELLIPSIS = "\u2026"

_ZERO_WIDTH_JOINER = 0x200D
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_TAGS = range(0xE0020, 0xE0080)
_REGIONAL_INDICATORS = range(0x1F1E6, 0x1F200)


def fit(texts: Texts, excess: Callable[[Texts], int]) -> Texts:
    """Return texts with body, then subtitle, then title shortened as far as needed; `excess` says how many bytes are too many."""
    for name in ("body", "subtitle", "title"):
        over = excess(texts)
        if over <= 0:
            break
        text = getattr(texts, name)
        texts = Texts(**{**texts._asdict(), name: shorten(text, _size(text) - over)})
    return texts


def shorten(text: str, room: int) -> str:
    """Return `text`, or its longest beginning that takes at most `room` bytes in JSON with an ellipsis behind it.

    Empty if not even one character and the ellipsis fit. Quotes and control characters count as their escapes.
    """
    if _size(text) <= room:
        return text
    end = _longest(text, room - _size(ELLIPSIS))
    while end > 0 and not _may_cut(text, end):
        end -= 1
    kept = text[:end].rstrip()
    return kept + ELLIPSIS if kept else ""


def _size(text: str) -> int:
    return len(encode(text)) - 2  # without the quotes


def _longest(text: str, room: int) -> int:
    """Return how many characters from the front fit, by halving: sizes only grow with length."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _size(text[:middle]) <= room else (low, middle - 1)
    return low


def _may_cut(text: str, at: int) -> bool:
    """Tell whether a reader sees a boundary between the characters before and at `at`."""
    before, after = ord(text[at - 1]), ord(text[at])
    if before == _ZERO_WIDTH_JOINER or _continues(text[at]):
        return False
    if before == 0x0D and after == 0x0A:
        return False
    return not (after in _REGIONAL_INDICATORS and _flags_before(text, at) % 2)


def _continues(character: str) -> bool:
    code = ord(character)
    if code == _ZERO_WIDTH_JOINER or code in _SKIN_TONES or code in _TAGS:
        return True
    # Mn, Me and Mc: marks that belong to the character before, variation selectors among them.
    return unicodedata.category(character)[0] == "M"


def _flags_before(text: str, at: int) -> int:
    """Count regional indicators that end at `at`: two make a flag."""
    start = at
    while start and ord(text[start - 1]) in _REGIONAL_INDICATORS:
        start -= 1
    return at - start
