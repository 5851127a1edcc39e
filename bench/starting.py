"""Figure "start": `wakeline serve` on a store in which a million jobs wait, until it is ready and until it pushes.

The queue is as a long outage leaves it: a million notifications of one recipient each, all due. The gateway before it was
killed (SIGKILL), so that its log has to be recovered, and what the system keeps of the files in memory is dropped first.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path

import msgspec

from bench import gateway, machine, pipeline
from bench.engine import PEAK
from bench.gateway import APP, Site
from bench.machine import Machine
from bench.report import Figure, Goal, Run
from bench.server import Server, serving
from wakeline.model.delivery import NewJob, pack, pack_all
from wakeline.model.ids import key_at
from wakeline.model.notification import Content, Notification
from wakeline.model.route import Environment, Lane, ProviderKind
from wakeline.ports import Admission
from wakeline.storage.sqlite import SqliteStore

UNIT = "s until /readyz says 200"
EMPTY = "wakeline, nothing queued"
GOAL = Goal(value=5.0)
_METHOD = """{rounds} rounds; `wakeline serve` from its exec until GET /readyz is answered 200, on a store with {jobs:,}
notifications of one recipient, a job each, all due on one route; then until the provider has read the first push, upon which
it is killed (SIGKILL). The next round begins with what that left: its log has to be recovered, and the files are dropped from
the system's memory. "Counted" are the notifications settled and the jobs left after each kill: none is lost. The same gateway
with an empty store stands beside it."""
_AT_ONCE = 2000
DEVICES = 1000
_HOUR = 3_600_000
_SECONDS = 60.0
_LOOK_EVERY = 0.002


def measure(here: Machine, directory: Path, *, rounds: int, jobs: int) -> Figure:
    """Start `rounds` times with about `jobs` jobs and with none. Raises RuntimeError if it does not start, or loses one."""
    full, empty = directory / "full", directory / "empty"
    full.mkdir()
    empty.mkdir()
    runs: list[Run] = []
    with machine.pinned(here.server_core), serving(directory, here.server_core) as server:
        waiting, nothing = queued(full, server, jobs), queued(empty, server, 0)
        _start(waiting, server, here.client_core, pushes=True)  # not counted: it leaves what a kill leaves
        for number in range(1, rounds + 1):
            runs += [_queued(waiting, server, here.client_core, number, jobs), _empty(nothing, server, here, number)]
    return Figure(
        key="start",
        name=f"Start with {jobs:,} queued jobs",
        goal=GOAL,
        unit=UNIT,
        payload=pipeline.PAYLOAD,
        durability=pipeline.DURABILITY,
        method=" ".join(_METHOD.format(rounds=rounds, jobs=jobs).split()),
        runs=runs,
    )


def queued(directory: Path, server: Server, jobs: int) -> Site:
    """A store in which so many jobs wait, for a gateway to be started on; the app has `DEVICES` devices."""
    site = gateway.prepared(directory, server, {APP: DEVICES})
    asyncio.run(_fill(site, jobs))
    return site


class _Started(msgspec.Struct, frozen=True):
    """What a start took: elapsed and CPU seconds, bytes resident when it was ready and at most."""

    ready: float
    cpu: float
    resident: int
    first_push: float = 0.0
    peak: int = 0


def _queued(site: Site, server: Server, core: int, number: int, jobs: int) -> Run:
    took = _start(site, server, core, pushes=True)
    left = gateway.tally_of(site.database)
    if left.jobs + left.done != jobs:
        raise RuntimeError(f"{jobs} notifications were queued: {left}")
    return _run(
        number,
        pipeline.OURS,
        jobs,
        took,
        {"until the first push, s": took.first_push, PEAK: took.peak / 1e6},
    )


def _empty(site: Site, server: Server, here: Machine, number: int) -> Run:
    return _run(number, EMPTY, 0, _start(site, server, here.client_core, pushes=False), {})


def _run(number: int, program: str, jobs: int, took: _Started, more: dict[str, float]) -> Run:
    return Run(
        round=number,
        program=program,
        requests=jobs,
        server_saw=jobs,
        value=took.ready,
        server_cpu=0.0,
        wall_seconds=took.ready,
        more={"CPU s until then": took.cpu, "RSS then, MB": took.resident / 1e6, **more},
    )


def _start(site: Site, server: Server, core: int, *, pushes: bool) -> _Started:
    """Start once and kill it: when it is ready, or with `pushes` when the provider has read one."""
    _forget(site)
    before = server.counts().requests
    began = time.monotonic()
    with gateway.started(site, core) as (process, log):
        port = gateway.port_of(process, log, look_every=_LOOK_EVERY)
        _until(lambda: _is_ready(port))
        ready, cpu, resident = time.monotonic() - began, gateway.cpu_seconds(process.pid), _resident(process.pid)
        if pushes:
            _until(lambda: server.counts().requests > before)
        first = time.monotonic() - began
        peak = machine.resident(process.pid, "VmHWM")
        process.kill()
    return _Started(ready=ready, cpu=cpu, resident=resident, first_push=first, peak=peak)


def _resident(pid: int) -> int:
    return machine.resident(pid, "VmRSS")


def _until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + _SECONDS
    while not done():
        if time.monotonic() > end:
            raise RuntimeError(f"nothing for {_SECONDS} s")
        time.sleep(_LOOK_EVERY)


def _is_ready(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    finally:
        connection.close()


def _forget(site: Site) -> None:
    """Have the system drop the files from its memory (posix_fadvise(2)); pages not yet written stay."""
    os.sync()
    for file in site.data.glob("*.db"):
        with file.open("rb") as opened:
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


async def _fill(site: Site, jobs: int) -> None:
    async with gateway.store_of(site) as store:
        (app,) = store.apps.all()
        route = await store.routes.ensure(app.id, ProviderKind.APNS, Environment.PRODUCTION, gateway.TOPIC)
        targets = await _targets(store, app.id)
        now = int(time.time() * 1000)
        for first in range(0, jobs, _AT_ONCE):
            numbers = range(first, min(first + _AT_ONCE, jobs))
            await store.acceptance.accept(
                [
                    _admission(key_at(now, 0) + number, app.id, route.id, targets[number % len(targets)], now)
                    for number in numbers
                ]
            )
    waiting = gateway.tally_of(site.database).jobs
    if waiting != jobs:
        raise RuntimeError(f"{jobs} jobs were put, {waiting} wait")


async def _targets(store: SqliteStore, app: int) -> list[int]:
    """The alert targets of all devices."""
    page = await store.devices.find(app, limit=DEVICES)
    return [target.id for device in page.devices for target in device.targets if target.topic == gateway.TOPIC]


def _admission(key: int, app: int, route: int, target: int, now: int) -> Admission:
    until = now + 24 * _HOUR
    content = msgspec.convert({"type": "alert", **pipeline.CONTENT}, Content)
    lane, recipients = Lane.ALERT, pack_all([pack(target)])
    return Admission(
        notification=Notification(
            key=key, app=app, content=content, lane=lane, due=now, expires=until, created=now, recipients=1
        ),
        jobs=(
            NewJob(notification=key, app=app, route=route, lane=lane, due=now, expires=until, recipients=recipients),
        ),
    )
