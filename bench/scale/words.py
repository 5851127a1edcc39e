"""Tables and numbers as the page writes them: three digits, since no model knows more."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, words: bool = False) -> str:
    """Return a table; all columns but the first are numbers, and the last one is not if it has `words`."""
    marks = ["---", *["---:"] * (len(head) - 1)]
    if words:
        marks[-1] = "---"
    lines = [head, marks, *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def number(value: float) -> str:
    """Return three digits of a number, thousands apart."""
    if value == 0:
        return "0"
    digits = 2 - math.floor(math.log10(abs(value)))
    rounded = round(value, digits)
    return f"{rounded:,.0f}" if digits <= 0 or rounded == int(rounded) else f"{rounded:,.{max(1, digits)}f}".rstrip("0")


def size(count: float) -> str:
    """Return bytes in the unit that fits, decimal."""
    for unit, of in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= of:
            return f"{number(count / of)} {unit}"
    return f"{number(count)} B"


def span(seconds: float) -> str:
    """Return a time in the unit that fits."""
    for unit, of, least in (("days", 86_400, 2), ("h", 3600, 2), ("min", 60, 2), ("s", 1, 1)):
        if seconds >= of * least:
            return f"{number(seconds / of)} {unit}"
    return f"{number(seconds * 1000)} ms"


def percent(part: float) -> str:
    """Return a part of one in hundredths."""
    return f"{part:.0%}"
