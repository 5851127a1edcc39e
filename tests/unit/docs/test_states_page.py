from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[3] / "docs"


def test_the_diagrams_are_those_of_the_tables() -> None:
    drawn = runpy.run_path(str(DOCS / "draw_states.py"))

    assert (DOCS / "reference" / "states.md").read_text(encoding="utf-8") == drawn["page"]()
