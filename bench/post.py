"""Figure "single POSTs": a notification a request over keep-alive connections, at saturation and at half of that rate."""

from __future__ import annotations

import time

from bench import paced, pipeline
from bench.pipeline import Stage
from bench.poster import CONNECTIONS, Kind
from bench.report import Figure, Goal

GOAL = Goal(ratio=13.0, value=8.0, more={paced.P99: 15.0})
_METHOD = f"""{{rounds}} rounds; {{requests:,}} POSTs over {CONNECTIONS} keep-alive connections, each with one request under
way, for another user with one device each; from the first POST until the last result is on disk. Then a tenth as many at
half of the rate just reached, sent by the clock; their time is from when a request was due to its 202."""


def measure(stage: Stage, *, rounds: int, requests: int, devices: int) -> Figure:
    """Send `requests` notifications, to one of `devices` users each."""

    def work(requests: int) -> tuple[float, dict[str, float]]:
        started = time.monotonic()
        posted = paced.post(stage, requests, devices)
        stage.settled()
        return time.monotonic() - started, {"p99 at saturation, ms": posted.p99 * 1000}

    figure = pipeline.measure(
        stage,
        work,
        key="post",
        name="Single POSTs",
        goal=GOAL,
        rounds=rounds,
        requests=requests,
        notifications=requests,
        method=_METHOD,
    )
    return paced.at_half_load(stage, figure, Kind.ONE, devices)
