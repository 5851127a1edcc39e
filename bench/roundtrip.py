"""Figures at 50 and 100 ms of round trip: on a long way streams and windows are the limit, on loopback never.

The server holds each answer back for the round trip. Throughput then is at most streams by round trip: the elapsed time is
the measure, and CPU stands beside it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from bench import engine, gateway, h2load, payload, pipeline
from bench.h2load import Load
from bench.machine import Cost, Machine
from bench.report import PER, Figure, Goal, Run
from bench.server import Server, serving

TRIPS = (50, 100)
UNIT = "elapsed s per 100,000"
STREAMS = 1000
CONNECTIONS = 4
_CPU = "CPU s per 100,000"
_ENGINE = """{rounds} interleaved rounds of {requests:,} requests over one connection with {streams:,} streams, all in
flight; the server holds each answer back for {trip} ms, so that nobody can be faster than {bound:.1f} s per 100,000.
The start of the program is part of it."""
_FANOUT = """{rounds} rounds; one POST with `everyone` to {requests:,} devices, from the POST until its last result is on
disk; the server holds each answer back for {trip} ms. The gateway may open {connections} connections of {streams:,}
streams, h2load opens as many at once: nobody can be faster than {bound:.1f} s per 100,000."""


def measure_engine(machine: Machine, directory: Path, trip: int, *, rounds: int, requests: int) -> Figure:
    """Our connection and h2load, `requests` each, `rounds` times."""
    core = machine.client_core
    load = Load(in_flight=STREAMS)
    runs: list[Run] = []
    with serving(directory, machine.server_core, max_streams=STREAMS, delay_ms=trip) as server:
        paths = h2load.write_paths(server, directory, payload.PATHS)
        for number in range(1, rounds + 1):
            runs += [
                _run(
                    server, number, engine.OURS, requests, lambda: engine.ours(server, directory, core, requests, load)
                ),
                _run(
                    server,
                    number,
                    engine.ANCHOR,
                    requests,
                    lambda: h2load.run(server, directory, core, requests, Load(paths=paths, in_flight=STREAMS)),
                ),
            ]
    return Figure(
        key=f"engine-{trip}ms",
        name=f"Engine alone, {trip} ms away",
        goal=Goal(),
        unit=UNIT,
        payload=payload.DESCRIPTION.replace(f"{payload.IN_FLIGHT} in flight", f"{STREAMS} in flight"),
        durability="none: engine alone",
        method=" ".join(
            _ENGINE.format(rounds=rounds, requests=requests, streams=STREAMS, trip=trip, bound=_bound(trip, 1)).split()
        ),
        runs=runs,
    )


def measure_fanout(machine: Machine, directory: Path, trip: int, *, rounds: int, devices: int) -> Figure:
    """One notification to `devices` devices, `rounds` times, on a gateway of its own."""
    runs: list[Run] = []
    with pipeline.stage(machine, directory, {gateway.APP: devices}, delay_ms=trip) as stage:
        load = Load(paths=stage.paths, in_flight=STREAMS, connections=CONNECTIONS)

        def sent() -> Cost:
            started, cpu = time.monotonic(), stage.gateway.cpu_seconds()
            taken = stage.post(json.dumps({"to": {"everyone": True}, **pipeline.CONTENT}).encode())
            stage.settled()
            seconds = time.monotonic() - started
            if stage.counts(taken["id"])["accepted"] != devices:
                raise RuntimeError(f"the API says {stage.counts(taken['id'])}")
            return Cost(stage.gateway.cpu_seconds() - cpu, seconds, stage.gateway.peak(), "")

        for number in range(1, rounds + 1):
            runs += [
                _run(stage.server, number, pipeline.OURS, devices, sent),
                _run(
                    stage.server,
                    number,
                    pipeline.ANCHOR,
                    devices,
                    lambda: h2load.run(stage.server, directory, machine.client_core, devices, load),
                ),
            ]
    return Figure(
        key=f"fanout-{trip}ms",
        name=f"Fan-out, {trip} ms away",
        goal=Goal(),
        unit=UNIT,
        payload=pipeline.PAYLOAD,
        durability=pipeline.DURABILITY,
        method=" ".join(
            _FANOUT.format(
                rounds=rounds,
                requests=devices,
                trip=trip,
                connections=CONNECTIONS,
                streams=STREAMS,
                bound=_bound(trip, CONNECTIONS),
            ).split()
        ),
        runs=runs,
    )


def _bound(trip: int, connections: int) -> float:
    """Seconds that 100,000 requests take at least."""
    return PER * trip / 1000 / (connections * STREAMS)


def _run(server: Server, number: int, program: str, requests: int, send: Callable[[], Cost]) -> Run:
    before = server.counts()
    measured = send()
    after = server.counts()
    return Run(
        round=number,
        program=program,
        requests=requests,
        server_saw=after.requests - before.requests,
        value=measured.wall_seconds * PER / requests,
        server_cpu=(after.cpu_seconds - before.cpu_seconds) * PER / requests,
        wall_seconds=measured.wall_seconds,
        more={_CPU: measured.cpu_seconds * PER / requests},
    )
