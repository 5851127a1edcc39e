"""A day of one node, ten seconds at a time: alerts with a rhythm and a noon peak, a broadcast at noon, one core.

Work is counted in CPU seconds: what comes, what waits, what is done. Alerts go first, a broadcast gets a twentieth at least
while it waits (promise 4). Ten seconds are long beside a push and short beside a queue; what happens inside them is `node`'s.
"""

from __future__ import annotations

import math
import random

import msgspec

from wakeline.pipeline.lanes import SHARE

STEP = 10
DAY = 86_400
NOON = 12 * 3600

_HOURS = (3, 2, 2, 1, 1, 2, 4, 8, 11, 12, 11, 11, 13, 11, 10, 10, 10, 11, 12, 13, 12, 10, 8, 5)
"""How busy each hour of the day is, at its middle: night, morning, noon, evening."""

_NOON_PEAK = 2.0
"""What the ten minutes from noon on are busier by: meal times, appointments, what cron sends."""

_NOON_SECONDS = 600
_BURST = 0.1
"""Spread of the minutes around the rhythm, standard deviation by mean."""


class Day(msgspec.Struct, frozen=True):
    """What came of a day. Waits in seconds, `waiting` in pushes; `broadcast`: seconds from noon until all of it was sent."""

    peak: float
    """The busiest ten seconds by the mean."""
    waiting: int
    wait: float
    late: int
    """Minutes in which an alert waited longer than a second."""
    broadcast: float | None


def rhythm(second: float) -> float:
    """Return how busy a second of the day is, by the day's mean."""
    return _shape(second) / _MEAN


def _shape(second: float) -> float:
    place = (second / 3600 - 0.5) % 24
    hour, part = int(place), place % 1
    busy = _HOURS[hour] * (1 - part) + _HOURS[(hour + 1) % 24] * part
    return busy * (_NOON_PEAK if NOON <= second < NOON + _NOON_SECONDS else 1.0)


_MEAN = math.fsum(_shape(second) for second in range(0, DAY, STEP)) / (DAY // STEP)


def busiest() -> float:
    """Return the rhythm's peak by its mean."""
    return max(rhythm(second) for second in range(0, DAY, STEP))


def live(mean: float, cost: float, *, broadcast: int = 0, broadcast_cost: float = 0.0, seed: int = 1) -> Day:
    """Live a day and what is left of it after midnight: `mean` alerts a second at `cost` CPU seconds each."""
    chance = random.Random(seed)  # noqa: S311 - a simulation, and it must repeat
    waiting, bulk, most, longest, late, peak, burst = 0.0, 0.0, 0.0, 0.0, set(), 0.0, 1.0
    ended: float | None = None
    for second in range(0, 2 * DAY, STEP):
        if second % 60 == 0:
            burst = max(0.0, chance.gauss(1.0, _BURST))
        rate = mean * rhythm(second) * burst if second < DAY else 0.0
        count = max(0.0, chance.gauss(rate * STEP, (rate * STEP) ** 0.5))
        peak = max(peak, count / STEP)
        if second == NOON:
            bulk += broadcast * broadcast_cost
        work = waiting + count * cost
        for_bulk = min(bulk, max(SHARE * STEP, STEP - work))
        done = min(work, STEP - for_bulk)
        bulk -= for_bulk
        waiting = work - done
        wait = waiting / (1 - SHARE if bulk else 1)
        most, longest = max(most, waiting / cost), max(longest, wait)
        if wait > 1.0:
            late.add(second // 60)
        if broadcast and second >= NOON and bulk <= 0 and ended is None:
            ended = second + for_bulk - NOON
        if second >= DAY and waiting <= 0 and bulk <= 0:
            break
    return Day(peak / mean, round(most), longest, len(late), ended)
