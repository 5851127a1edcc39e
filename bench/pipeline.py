"""What the figures of the whole pipeline share: one gateway and one server on a core each, rounds interleaved with h2load.

A round of ours begins with an idle gateway and ends when its database says that everything is settled. What the database
and the server counted must be what was asked for; a figure of work that was lost is worth nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from bench import gateway, h2load, payload
from bench.engine import PEAK
from bench.gateway import APP, Gateway
from bench.h2load import Load
from bench.installed_peers import Peer
from bench.machine import Cost, Machine, pinned
from bench.report import PER, Figure, Goal, Run
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
PAYLOAD = f"the same alert as above, {len(payload.BODY)} bytes to Apple, each device its own token"
NDJSON = "application/x-ndjson"
_TO_START = 100
_SETTLE_SECONDS = 120.0
_ANSWER_SECONDS = 300.0

Work = Callable[[int], tuple[float, dict[str, float]]]
"""Has the gateway send so many pushes; returns the elapsed seconds until all is settled, and what else was measured."""
Client = tuple[Callable[[int], Cost], int, int]
"""How a program sends so many pushes, how many it sends a round, and how many the run that is taken off as its start."""


class Stage(msgspec.Struct, frozen=True):
    """Everything that runs while the pipeline is measured."""

    machine: Machine
    directory: Path
    server: Server
    gateway: Gateway
    paths: Path
    peers: list[Peer]

    def post(self, body: bytes, media: str = "application/json", *, app: str = APP) -> Any:
        """POST notifications and return the decoded 202. Raises RuntimeError for any other answer."""
        headers = {"authorization": f"Bearer {self.gateway.key}", "content-type": media}
        status, answer = self._ask("POST", f"/v1/apps/{app}/notifications", body, headers)
        if status != 202:
            raise RuntimeError(f"not accepted: {status} {answer[:500]!r}")
        return json.loads(answer)

    def counts(self, notification: str, app: str = APP) -> dict[str, int]:
        """What the API says about a notification."""
        found: dict[str, int] = json.loads(self.get(f"/v1/apps/{app}/notifications/{notification}"))["counts"]
        return found

    def get(self, path: str) -> bytes:
        """GET a path of the API and return its 200. Raises RuntimeError for any other answer."""
        status, answer = self._ask("GET", path, None, {"authorization": f"Bearer {self.gateway.key}"})
        if status != 200:
            raise RuntimeError(f"no {path}: {status} {answer[:500]!r}")
        return answer

    def pause(self, app: str, *, paused: bool) -> None:
        """Have an app send nothing, or go on. Raises RuntimeError if it is refused."""
        headers = {"authorization": f"Bearer {self.gateway.key}", "content-type": "application/json"}
        status, answer = self._ask("PATCH", f"/v1/apps/{app}", json.dumps({"paused": paused}).encode(), headers)
        if status != 200:
            raise RuntimeError(f"not changed: {status} {answer[:500]!r}")

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
def stage(
    machine: Machine,
    directory: Path,
    apps: dict[str, int],
    *,
    delay_ms: int = 0,
    peers: list[Peer] | None = None,
    program: Sequence[str] = ("wakeline",),
) -> Iterator[Stage]:
    """The gateway on the client's core; the server and whoever asks on the other.

    `apps`: the devices of each app. `peers` run in the rounds too. `program`: see `gateway.serving`.
    """
    with (
        pinned(machine.server_core),
        serving(directory, machine.server_core, delay_ms=delay_ms) as server,
        gateway.serving(directory, server, machine.client_core, apps, program=program) as running,
    ):
        paths = h2load.write_paths(server, directory, payload.PATHS)
        yield Stage(machine, directory, server, running, paths, peers or [])


def lines(requests: int, devices: int, *, first: int = 0) -> bytes:
    """The body of so many notifications, each to one of `devices` users in turn, from the `first` on."""
    content, numbers = json.dumps(CONTENT)[1:], range(first, first + requests)
    return "".join(f'{{"to":{{"users":["{gateway.user(n % devices)}"]}},{content}\n' for n in numbers).encode()


def measure(
    stage: Stage,
    work: Work,
    *,
    key: str,
    name: str,
    goal: Goal,
    rounds: int,
    requests: int,
    notifications: int,
    method: str,
) -> Figure:
    """`rounds` times, in changing order: we, h2load, the stage's peers.

    A run of ours makes `notifications` with `requests` pushes in all. Raises RuntimeError if the end state is another.
    """
    clients = _clients(stage, requests)
    starts = {program: median(send(few).cpu_seconds for _ in range(3)) for program, (send, _, few) in clients.items()}
    names = [OURS, *clients]
    runs: list[Run] = []
    for number in range(1, rounds + 1):
        for program in names if number % 2 else names[::-1]:
            if program == OURS:
                runs.append(_ours(stage, work, number, requests, notifications))
            else:
                runs.append(_client(stage, number, program, clients[program], starts[program]))
    runs.sort(key=lambda run: (run.round, names.index(run.program)))
    return Figure(
        key=key,
        name=name,
        goal=goal,
        payload=PAYLOAD,
        durability=f"{DURABILITY}; of the others: none",
        method=" ".join(method.format(rounds=rounds, requests=requests).split()),
        start_seconds=starts,
        runs=runs,
    )


def _clients(stage: Stage, requests: int) -> dict[str, Client]:
    """h2load and the peers, on the gateway's core, which is idle meanwhile."""
    core, server, directory = stage.machine.client_core, stage.server, stage.directory

    def driven(peer: Peer) -> Client:
        few = peer.kind.to_start
        enough = max(int(requests * peer.kind.share), 2 * few)
        return lambda count: peer.send(server, directory, core, count), enough, few

    return {
        ANCHOR: (
            lambda count: h2load.run(server, directory, core, count, Load(paths=stage.paths)),
            requests,
            _TO_START,
        ),
        **{f"{peer.kind.name} alone": driven(peer) for peer in stage.peers},
    }


def _ours(stage: Stage, work: Work, number: int, requests: int, notifications: int) -> Run:
    gateway = stage.gateway
    saw, tally, cpu = stage.server.counts(), gateway.tally(), gateway.cpu_seconds()
    resident = gateway.resident()
    gateway.forget_peak()
    seconds, more = work(requests)
    cpu, peak = gateway.cpu_seconds() - cpu, gateway.peak()
    now, done = stage.server.counts(), gateway.tally() - tally
    if (done.notifications, done.done, done.accepted, done.jobs) != (notifications, notifications, requests, 0):
        raise RuntimeError(f"{notifications} notifications with {requests} deliveries were asked for: {done}")
    return Run(
        round=number,
        program=OURS,
        requests=requests,
        server_saw=now.requests - saw.requests,
        value=cpu * PER / requests,
        server_cpu=(now.cpu_seconds - saw.cpu_seconds) * PER / requests,
        wall_seconds=seconds,
        more={"RSS growth, MB": (peak - resident) / 1e6, PEAK: peak / 1e6, **more},
    )


def _client(stage: Stage, number: int, program: str, client: Client, start: float) -> Run:
    send, requests, few = client
    saw = stage.server.counts()
    measured = send(requests)
    now = stage.server.counts()
    return Run(
        round=number,
        program=program,
        requests=requests,
        server_saw=now.requests - saw.requests,
        value=(measured.cpu_seconds - start) * PER / (requests - few),
        server_cpu=(now.cpu_seconds - saw.cpu_seconds) * PER / requests,
        wall_seconds=measured.wall_seconds,
    )
