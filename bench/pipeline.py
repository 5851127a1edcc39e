"""What the figures of the whole pipeline share: one gateway and one server on a core each, rounds interleaved with h2load.

A round of ours begins with an idle gateway and ends when its database says that everything is settled. What the database
and the server counted must be what was asked for; a figure of work that was lost is worth nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from bench import gateway, h2load, payload
from bench.gateway import Gateway
from bench.machine import Cost, Machine, pinned
from bench.report import Figure, Goal, Run
from bench.server import Server, serving

OURS, ANCHOR = "wakeline", "h2load"
DURABILITY = "SQLite in WAL mode with synchronous=FULL: accepted means on disk, settled means on disk"
CONTENT: dict[str, Any] = {
    "alert": {
        "title": "Nadia Petrova",
        "body": "The offer for the Riverside project is ready, please look at page 3 before noon.",
        "sound": "default",
        "badge": 4,
        "thread": "chat-118",
        "category": "MESSAGE",
    },
    "data": {"chat": 118, "message": "0193f4e2-7c1d-7d10-9000-00"},
}
"""The request of `payload` as a caller of the API writes it."""
NDJSON = "application/x-ndjson"
_PER = 100_000
_TO_START = 100
_SETTLE_SECONDS = 120.0
_ANSWER_SECONDS = 300.0

Work = Callable[[int], tuple[float, dict[str, float]]]
"""Has the gateway send so many pushes; returns the elapsed seconds until all is settled, and what else was measured."""


class Stage(msgspec.Struct, frozen=True):
    """Everything that runs while the pipeline is measured."""

    machine: Machine
    directory: Path
    server: Server
    gateway: Gateway
    paths: Path

    def post(self, body: bytes, media: str = "application/json") -> Any:
        """POST notifications and return the decoded 202. Raises RuntimeError for any other answer."""
        headers = {"authorization": f"Bearer {self.gateway.key}", "content-type": media}
        status, answer = self._ask("POST", f"/v1/apps/{gateway.APP}/notifications", body, headers)
        if status != 202:
            raise RuntimeError(f"not accepted: {status} {answer[:500]!r}")
        return json.loads(answer)

    def counts(self, notification: str) -> dict[str, int]:
        """What the API says about a notification."""
        headers = {"authorization": f"Bearer {self.gateway.key}"}
        _, answer = self._ask("GET", f"/v1/apps/{gateway.APP}/notifications/{notification}", None, headers)
        found: dict[str, int] = json.loads(answer)["counts"]
        return found

    def settled(self) -> None:
        """Wait for the end of all work."""
        self.gateway.settled(_SETTLE_SECONDS)

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        connection = HTTPConnection("127.0.0.1", self.gateway.port, timeout=_ANSWER_SECONDS)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


@contextmanager
def stage(machine: Machine, directory: Path, devices: int) -> Iterator[Stage]:
    """The gateway on the client's core; the server and whoever asks on the other."""
    with (
        pinned(machine.server_core),
        serving(directory, machine.server_core) as server,
        gateway.serving(directory, server, machine.client_core, devices) as running,
    ):
        paths = h2load.write_paths(server, directory, payload.PATHS)
        yield Stage(machine, directory, server, running, paths)


def measure(
    stage: Stage, work: Work, *, name: str, goal: Goal, rounds: int, requests: int, notifications: int, method: str
) -> Figure:
    """`rounds` times, in changing order: we, h2load. A run of ours makes `notifications` with `requests` pushes in all.

    Raises RuntimeError if the end state is not what was asked for.
    """
    programs: dict[str, Callable[[int], Run]] = {
        OURS: lambda number: _ours(stage, work, number, requests, notifications),
        ANCHOR: lambda number: _anchor(stage, number, requests, start),
    }
    start = median(_h2load(stage, _TO_START).cpu_seconds for _ in range(3))
    runs: list[Run] = []
    for number in range(1, rounds + 1):
        order = [*programs] if number % 2 else [*programs][::-1]
        runs += [programs[program](number) for program in order]
    runs.sort(key=lambda run: (run.round, run.program != OURS))
    return Figure(
        name=name,
        goal=goal,
        payload=f"the same alert as above, {len(payload.BODY)} bytes to Apple, each device its own token",
        durability=DURABILITY,
        method=" ".join(method.format(rounds=rounds, requests=requests).split()),
        start_seconds={ANCHOR: start},
        runs=runs,
    )


def _ours(stage: Stage, work: Work, number: int, requests: int, notifications: int) -> Run:
    gateway = stage.gateway
    saw, tally, cpu = stage.server.counts(), gateway.tally(), gateway.cpu_seconds()
    resident = gateway.resident()
    gateway.forget_peak()
    seconds, more = work(requests)
    cpu, growth = gateway.cpu_seconds() - cpu, gateway.peak() - resident
    now, done = stage.server.counts(), gateway.tally() - tally
    if (done.notifications, done.done, done.accepted, done.jobs) != (notifications, notifications, requests, 0):
        raise RuntimeError(f"{notifications} notifications with {requests} deliveries were asked for: {done}")
    return Run(
        round=number,
        program=OURS,
        requests=requests,
        server_saw=now.requests - saw.requests,
        cpu=cpu * _PER / requests,
        server_cpu=(now.cpu_seconds - saw.cpu_seconds) * _PER / requests,
        wall_seconds=seconds,
        more={"RSS growth, MB": growth / 1e6, **more},
    )


def _anchor(stage: Stage, number: int, requests: int, start: float) -> Run:
    """h2load on the gateway's core, which is idle meanwhile."""
    saw = stage.server.counts()
    measured = _h2load(stage, requests)
    now = stage.server.counts()
    return Run(
        round=number,
        program=ANCHOR,
        requests=requests,
        server_saw=now.requests - saw.requests,
        cpu=(measured.cpu_seconds - start) * _PER / (requests - _TO_START),
        server_cpu=(now.cpu_seconds - saw.cpu_seconds) * _PER / requests,
        wall_seconds=measured.wall_seconds,
    )


def _h2load(stage: Stage, requests: int) -> Cost:
    return h2load.run(stage.server, stage.directory, stage.machine.client_core, requests, paths=stage.paths)
