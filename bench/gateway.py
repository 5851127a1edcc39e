"""The gateway as its users run it: `wakeline serve` in a process of its own, and what that process costs, seen from outside.

The per-user limits are off; nothing else is changed for a bench. Devices are registered through the store before the
gateway starts: registration is no part of any figure.
"""

from __future__ import annotations

import asyncio
import atexit
import gc
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import msgspec

from bench import payload
from bench.machine import pinned, resident
from bench.server import Server
from wakeline.cli.client import connect
from wakeline.cli.demo import material
from wakeline.config.loading import load
from wakeline.config.tree import SecretsSection
from wakeline.edges.rest.apps import NewApp
from wakeline.edges.rest.keys import NewKey
from wakeline.model.device import DeviceClaim, TargetClaim, TargetKind
from wakeline.model.key import Scope
from wakeline.observe import logs
from wakeline.service.clock import SystemClock
from wakeline.service.master_key import Keys
from wakeline.storage.sqlite import SqliteStore

atexit.register(
    gc.freeze
)  # struct types would be freed in an order that msgspec does not survive: see `wakeline.cli.main`

APP = "bench"
TOPIC = payload.HEADERS["apns-topic"]
VOIP_TOPIC = f"{TOPIC}.voip"
CALLED = 200
VOIP = 1 << 63
"""Added to a device's number, it begins the device's token for calls."""
_READY = "Wakeline serves on "
_TICK = os.sysconf("SC_CLK_TCK")
_START_SECONDS = 60.0
_AT_ONCE = 1000
_STATE = """SELECT count(*), coalesce(sum(done IS NOT NULL), 0), coalesce(sum(accepted), 0) FROM notification"""


class Tally(msgspec.Struct, frozen=True):
    """What the store holds: notifications, how many of them are done, accepted deliveries, jobs that wait."""

    notifications: int
    done: int
    accepted: int
    jobs: int

    def __sub__(self, before: Tally) -> Tally:
        """Return what came since `before`; the jobs are those of now."""
        return Tally(
            self.notifications - before.notifications,
            self.done - before.done,
            self.accepted - before.accepted,
            self.jobs,
        )


class Gateway(msgspec.Struct, frozen=True):
    """A running gateway; `key` is an API key with the scope admin."""

    process: subprocess.Popen[bytes]
    port: int
    key: str
    database: Path

    def cpu_seconds(self) -> float:
        """User + system seconds of the process so far, all threads."""
        return cpu_seconds(self.process.pid)

    def resident(self) -> int:
        """Bytes resident now."""
        return resident(self.process.pid, "VmRSS")

    def peak(self) -> int:
        """Most bytes resident since `forget_peak`."""
        return resident(self.process.pid, "VmHWM")

    def forget_peak(self) -> None:
        """Begin a new measurement of the peak (proc(5), clear_refs)."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5", encoding="ascii")

    def tally(self) -> Tally:
        """Count in the database itself what was accepted, settled and is left."""
        return tally_of(self.database)

    def is_idle(self) -> bool:
        """Whether no job waits or is on its way."""
        return not self._value("SELECT EXISTS (SELECT 1 FROM job)")

    def newest(self) -> int:
        """The row of the notification that was accepted last."""
        return self._value("SELECT coalesce(max(key), 0) FROM notification")

    def is_done(self, notification: int) -> bool:
        """Whether all of a notification is settled."""
        return not self._value(
            "SELECT EXISTS (SELECT 1 FROM notification WHERE key = ? AND done IS NULL)", notification
        )

    def _value(self, query: str, *values: int) -> int:
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            (found,) = connection.execute(query, values).fetchone()
        return int(found)

    def settled(self, seconds: float) -> None:
        """Wait until nothing waits or is on its way. Raises RuntimeError after `seconds`."""
        end = time.monotonic() + seconds
        while not self.is_idle():
            if time.monotonic() >= end:
                raise RuntimeError(f"not settled within {seconds} s: {self.tally()}")
            time.sleep(0.02)


class Site(msgspec.Struct, frozen=True):
    """What a gateway needs before it starts: its settings, its directory, an API key with the scope admin."""

    config: Path
    data: Path
    key: str

    @property
    def database(self) -> Path:
        """The main file of the store."""
        return self.data / "wakeline.db"


@contextmanager
def serving(
    directory: Path, server: Server, core: int, apps: dict[str, int], *, program: Sequence[str] = ("wakeline",)
) -> Iterator[Gateway]:
    """A gateway on `core` until the context ends, with apps of so many devices, which all live at `server`.

    The first `CALLED` devices of each take calls as well, with a token of their own. `program`: the module that is run as
    `wakeline`, and its own arguments.
    """
    with running(prepared(directory, server, apps), core, program=program) as gateway:
        yield gateway


@contextmanager
def running(site: Site, core: int, *, program: Sequence[str] = ("wakeline",)) -> Iterator[Gateway]:
    """A gateway on `core` that serves, until the context ends."""
    with started(site, core, program=program) as (process, log):
        yield Gateway(process=process, port=port_of(process, log), key=site.key, database=site.database)


def prepared(directory: Path, server: Server, apps: dict[str, int]) -> Site:
    """A store with these apps, their credentials and devices; see `serving`."""
    config, data = directory / "wakeline.toml", directory / "data"
    config.write_text(
        f'[server]\nlisten = "127.0.0.1:0"\ndata_dir = "{data}"\n[logs]\nformat = "json"\nlevel = "warning"\n'
        f'[providers.apns]\nproduction = "https://127.0.0.1:{server.port}"\nca_file = "{server.ca_file}"\n'
        "[limits]\nper_user = false\n",
        encoding="utf-8",
    )
    return asyncio.run(_prepared(config, data, apps))


async def _prepared(config: Path, data: Path, apps: dict[str, int]) -> Site:
    """What `wakeline app create`, `credential add` and `key create` do, in one process."""
    settings = load(config, {}).settings
    logs.configure(settings.logs)
    async with connect(settings) as client:
        for app in apps:
            await client.call("app.create", body=NewApp(id=app))
            form = {"key_id": material.KEY_ID, "team_id": material.TEAM_ID, "topics": f"{TOPIC},{VOIP_TOPIC}"}
            file = f"AuthKey_{material.KEY_ID}.p8", material.auth_key()
            await client.call("credential.upload", app=app, form=form, file=file)
        made = await client.call("key.create", body=NewKey(scopes=(Scope.ADMIN,)))
    site = Site(config=config, data=data, key=made.key)
    await _register(site, apps)
    return site


@contextmanager
def started(
    site: Site, core: int, *, program: Sequence[str] = ("wakeline",)
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """The gateway's process on `core`, which may not serve yet, and its log; it is stopped when the context ends."""
    log = site.config.with_name("gateway.log")
    with pinned(core), log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", *program, "serve", "--config", str(site.config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
    try:
        yield process, log
    finally:
        process.terminate()
        process.wait()


