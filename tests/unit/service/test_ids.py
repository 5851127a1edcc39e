"""Keys only grow, whatever the clock does."""

from __future__ import annotations

from wakeline.model.ids import key_at, milliseconds_of
from wakeline.service.ids import KeyMaker


class Wall:
    """A wall clock that is set by hand (Unix ms)."""

    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def test_keys_bear_the_time() -> None:
    assert milliseconds_of(KeyMaker(Wall(1_700_000_000_123), newest=0).next()) == 1_700_000_000_123


def test_many_keys_in_one_millisecond_grow_and_differ() -> None:
    maker = KeyMaker(Wall(1_700_000_000_000), newest=0)
    keys = [maker.next() for _ in range(40_000)]
    assert keys == sorted(set(keys))


def test_keys_grow_also_when_the_wall_clock_goes_back() -> None:
    wall = Wall(1_700_000_000_000)
    maker = KeyMaker(wall, newest=0)
    before = maker.next()
    wall.now -= 3_600_000
    after = [maker.next() for _ in range(3)]
    assert before < after[0] < after[1] < after[2]


def test_after_a_restart_keys_begin_above_the_newest_in_the_store() -> None:
    newest = key_at(1_700_000_000_000, 77)
    assert KeyMaker(Wall(1_600_000_000_000), newest).next() == newest + 1
