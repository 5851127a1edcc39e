"""Throughput against fan-out size, cores and payload: how the figures move away from where they were measured."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import engine, gateway, h2load, payload, pipeline
from bench.h2load import Load
from bench.machine import Machine
from bench.pipeline import Stage
from bench.report import Line, Plot, Point
from bench.server import serving

RATE = "pushes a second"
BODIES = (255, 1024, 2048, 4096)
"""Bytes; Apple takes no more than the last."""


def app_of(devices: int) -> str:
    """The app that has so many devices."""
    return f"bench-{devices}"


def by_size(stage: Stage, sizes: list[int], *, rounds: int) -> Plot:
    """One notification to everyone of apps of different sizes, and as many requests by h2load."""
    ours: dict[int, list[float]] = {size: [] for size in sizes}
    theirs: dict[int, list[float]] = {size: [] for size in sizes}
    core, load = stage.machine.client_core, Load(paths=stage.paths)
    for _ in range(rounds):
        for size in sizes:
            ours[size].append(size / _fanout(stage, app_of(size), size))
            sent = h2load.run(stage.server, stage.directory, core, size, load)
            theirs[size].append(size / sent.wall_seconds)
    return Plot(
        key="fanout-size",
        name="Throughput against fan-out size",
        x="devices",
        y=RATE,
        logarithmic=True,
        method=f"{rounds} rounds; from the POST until the last result is on disk. h2load sends as many from its start to its "
        "end, which is what few of them are mostly made of.",
        lines=[_line(pipeline.OURS, ours), _line(pipeline.ANCHOR, theirs)],
    )


def by_cores(stage: Stage, cores: list[int], devices: int, *, rounds: int) -> Plot:
    """The same broadcast while the gateway may use one core, two, ... all."""
    counts = range(1, len(cores) + 1)
    ours: dict[int, list[float]] = {count: [] for count in counts}
    for _ in range(rounds):
        for count in counts:
            with _on(stage.gateway.process.pid, set(cores[:count])):
                ours[count].append(devices / _fanout(stage, gateway.APP, devices))
    return Plot(
        key="cores",
        name="Throughput against cores",
        x="cores that the gateway may use",
        y=RATE,
        method=f"{rounds} rounds of one notification to {devices:,} devices. The gateway is one process with one loop; a "
        "second core takes the commits. The server has the last core, so that the last point shares it.",
        lines=[_line(pipeline.OURS, ours)],
    )


def by_payload(machine: Machine, directory: Path, *, rounds: int, requests: int) -> Plot:
    """The engine and h2load with bodies up to the largest that Apple takes."""
    ours: dict[int, list[float]] = {size: [] for size in BODIES}
    theirs: dict[int, list[float]] = {size: [] for size in BODIES}
    core = machine.client_core
    with serving(directory, machine.server_core) as server:
        paths = h2load.write_paths(server, directory, payload.PATHS)
        for _ in range(rounds):
            for size in BODIES:
                load = Load(paths=paths, body=payload.body_of(size))
                sent = engine.ours(server, directory, core, requests, load)
                ours[size].append(requests / sent.wall_seconds)
                sent = h2load.run(server, directory, core, requests, load)
                theirs[size].append(requests / sent.wall_seconds)
    return Plot(
        key="payload",
        name="Throughput against payload",
        x="bytes of body",
        y=RATE,
        method=f"Engine alone; {rounds} rounds of {requests:,} requests over one connection, {payload.IN_FLIGHT} in flight; "
        "from the start of each program to its end.",
        lines=[_line(engine.OURS, ours), _line(engine.ANCHOR, theirs)],
    )


def _fanout(stage: Stage, app: str, devices: int) -> float:
    """Seconds until a notification to everyone is settled. Raises RuntimeError if one device did not get it."""
    tally = stage.gateway.tally()
    started = time.monotonic()
    stage.post(json.dumps({"to": {"everyone": True}, **pipeline.CONTENT}).encode(), app=app)
    stage.settled()
    seconds = time.monotonic() - started
    done = stage.gateway.tally() - tally
    if done.accepted != devices:
        raise RuntimeError(f"{devices} devices, {done}")
    return seconds


def _line(program: str, measured: dict[int, list[float]]) -> Line:
    return Line(program, [Point(float(x), values) for x, values in measured.items()])


@contextmanager
def _on(pid: int, cores: set[int]) -> Iterator[None]:
    """All threads of a process on these cores, and back afterwards."""
    threads = [int(entry.name) for entry in Path(f"/proc/{pid}/task").iterdir()]
    before = {thread: os.sched_getaffinity(thread) for thread in threads}
    for thread in threads:
        os.sched_setaffinity(thread, cores)
    try:
        yield
    finally:
        for thread, former in before.items():
            os.sched_setaffinity(thread, former)
