"""What a package manager fetches for a test: asked twice, since mirrors fail for a moment; what cannot be had is skipped loudly."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pytest

TRIES = 2
SECONDS = 120
"""For each try: a mirror that does not answer holds the tests up for so long."""
PATIENCE = TRIES * SECONDS + 90
"""Seconds for a test that may be the first to need what is fetched."""

_IMPATIENT = {
    "npm_config_fetch_retries": "1",
    "npm_config_fetch_retry_mintimeout": "1000",
    "npm_config_fetch_timeout": "30000",
    "PIP_RETRIES": "1",
    "PIP_DEFAULT_TIMEOUT": "30",
}
"""Where there is no network at all, each of them would try for minutes by itself."""
_SHOWN = 300


def fetch(
    command: Sequence[str],
    directory: Path,
    *,
    unjudged: str,
    fetched: Callable[[], bool] = lambda: True,
    environment: Mapping[str, str] = MappingProxyType({}),
    seconds: float = SECONDS,
) -> None:
    """Run a package manager in `directory`, with `environment` on top, until it succeeds and `fetched` finds what was wanted.

    Skips the test if it never does: `unjudged` says what was not tried for that.
    """
    said = ""
    for _ in range(TRIES):
        try:
            done = subprocess.run(
                command,
                cwd=directory,
                env={**os.environ, **_IMPATIENT, **environment},
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            said = f"it did not end within {seconds} s"
            continue
        if done.returncode == 0 and fetched():
            return
        said = (done.stderr or done.stdout)[-_SHOWN:]
    pytest.skip(f"{Path(command[0]).name} could not fetch it: {unjudged}: {said}")
