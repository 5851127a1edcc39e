"""What a package manager fetches for a test: asked twice, since mirrors fail for a moment; what cannot be had is skipped loudly."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

TRIES = 2
SECONDS = 120
"""For each try: a mirror that does not answer holds the tests up for so long."""
PATIENCE = TRIES * SECONDS + 90
"""Seconds for a test that may be the first to need what is fetched."""

_SHOWN = 300


def fetch(
    command: Sequence[str],
    directory: Path,
    *,
    unjudged: str,
    fetched: Callable[[], bool] = lambda: True,
    environment: Mapping[str, str] | None = None,
    seconds: float = SECONDS,
) -> None:
    """Run a package manager in `directory` until it succeeds and `fetched` finds what was wanted.

    Skips the test if it never does: `unjudged` says what was not tried for that.
    """
    said = ""
    for _ in range(TRIES):
        try:
            done = subprocess.run(
                command, cwd=directory, env=environment, capture_output=True, text=True, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired:
            said = f"it did not end within {seconds} s"
            continue
        if done.returncode == 0 and fetched():
            return
        said = (done.stderr or done.stdout)[-_SHOWN:]
    pytest.skip(f"{Path(command[0]).name} could not fetch it: {unjudged}: {said}")
