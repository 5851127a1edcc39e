"""Figure "loop": how long the gateway's event loop is kept from its sockets, in all kinds of work.

A call that comes in waits for the end of the step that runs. The gateway is watched from inside (`stepped`), unchanged. What
a step computes is the measure, by the thread's own clock: the machine's other work is not in it. What it took by the wall
stands beside it, since that also has what it waited for, such as a disk.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from bench import gateway, importing, machine, pipeline, starting
from bench.gateway import Gateway
from bench.machine import Machine
from bench.paced import post
from bench.pipeline import Stage
from bench.report import PER, Figure, Goal, Run
from bench.server import Counts, serving
from bench.stepped import LONG, Steps

UNIT = "ms that the longest step computed"
_MOST = LONG * 1000
_METHOD = """One gateway for {requests:,} single POSTs at saturation and half as many at half of that rate, {requests:,} lines of
NDJSON, a broadcast to {devices:,} devices and an import of {imported:,}, each until all is settled, after {idle:g} s without
work; another for what follows a start with {jobs:,} queued jobs; and a third that forgets all that this left, because it is
older than [retention] says, while it answers /metrics and {posts} POSTs a second. Each began as it does for its users: the
first connection and the first of everything else are in it. A step is one callback, or one piece of a task until its next wait;
a turn is all steps between two looks at the sockets."""
_POSTS = 100
_LOOK_EVERY = 0.005
_SECONDS = 120.0
_NAMED = 8


class Size(NamedTuple):
    """How much work is watched; `idle` in seconds."""

    requests: int
    devices: int
    imported: int
    jobs: int
    idle: float


class _Seen(NamedTuple):
    """What was seen of the loop in one kind of work."""

    work: str
    steps: Steps
    seconds: float

    @property
    def longest(self) -> float:
        """Seconds that the longest step computed; one that was not named took less than `LONG`."""
        return max((step.cpu for step in self.steps.long), default=min(self.steps.steps.longest, LONG))


def measure(here: Machine, directory: Path, size: Size) -> Figure:
    """Watch all kinds of work once."""
    serving_, starting_ = directory / "serving", directory / "starting"
    serving_.mkdir()
    starting_.mkdir()
    pushes, seen = _serving(here, serving_, size)
    more_pushes, more_seen = _starting(here, starting_, size)
    pushes, seen = pushes + more_pushes, seen + more_seen
    goals = {f"{one.work}: longest, ms": _MOST for one in seen}
    return Figure(
        key="loop",
        name="Steps of the event loop",
        goal=Goal(value=_MOST, more=goals),
        unit=UNIT,
        payload=pipeline.PAYLOAD,
        durability=pipeline.DURABILITY,
        method=" ".join(_METHOD.format(**size._asdict(), posts=_POSTS).split()),
        runs=[_run(seen, pushes)],
    )


def _run(seen: list[_Seen], pushes: _Pushes) -> Run:
    more: dict[str, float] = {}
    for one in seen:
        more[f"{one.work}: longest, ms"] = one.longest * 1000
        more[f"{one.work}: p99.9 by the wall, ms"] = one.steps.steps.quantile(0.999) * 1000
        more[f"{one.work}: p99.9 of a turn by the wall, ms"] = one.steps.turns.quantile(0.999) * 1000
        more[f"{one.work}: steps over {_MOST:g} ms, of a million"] = (
            1e6 * sum(step.cpu >= LONG for step in one.steps.long) / max(1, one.steps.steps.number)
        )
    return Run(
        round=1,
        program=pipeline.OURS,
        requests=pushes.wanted,
        server_saw=pushes.seen,
        value=max(one.longest for one in seen) * 1000,
        server_cpu=pushes.server_cpu * PER / pushes.wanted,
        wall_seconds=sum(one.seconds for one in seen),
        more={**more, **_offenders(seen)},
    )


def _offenders(seen: list[_Seen]) -> dict[str, float]:
    """Where the longest steps were: the first function of ours in them, and the one that they were in after `LONG`."""
    longest: dict[str, tuple[float, str]] = {}
    for one in seen:
        for step in one.steps.long:
            first = f"{one.work}: {step.where.partition(' > ')[0]}"
            if step.cpu >= LONG:
                longest[first] = max(longest.get(first, (0.0, "")), (step.cpu, f"{one.work}: {step.where}"))
    worst = sorted(longest.values(), reverse=True)[:_NAMED]
    return {f"long step, ms: {where}": seconds * 1000 for seconds, where in worst}


class _Pushes(NamedTuple):
    """Pushes that were asked for, that the server saw, and its CPU seconds."""

    wanted: int
    seen: int
    server_cpu: float

    def __add__(self, other: object) -> _Pushes:
        assert isinstance(other, _Pushes)
        return _Pushes(self.wanted + other.wanted, self.seen + other.seen, self.server_cpu + other.server_cpu)


class _Watch:
    """Reads what `stepped` writes."""

    def __init__(self, gateway: Gateway, file: Path) -> None:
        self._gateway = gateway
        self._file = file

    def of(self, work: str, do: Callable[[], object]) -> _Seen:
        """What is seen of the loop while `do` runs."""
        self.taken()
        began = time.monotonic()
        do()
        return _Seen(work, self.taken(), time.monotonic() - began)

    def taken(self) -> Steps:
        """What was seen since the last time. Raises RuntimeError if the gateway does not say."""
        self._file.unlink(missing_ok=True)
        self._gateway.process.send_signal(signal.SIGUSR2)
        end = time.monotonic() + _SECONDS
        while not self._file.exists():
            if time.monotonic() > end:
                raise RuntimeError("the gateway does not say what it saw")
            time.sleep(_LOOK_EVERY)
        return msgspec.json.decode(self._file.read_bytes(), type=Steps)


def _serving(here: Machine, directory: Path, size: Size) -> tuple[_Pushes, list[_Seen]]:
    file, devices = directory / "steps", size.devices
    apps = {gateway.APP: devices, **importing.apps(1)}
    with pipeline.stage(here, directory, apps, program=("bench.stepped", str(file))) as stage:
        watch, before = _Watch(stage.gateway, file), stage.server.counts()
        rate = 0.0

        def saturate() -> None:
            nonlocal rate
            rate = size.requests / post(stage, size.requests, devices).seconds
            stage.settled()

        def half() -> None:
            post(stage, size.requests // 2, devices, rate=rate / 2)
            stage.settled()

        works: dict[str, Callable[[], object]] = {
            "idle": lambda: time.sleep(size.idle),
            "POSTs at saturation": saturate,
            "POSTs at half load": half,
            "NDJSON": lambda: _settled(stage, pipeline.lines(size.requests, devices), pipeline.NDJSON),
            "broadcast": lambda: _settled(stage, json.dumps({"to": {"everyone": True}, **pipeline.CONTENT}).encode()),
            "import": lambda: importing.measure(stage, rounds=1, devices=size.imported),
        }
        seen = [watch.of(work, do) for work, do in works.items()]
        wanted = size.requests * 2 + size.requests // 2 + devices
        return _pushes(wanted, before, stage.server.counts()), seen


def _settled(stage: Stage, body: bytes, media: str = "application/json") -> None:
    stage.post(body, media)
    stage.settled()


def _starting(here: Machine, directory: Path, size: Size) -> tuple[_Pushes, list[_Seen]]:
    with machine.pinned(here.server_core), serving(directory, here.server_core) as server:
        site, before = starting.queued(directory, server, size.jobs), server.counts()
        with _watched(site, here.client_core) as (running, watch):
            began = time.monotonic()
            running.settled(_SECONDS)
            after = _Seen("after a start with a queue", watch.taken(), time.monotonic() - began)
        with site.config.open("a", encoding="utf-8") as config:
            config.write("[retention]\nnotifications = 1\nevents = 1\nidempotency = 1\n")
        with _watched(site, here.client_core) as (running, watch):
            stage = Stage(here, directory, server, running, directory, [])
            began, posted = time.monotonic(), 0
            while running.tally().notifications > posted:
                stage.get("/metrics")
                post(stage, _POSTS, starting.DEVICES, rate=_POSTS)
                posted += _POSTS
                if time.monotonic() - began > _SECONDS:
                    raise RuntimeError(f"not forgotten within {_SECONDS} s: {running.tally()}")
            running.settled(_SECONDS)
            retention = _Seen("retention", watch.taken(), time.monotonic() - began)
        return _pushes(size.jobs + posted, before, server.counts()), [after, retention]


@contextmanager
def _watched(site: gateway.Site, core: int) -> Iterator[tuple[Gateway, _Watch]]:
    """A gateway that is watched, from when it serves."""
    file = site.config.with_name("steps")
    with gateway.running(site, core, program=("bench.stepped", str(file))) as running:
        watch = _Watch(running, file)
        watch.taken()
        yield running, watch


def _pushes(wanted: int, before: Counts, now: Counts) -> _Pushes:
    return _Pushes(wanted, now.requests - before.requests, now.cpu_seconds - before.cpu_seconds)
