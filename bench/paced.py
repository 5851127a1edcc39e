"""Requests by the generator of POSTs: as fast as they are answered, or by the clock at half of what was just reached."""

from __future__ import annotations

import sys

import msgspec

from bench import pipeline
from bench.gateway import APP
from bench.machine import cost
from bench.pipeline import Stage
from bench.poster import LINES, Kind, Posted
from bench.report import Figure

P50, P99 = "p50 at half load, ms", "p99 at half load, ms"
_LEAST = 20


def post(
    stage: Stage, requests: int, devices: int, *, rate: float = 0.0, kind: Kind = Kind.ONE, app: str = APP
) -> Posted:
    """POST so many requests to an app of `devices` devices, `rate` a second, 0: as fast as answers come."""
    arguments = [stage.gateway.port, stage.gateway.key, app, kind.value, requests, devices, rate]
    done = cost([sys.executable, "-m", "bench.poster", *map(str, arguments)], stage.machine.server_core)
    return msgspec.json.decode(done.output, type=Posted)


def at_half_load(stage: Stage, figure: Figure, kind: Kind, devices: int, *, app: str = APP) -> Figure:
    """The figure with what a 202 took at half the rate of each run of ours: a tenth as many pushes, 20 requests at least."""
    pushes = {Kind.ONE: 1, Kind.LINES: LINES, Kind.EVERYONE: devices}[kind]
    runs = []
    for run in figure.runs:
        if run.program == pipeline.OURS:
            requests, rate = max(_LEAST, run.requests // 10 // pushes), run.requests / run.wall_seconds
            half = post(stage, requests, devices, rate=rate / 2 / pushes, kind=kind, app=app)
            stage.settled()
            runs.append(msgspec.structs.replace(run, more={**run.more, P50: half.p50 * 1000, P99: half.p99 * 1000}))
        else:
            runs.append(run)
    return msgspec.structs.replace(figure, runs=runs)
