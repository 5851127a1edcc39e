"""The tables in `docs/scale.md`: each stands between its own two markers, the prose around them is written by hand."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from bench.report import Report
from bench.scale import inputs, many, measured, one
from bench.scale.measured import Measured

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"

TABLES: dict[str, Callable[[Measured], str]] = {
    "measured": inputs.measured,
    "assumed": inputs.assumed,
    "trust": inputs.trust,
    "rates": one.rates,
    "machines": one.machines,
    "distance": one.distance,
    "windows": one.windows,
    "broadcasts": one.broadcasts,
    "devices": one.devices,
    "retention": one.retention,
    "day": one.days,
    "calls": one.calls,
    "commits": one.commits,
    "ten": many.ten,
    "billion": many.billion,
    "everybody": many.everybody,
}

_PLACE = re.compile(r"(?P<begin><!-- made: (?P<name>[a-z]+) -->\n).*?(?P<end><!-- end -->)", re.DOTALL)


def tables(found: Measured) -> dict[str, str]:
    """Make all tables."""
    return {name: make(found) for name, make in TABLES.items()}


def write(report: Report) -> Path:
    """Put the tables of a report into the page and return its path. Raises measured.Absent if the report lacks a figure."""
    made = tables(measured.of(report))
    PAGE.write_text(fill(PAGE.read_text(encoding="utf-8"), made), encoding="utf-8")
    return PAGE


def fill(text: str, made: dict[str, str]) -> str:
    """Return the page with its tables made anew. Raises ValueError unless each table has exactly one place."""
    places = [match["name"] for match in _PLACE.finditer(text)]
    if sorted(places) != sorted(made):
        raise ValueError(f"the page has places for {sorted(places)}, the tables are {sorted(made)}")
    return _PLACE.sub(lambda match: f"{match['begin']}{made[match['name']]}\n{match['end']}", text)
