"""Figure "engine alone": our HTTP/2 connection against h2load and the peers, one connection to the same server."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles

import msgspec

from bench import h2load, payload
from bench.h2load import Load
from bench.installed_peers import Peer
from bench.machine import Cost, Machine, cost
from bench.report import PER, Figure, Goal, Run
from bench.server import Server, serving

OURS, ANCHOR, REPEATED = "wakeline", "h2load", "h2load, one path"
P50, P99, PEAK = "p50 at 500/s, ms", "p99 at 500/s, ms", "RSS peak, MB"
GOAL = Goal(ratio=0.9)
_PACE = 500.0
_TO_START = 1_000
_METHOD = """{rounds} interleaved rounds of {requests:,} requests, fewer for slow peers (below the table stands how
many); medians. CPU is user + system of the whole client process, taken from outside by wait4, less that of a short run (the
start: 1,000 requests, 500 for @parse/node-apn, 200 for aioapns). All walk through 25,000 paths; ours made them before, as
h2load its file, has as many apns-ids and verifies the server's certificate, as the peers do; h2load repeats one id and does
not verify. As "one path" it repeats even the path, so that its header blocks shrink to an index each, which no sender of
pushes can do. The peers are driven by a small program each, in their own language, with one connection and as many in
flight; aioapns writes its JSON with spaces, 17 bytes more. After every round each sends {paced:,} requests at 500 a second,
by the clock: the times are from when a request was due (h2load: from when it was sent) to its answer. The server has a
core of its own, and the part of a run in which it was busy is in the table: it is not the limit. A JVM is not yet warm in so
short a run of 500 a second."""

Send = Callable[[int, float], Cost]
"""Sends so many requests, at a rate or (0) as fast as answers come."""


class Contender(msgspec.Struct, frozen=True):
    """A program to be measured; `requests` a round."""

    send: Send
    requests: int
    to_start: int = _TO_START


def measure(machine: Machine, directory: Path, peers: list[Peer], *, rounds: int, requests: int, paced: int) -> Figure:
    """`rounds` times, in changing order: all programs, as fast as they can and then `paced` requests by the clock."""
    with serving(directory, machine.server_core) as server:
        contenders = _contenders(machine.client_core, directory, server, peers, requests)
        names = [*contenders]
        starts = {name: _start(contenders[name]) for name in names}
        runs: list[Run] = []
        for number in range(1, rounds + 1):
            # Each round begins with another program, so that no one always follows the same one.
            first = number % len(names)
            runs += [
                _run(server, number, name, contenders[name], starts[name], paced)
                for name in names[first:] + names[:first]
            ]
    runs.sort(key=lambda run: (run.round, names.index(run.program)))
    return Figure(
        key="engine",
        name="Engine alone",
        goal=GOAL,
        payload=payload.DESCRIPTION,
        durability="none: engine alone",
        method=" ".join(_METHOD.format(rounds=rounds, requests=requests, paced=paced).split()),
        start_seconds=starts,
        runs=runs,
    )


def ours(server: Server, directory: Path, core: int, requests: int, load: Load) -> Cost:
    """Our client, with what h2load is told; paths are always its own."""
    body = directory / "ours.json"
    body.write_bytes(load.body)
    arguments = [server.port, server.ca_file, requests, load.in_flight, load.rate, body]
    return cost([sys.executable, "-m", "bench.engine_client", *map(str, arguments)], core)


def _contenders(core: int, directory: Path, server: Server, peers: list[Peer], requests: int) -> dict[str, Contender]:
    paths = h2load.write_paths(server, directory, payload.PATHS)

    def anchor(count: int, rate: float) -> Cost:
        return h2load.run(server, directory, core, count, Load(paths=paths, rate=rate))

    def repeated(count: int, rate: float) -> Cost:
        return h2load.run(server, directory, core, count, Load(rate=rate))

    def we(count: int, rate: float) -> Cost:
        return ours(server, directory, core, count, Load(rate=rate))

    def driven(peer: Peer) -> Contender:
        start = peer.kind.to_start
        enough = max(int(requests * peer.kind.share), 2 * start)
        return Contender(lambda count, rate: peer.send(server, directory, core, count, rate), enough, start)

    return {
        OURS: Contender(we, requests),
        ANCHOR: Contender(anchor, requests),
        REPEATED: Contender(repeated, requests),
        **{peer.kind.name: driven(peer) for peer in peers},
    }


def _start(contender: Contender) -> float:
    return median(contender.send(contender.to_start, 0).cpu_seconds for _ in range(3))


def _run(server: Server, number: int, name: str, contender: Contender, start_seconds: float, paced: int) -> Run:
    before = server.counts()
    measured = contender.send(contender.requests, 0)
    after = server.counts()
    took = quantiles([int(line) / 1000 for line in contender.send(paced, _PACE).output.split()], n=100)
    return Run(
        round=number,
        program=name,
        requests=contender.requests,
        server_saw=after.requests - before.requests,
        value=(measured.cpu_seconds - start_seconds) * PER / (contender.requests - contender.to_start),
        server_cpu=(after.cpu_seconds - before.cpu_seconds) * PER / contender.requests,
        wall_seconds=measured.wall_seconds,
        more={P50: took[49], P99: took[98], PEAK: measured.peak / 1e6},
    )
