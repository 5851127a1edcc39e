"""The simulation beside what was measured: broadcasts on loopback and at 50 and 100 ms, and calls beside a broadcast.

Given to the simulation is the CPU time that was measured with each point; what it has to find is the elapsed time, which
follows from streams, connections, turns, round trips and commits. For calls the median is fitted (how many loop steps a call
passes is not in the report) and the rest of the distribution is found.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import cache
from statistics import median, quantiles

import msgspec

from bench.scale import given
from bench.scale.around import Far, Work
from bench.scale.measured import Measured, Point
from bench.scale.node import Done, Node

SLOW, FAST_FAR, FAST_NEAR = 1 / 3, 0.4, 0.5
"""How much slower, and how much faster, the simulation of a broadcast may be, by what was measured: a test holds the kept
report to it. Faster by more, since whatever else runs on the machine lengthens what is measured; next door, where the core is
all that counts, by most: at a load of 5 on two cores, 39 % were seen there and 30 % at 50 ms."""

LOOK = 0.01
"""Seconds, in the mean, after which the bench sees that all is settled: it looks every 20 ms."""

_MOST_STAGES = 40
_ENOUGH = 200_000
"""Devices of a broadcast beside which calls are looked at: from then on one second is like the other."""


class Judged(msgspec.Struct, frozen=True):
    """One point: what was measured and what came out, in seconds."""

    point: Point
    simulated: float

    @property
    def error(self) -> float:
        """What the simulation is off by, of the measured time; negative: too fast."""
        return self.simulated / self.point.seconds - 1

    @property
    def least(self) -> float:
        """How much too fast it may be."""
        return -FAST_FAR if self.point.trip else -FAST_NEAR


def broadcasts(measured: Measured) -> list[Judged]:
    """Simulate every broadcast that was measured. The bench's server answers by the clock and trusts at once."""
    return [_judged(point) for point in measured.points]


def _judged(point: Point) -> Judged:
    far = Far(trip=point.trip / 1000, jitter=0.0, dial=0.0, trusted=True)
    seconds, connected = [], 0
    for measured in point.rounds:
        work = Work(broadcast=point.devices, broadcast_cost=measured.cpu / point.devices, connected=connected)
        done = Node(far, work).run()
        seconds.append(done.drained + LOOK)
        connected = done.connections
    return Judged(point, median(seconds))


@cache
def stages(measured: Measured) -> int:
    """Return how many loop steps a call passes: as many as bring the simulated median nearest to the measured one."""

    def of(steps: int) -> float:
        return middle(calls(measured, steps))

    above = bisect_left(range(1, _MOST_STAGES), measured.call_p50, key=of) + 1  # more steps take longer
    return min((max(1, above - 1), above), key=lambda steps: abs(of(steps) - measured.call_p50))


def calls(measured: Measured, steps: int) -> list[float]:
    """Return the milliseconds that calls beside the measured broadcast take on loopback."""
    return beside(measured, Far(), min(measured.call_devices, _ENOUGH), steps, cost=measured.call_cpu)


def beside(
    measured: Measured,
    far: Far,
    devices: int,
    steps: int,
    *,
    cost: float,
    commit: float = given.FSYNC.value / 1000,
) -> list[float]:
    """Return the milliseconds that calls take while a broadcast runs; `cost` is that of a push of the broadcast."""
    done = run(measured, far, devices, steps, cost=cost, commit=commit)
    return [seconds * 1000 for seconds in done.calls]


def run(measured: Measured, far: Far, devices: int, steps: int, *, cost: float, commit: float) -> Done:
    """Simulate a broadcast with calls beside it, all connections up."""
    enough = devices * max(cost, far.trip / (far.streams * far.most))
    work = Work(
        broadcast=devices,
        broadcast_cost=cost,
        calls=given.CALLS.value,
        single_cost=measured.single,
        seconds=enough,
        stages=steps,
        connected=far.most,
    )
    return Node(far, work, commit=commit).run()


def middle(values: list[float]) -> float:
    """Return the median."""
    return quantiles(values, n=2, method="inclusive")[0]


def worst(values: list[float]) -> float:
    """Return the 99th percentile."""
    return quantiles(values, n=100, method="inclusive")[98]
