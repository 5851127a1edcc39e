"""Figure "engine alone": our HTTP/2 connection against h2load, one connection to the same server."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median

from bench import h2load, payload
from bench.machine import Cost, Machine, cost
from bench.report import Figure, Goal, Run
from bench.server import Server, serving

OURS, ANCHOR, REPEATED = "wakeline", "h2load", "h2load, one path"
GOAL = Goal(
    ratio=0.9,
    next_idea="measure on a machine that does nothing else: beside other work the interpreter loses more of its caches than "
    "a C program does (0.8 when idle, up to 1.0 beside a test run)",
)
_PER = 100_000
_TO_START = 1_000

Program = Callable[[int], Cost]
"""Sends so many requests and returns what that cost."""


def measure(machine: Machine, directory: Path, *, rounds: int, requests: int) -> Figure:
    """`rounds` times, in changing order: we, h2load with a path each, h2load with one path; `requests` per run."""
    core = machine.client_core
    with serving(directory, machine.server_core) as server:
        paths = h2load.write_paths(server, directory, payload.PATHS)
        programs: dict[str, Program] = {
            OURS: lambda count: _ours(server, core, count),
            ANCHOR: lambda count: h2load.run(server, directory, core, count, paths=paths),
            REPEATED: lambda count: h2load.run(server, directory, core, count),
        }
        starts = {name: median(start(_TO_START).cpu_seconds for _ in range(3)) for name, start in programs.items()}
        runs: list[Run] = []
        for number in range(1, rounds + 1):
            # Each round begins with another program, so that no one always follows the same one.
            order = [*programs][number % 3 :] + [*programs][: number % 3]
            runs += [_run(server, number, name, requests, programs[name], starts[name]) for name in order]
    runs.sort(key=lambda run: (run.round, [*programs].index(run.program)))
    return Figure(
        name="Engine alone",
        goal=GOAL,
        payload=payload.DESCRIPTION,
        durability="none: engine alone",
        method=_METHOD.format(rounds=rounds, requests=requests),
        start_seconds=starts,
        runs=runs,
    )


_METHOD = """{rounds} interleaved rounds of {requests:,} requests; medians. CPU is user + system of the whole client
process, taken from outside by wait4, less that of a run of 1,000 requests (the start). Both walk through 25,000 paths made
before, as every push has a path of its own; ours has as many apns-ids and verifies the server's certificate, h2load
repeats one and does not verify. As "one path" it repeats even the path, so that its header blocks shrink to an index
each, which no sender of pushes can do.""".replace("\n", " ")


def _ours(server: Server, core: int, requests: int) -> Cost:
    arguments = [str(server.port), server.ca_file, str(requests)]
    return cost([sys.executable, "-m", "bench.engine_client", *arguments], core)


def _run(server: Server, number: int, name: str, requests: int, program: Program, start_seconds: float) -> Run:
    before = server.counts()
    measured = program(requests)
    after = server.counts()
    return Run(
        round=number,
        program=name,
        requests=requests,
        server_saw=after.requests - before.requests,
        cpu=(measured.cpu_seconds - start_seconds) * _PER / (requests - _TO_START),
        server_cpu=(after.cpu_seconds - before.cpu_seconds) * _PER / requests,
        wall_seconds=measured.wall_seconds,
    )
