"""What the watch over the loop says of the times it has seen."""

from __future__ import annotations

from bench.stepped import Times


def test_a_quantile_is_the_end_of_the_bucket_in_which_it_lies_and_never_above_the_longest() -> None:
    seen = Times(counts={1: 990, 150: 9, 400: 1}, longest=0.004_005)

    assert seen.number == 1000
    assert seen.quantile(0.99) == 2 * 10e-6
    assert seen.quantile(0.999) == 151 * 10e-6
    assert seen.quantile(1.0) == 0.004_005


def test_of_nothing_seen_there_is_no_quantile() -> None:
    assert Times(counts={}, longest=0.0).quantile(0.999) == 0.0
