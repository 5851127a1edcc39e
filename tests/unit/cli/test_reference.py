"""The committed page about the command line is drawn from the commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from wakeline.cli.reference import page

PAGE = Path(__file__).parents[3] / "docs/reference/cli.md"


def test_the_committed_page_is_the_generated_one() -> None:
    # In a process of its own: the library writes the name of the program that runs into usage lines.
    script = "import sys; from wakeline.cli.reference import page; sys.stdout.write(page())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert PAGE.read_text() == done.stdout


def test_no_switch_has_a_negative_that_nobody_needs() -> None:
    assert "--no-keep," not in page()
    assert "--empty-" not in page()
    assert "--no-limits" in page()
