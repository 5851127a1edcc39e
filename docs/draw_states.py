"""Draws docs/reference/states.md from the tables of wakeline.model.states; a test compares the two."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from wakeline.model import states

PAGE = Path(__file__).parent / "reference" / "states.md"

_INTRODUCTION = """# States

Drawn from the tables in `src/wakeline/model/states.py` by `python docs/draw_states.py`; a test fails when they differ.
A state without an arrow out of it is final.
"""

_SECTIONS = (
    (
        "A delivery",
        (
            "One notification to one target. A provider *accepts*; only the device's own receipt *acknowledges*.\n"
            "`unknown` means written without an answer: it may have been shown, and is repeated with the same ids."
        ),
        states.DELIVERY,
    ),
    ("A notification", "What a caller asked for; derived from its deliveries.", states.NOTIFICATION),
    (
        "A target",
        "A token. Only proof retires it, doubt quarantines it, and both can be undone.",
        states.TARGET,
    ),
)


def diagram(table: Mapping[StrEnum, frozenset[StrEnum]]) -> str:
    """Return a Mermaid state diagram of a transition table, in the order of its enum."""
    order = list(type(next(iter(table))))
    lines = [
        f"    {state.value} --> {new.value}"
        for state in order
        if state in table
        for new in order
        if new in table[state]
    ]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"])


def page() -> str:
    """Return the whole page."""
    parts = [f"## {title}\n\n{words}\n\n{diagram(table)}\n" for title, words, table in _SECTIONS]
    return "\n".join([_INTRODUCTION, *parts])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
