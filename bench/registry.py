"""Figure "registry": many devices registered, and how long a look-up by user takes then; alone: `python -m bench.registry`.

Two processes of their own do the work, so that what is resident is theirs: one fills a store as `wakeline import` does without
a gateway, the other opens it as a gateway does and looks users up.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from bench import gateway, pipeline
from bench.machine import Machine, cost, look, resident
from bench.report import Figure, Goal, Run
from wakeline.config.tree import SecretsSection
from wakeline.model.device import DeviceClaim, TargetClaim, TargetKind
from wakeline.service.clock import SystemClock
from wakeline.service.master_key import Keys
from wakeline.storage.sqlite import SqliteStore

UNIT = "ms, p99 of a look-up by user"
GROWTH = "RSS growth while users were looked up, MB"
GOAL = Goal(
    value=1.0,
    more={GROWTH: 40.0},
)
LOOKS = 20_000
_COLD = 200
_CHUNK = 1 << 20
_AT_ONCE = 10_000
_METHOD = """A store with {devices:,} devices, one user and one token each, filled in a process of its own; another one opens it
as a gateway does. The first {cold:,} look-ups find nothing in memory: the file's pages were given back to the disk. Then the
file is read once, so that the system has what of it fits, and {looks:,} users drawn at random are looked up, one at a time: the
value. Each must find its user's only device. The store's own cache may hold 32 MB, however many devices there are: that
much may be resident more, and what the connections need."""


class _Filled(msgspec.Struct, frozen=True):
    """What filling took: seconds, and bytes on disk and resident, of which `early` after a tenth of the devices."""

    cpu_seconds: float
    wall_seconds: float
    size: int
    early: int
    late: int


class _Looked(msgspec.Struct, frozen=True):
    """Seconds that look-ups took, how many found whom they looked for, CPU seconds of all, bytes resident before and after."""

    first: float
    cold: float
    median: float
    p99: float
    found: int
    cpu_seconds: float
    wall_seconds: float
    before: int
    after: int


def measure(machine: Machine, directory: Path, *, devices: int, looks: int = LOOKS) -> Figure:
    """Register `devices` in a store below `directory`, and look users up. Raises RuntimeError if a process fails."""
    filled = msgspec.json.decode(_work(machine, "fill", directory, devices, looks), type=_Filled)
    looked = msgspec.json.decode(_work(machine, "look", directory, devices, looks), type=_Looked)
    return Figure(
        key="registry",
        name=f"Look-up by user among {devices:,} devices",
        goal=GOAL,
        unit=UNIT,
        payload=f"{devices:,} devices, each with a user, a token of 64 digits and a topic",
        durability=pipeline.DURABILITY,
        method=" ".join(_METHOD.format(devices=devices, looks=looks, cold=_COLD).split()),
        runs=[_run(filled, looked, devices, looks)],
    )


def _run(filled: _Filled, looked: _Looked, devices: int, looks: int) -> Run:
    return Run(
        round=1,
        program=pipeline.OURS,
        requests=looks,
        server_saw=looked.found,
        value=looked.p99 * 1e3,
        server_cpu=looked.cpu_seconds * 100_000 / looks,
        wall_seconds=looked.wall_seconds,
        more={
            "p50, ms": looked.median * 1e3,
            "first look-up, from the disk, ms": looked.first * 1e3,
            "p99 from the disk, ms": looked.cold * 1e3,
            GROWTH: (looked.after - looked.before) / 1e6,
            "bytes on disk, a device": filled.size / devices,
            "CPU s of filling, per 1,000,000": filled.cpu_seconds * 1e6 / devices,
            "elapsed s of filling, per 1,000,000": filled.wall_seconds * 1e6 / devices,
            "RSS growth while the last nine tenths were filled, MB": (filled.late - filled.early) / 1e6,
        },
    )


def _work(machine: Machine, what: str, directory: Path, devices: int, looks: int) -> str:
    command = [sys.executable, "-m", "bench.registry", what, "--directory", str(directory)]
    done = cost([*command, "--devices", str(devices), "--looks", str(looks)], machine.client_core)
    return done.output.splitlines()[-1]


async def _fill(directory: Path, devices: int) -> _Filled:
    cpu, started, early = time.process_time(), time.monotonic(), 0
    async with opened(directory, alone=True) as store:
        app = await store.apps.create(gateway.APP, "", 0)
        for first in range(0, devices, _AT_ONCE):
            numbers = range(first, min(first + _AT_ONCE, devices))
            await store.devices.take_in([_claim(app.id, number) for number in numbers])
            if not early and numbers.stop >= devices // 10:
                early = resident_here()
        late = resident_here()
        await store.keeper.checkpoint()
        size = store.devices_path.stat().st_size
    return _Filled(time.process_time() - cpu, time.monotonic() - started, size, early, late)


async def _look(directory: Path, devices: int, looks: int) -> _Looked:
    draw = random.Random(8)  # noqa: S311 - no secret: which users are looked up
    users = [draw.randrange(devices) for _ in range(_COLD + looks)]
    async with opened(directory, alone=False) as store:
        app = store.apps.all()[0].id
        _forget(store.devices_path)
        before = resident_here()
        cold, _ = await _timed(store, app, users[:_COLD])
        _read(store.devices_path)
        cpu, started = time.process_time(), time.monotonic()
        took, found = await _timed(store, app, users[_COLD:])
        cpu, wall, after = time.process_time() - cpu, time.monotonic() - started, resident_here()
    return _Looked(cold[0], part(cold, 0.99), part(took, 0.5), part(took, 0.99), found, cpu, wall, before, after)


async def _timed(store: SqliteStore, app: int, users: Sequence[int]) -> tuple[list[float], int]:
    """Look users up; returns the seconds of each, and how many were found."""
    took, found = list[float](), 0
    for number in users:
        begun = time.perf_counter()
        reached = await store.devices.candidates_of_users(app, [_user(number)])
        took.append(time.perf_counter() - begun)
        found += [one.value for one in reached] == [token(number)]
    return took, found


def part(took: Sequence[float], share: float) -> float:
    """The time within which this share was done."""
    return sorted(took)[int(len(took) * share)]


@asynccontextmanager
async def opened(directory: Path, *, alone: bool) -> AsyncIterator[SqliteStore]:
    """Give the store below a directory, with a master key of its own."""
    secrets = Keys(SecretsSection(master_key_file=str(directory / "master.key")), create=True)
    store = SqliteStore(directory / "wakeline.db", clock=SystemClock(), secrets=secrets, alone=alone)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def _forget(path: Path) -> None:
    """Have the next read of a file come from the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def _read(path: Path) -> None:
    """Read a file once and keep nothing of it here."""
    with path.open("rb", buffering=0) as file:
        while file.read(_CHUNK):
            pass


def _claim(app: int, number: int) -> DeviceClaim:
    target = TargetClaim(kind=TargetKind.APNS, value=token(number), topic=gateway.TOPIC)
    return DeviceClaim(app=app, device_id=f"device-{number:08d}", users=(_user(number),), targets=(target,), at=1)


def _user(number: int) -> str:
    return f"user-{number:08d}"


def token(number: int) -> str:
    """Tokens come in no order, as Apple's do."""
    return f"{number * 0x9E3779B97F4A7C15 % (1 << 64):016x}" * 4


def resident_here() -> int:
    """Bytes of this process that are in memory."""
    return resident(os.getpid(), "VmRSS")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.registry", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("fill", "look"), help="one of the two processes alone")
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--devices", type=int, default=1_000_000)
    parser.add_argument("--looks", type=int, default=LOOKS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wakeline-registry-") as made:
        directory = given.directory or Path(made)
        if given.what == "fill":
            done: object = asyncio.run(_fill(directory, given.devices))
        elif given.what == "look":
            done = asyncio.run(_look(directory, given.devices, given.looks))
        else:
            done = measure(look(), directory, devices=given.devices, looks=given.looks)
        print(msgspec.json.encode(done).decode())


if __name__ == "__main__":
    main()