def tally_of(database: Path) -> Tally:
    """What a store holds, counted in its file."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        notifications, done, accepted = connection.execute(_STATE).fetchone()
        (jobs,) = connection.execute("SELECT count(*) FROM job").fetchone()
    return Tally(notifications, done, accepted, jobs)


def cpu_seconds(pid: int) -> float:
    """User + system seconds of a process so far, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def user(number: int) -> str:
    """The only user of a device."""
    return f"user-{number:06d}"


@asynccontextmanager
async def store_of(site: Site) -> AsyncIterator[SqliteStore]:
    """The store itself, while no gateway runs on it."""
    clock, secrets = SystemClock(), Keys(SecretsSection(master_key_file=str(site.data / "master.key")), create=False)
    store = SqliteStore(site.database, clock=clock, secrets=secrets, alone=True)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def _register(site: Site, apps: dict[str, int]) -> None:
    clock = SystemClock()
    async with store_of(site) as store:
        for app in store.apps.all():
            devices = apps[app.slug]
            for first in range(0, devices, _AT_ONCE):
                numbers = range(first, min(first + _AT_ONCE, devices))
                await store.devices.take_in([_claim(app.id, number, clock.now()) for number in numbers])


def _claim(app: int, number: int, at: int) -> DeviceClaim:
    targets = [TargetClaim(kind=TargetKind.APNS, value=token(app << 40 | number), topic=TOPIC)]
    if number < CALLED:
        targets.append(TargetClaim(kind=TargetKind.APNS_VOIP, value=token(VOIP | app << 40 | number), topic=VOIP_TOPIC))
    return DeviceClaim(app=app, device_id=f"device-{number:06d}", users=(user(number),), targets=tuple(targets), at=at)


def called(head: str) -> int:
    """The number of the device whose token for calls begins so."""
    return int(head, 16) & (1 << 40) - 1


def token(number: int) -> str:
    """Looks like Apple's: 32 bytes that have nothing in common with another's."""
    return number.to_bytes(8, "big").hex() + f"{number * 0x9E3779B97F4A7C15 % (1 << 64):016x}" * 3


def port_of(process: subprocess.Popen[bytes], log: Path, *, look_every: float = 0.005) -> int:
    """Where a started gateway serves, once it does. Raises RuntimeError if it ends, or does not within a minute."""
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        for line in log.read_text(encoding="utf-8").splitlines():
            if line.startswith(_READY):
                return int(line.rpartition(":")[2])
        time.sleep(look_every)
    raise RuntimeError(f"the gateway does not serve:\n{log.read_text(encoding='utf-8')[-2000:]}")
