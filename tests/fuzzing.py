"""How hard property tests look: as they stand in `make test`, and FUZZ times as hard, at random, in `make test-fuzz`."""

from __future__ import annotations

import os

FACTOR = int(os.environ.get("FUZZ", "1"))

REPEATABLE = FACTOR == 1
"""In `make test` the same examples each time, so that a red run means a change; a fuzz run looks elsewhere each time."""


def examples(number: int) -> int:
    """Return how many examples to try where `make test` tries `number`."""
    return number * FACTOR
