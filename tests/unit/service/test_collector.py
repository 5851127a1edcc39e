from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from wakeline.service.collector import LATEST, YOUNG, Collector, settle


class Gateway:
    def __init__(self) -> None:
        self.idle = False
        self.collections = 0

    def collect(self) -> None:
        self.collections += 1

    def look(self, collector: Collector, *, idle: bool) -> int:
        self.idle = idle
        collector.look()
        return self.collections


@pytest.fixture
def usual() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def test_collects_when_nothing_waits_and_else_only_after_a_long_time() -> None:
    gateway = Gateway()
    collector = Collector(lambda: gateway.idle, gateway.collect)

    assert gateway.look(collector, idle=True) == 1
    assert [gateway.look(collector, idle=False) for _ in range(LATEST)] == [1] * (LATEST - 1) + [2]
    assert gateway.look(collector, idle=False) == 2
    assert gateway.look(collector, idle=True) == 3


def test_full_collections_are_not_left_to_chance(usual: None) -> None:
    settle()

    young, _, full = gc.get_threshold()
    assert young == YOUNG
    assert full > 1_000_000
    assert gc.get_freeze_count() > 0
