"""Why a goal is missed, and what would be tried next: words of people, in `missed.toml`, by the key of the figure.

They belong to a measurement, not to the code that makes it: after a run they are written, and `python -m bench.page` puts
them into `report.json` and onto the page. A goal that is met needs none.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from bench.report import Figure, Report

FILE = Path(__file__).with_name("missed.toml")


class Reason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Both are parts of a sentence: they begin small and end without a full stop."""

    reason: str
    next_idea: str


def read(file: Path = FILE) -> dict[str, Reason]:
    """What is written, by key."""
    return msgspec.toml.decode(file.read_bytes(), type=dict[str, Reason])


def given(found: Report, reasons: dict[str, Reason]) -> Report:
    """The report with the reasons of what it missed."""
    return msgspec.structs.replace(found, figures=[_given(figure, reasons) for figure in found.figures])


def _given(figure: Figure, reasons: dict[str, Reason]) -> Figure:
    known = reasons.get(figure.key)
    if known is None or figure.reached:
        return msgspec.structs.replace(figure, reason="", next_idea="")
    return msgspec.structs.replace(figure, reason=known.reason, next_idea=known.next_idea)
