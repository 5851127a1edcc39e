"""Figure "single POSTs": a notification a request over keep-alive connections, at saturation and at half of that rate."""

from __future__ import annotations

import sys
import time

import msgspec

from bench import pipeline
from bench.machine import cost
from bench.pipeline import Stage
from bench.poster import CONNECTIONS, Posted
from bench.report import Figure, Goal

GOAL = Goal(
    ratio=13.0,
    value=8.0,
    more={"p99 at half load, ms": 15.0},
    next_idea="answer the hot route below ASGI, inside uvicorn's protocol class: HTTP takes 40 %, of which two system calls "
    "an answer (head and body apart) are a quarter; uvloop (`[server] uvloop`) takes 12 to 19 % off; the rest is what "
    "NDJSON pays too",
)
_METHOD = f"""{{rounds}} rounds; {{requests:,}} POSTs over {CONNECTIONS} keep-alive connections, each with one request under
way, for another user with one device each; from the first POST until the last result is on disk. Then a tenth as many at
half of the rate just reached, sent by the clock; their time is from when a request was due to its 202."""


def measure(stage: Stage, *, rounds: int, requests: int, devices: int) -> Figure:
    """Send `requests` notifications, to one of `devices` users each."""
    rates: list[float] = []

    def work(requests: int) -> tuple[float, dict[str, float]]:
        started = time.monotonic()
        posted = post(stage, requests, devices)
        rates.append(requests / posted.seconds)
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
    runs = []
    for run in figure.runs:
        if run.program == pipeline.OURS:
            half = post(stage, requests // 10, devices, rate=rates[run.round - 1] / 2)
            stage.settled()
            more = {"p50 at half load, ms": half.p50 * 1000, "p99 at half load, ms": half.p99 * 1000}
            runs.append(msgspec.structs.replace(run, more={**run.more, **more}))
        else:
            runs.append(run)
    return msgspec.structs.replace(figure, runs=runs)


def post(stage: Stage, requests: int, devices: int, *, rate: float = 0.0) -> Posted:
    arguments = [str(stage.gateway.port), stage.gateway.key, str(requests), str(devices), str(rate)]
    done = cost([sys.executable, "-m", "bench.poster", *arguments], stage.machine.server_core)
    return msgspec.json.decode(done.output, type=Posted)
