"""Lives from seeds: the promises hold in each, and a seed that broke one is lived again exactly.

`make test-seeds SEEDS=1000-4999` lives these; `make test-seeds SEEDS=1234` lives one again.
"""

from __future__ import annotations

import os

import pytest

from stories.seeded import live


def _seeds(text: str) -> range:
    """Return the seeds of `1234` or `1000-4999`."""
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


SEEDS = _seeds(os.environ.get("SEEDS", "0-99"))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_promises_are_kept_in_the_life_of_seed(seed: int) -> None:
    life = live(seed)
    assert life.keys, "somebody sent something"


def test_a_seed_is_lived_again_exactly() -> None:
    first, again = live(SEEDS[0]), live(SEEDS[0])
    assert first.log == again.log
    assert list(first.judge.heard.items()) == list(again.judge.heard.items())
