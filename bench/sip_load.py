"""Figures "sip-register" and "sip-call": what a registration and a call cost the gateway; alone: `python -m bench.sip_load`.

sipp, which nobody here wrote, is phones and callers; what the gateway's process costs is seen from outside.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import csv
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

import msgspec

from bench import gateway, pipeline
from bench.gateway import Gateway, Site
from bench.machine import Machine, look, pinned
from bench.report import Figure, Goal, Run
from wakeline.cli.client import connect
from wakeline.cli.demo import material
from wakeline.config.loading import load
from wakeline.edges.rest.apps import NewApp
from wakeline.edges.rest.keys import NewKey
from wakeline.model.key import Scope

REGISTER_UNIT = "ms of CPU, a REGISTER"
CALL_UNIT = "ms of CPU, a call"
REGISTER_GOAL = Goal(value=0.37)
CALL_GOAL = Goal(value=1.66)
REGISTRATIONS = 5_000
CALLS = 4_500
REGISTER_RATE = 500
CALL_RATE = 150
NEW = "a phone that is new, ms"
SIPP = "sipp"
_HERE = Path(__file__).parent / "sipp"
_USERS = 100
_PUSH = f";pn-prid=[field3]:voip;pn-provider=apns;pn-param=ABCD1234.{gateway.VOIP_TOPIC};pn-silent=1;pn-timeout=0"
_REGISTERED = """sipp registers {number:,} phones of as many users, {rate} in a second over UDP, each with a VoIP token and an
instance of its own, and then all of them again, as phones do all day: the value. Each answer comes after the commit. A repetition
or another answer than 200 makes the run an error."""
_CALLED = """sipp calls {users} users in turn, {rate} calls in a second over UDP, {number:,} in all: INVITE, 100, 180, 200, ACK, BYE
and its 200 go through the proxy, which is in the Record-Route; their phones are another sipp, which registered before. A
repetition or a call that fails makes the run an error."""


class _Load(msgspec.Struct, frozen=True):
    """One run of sipp, in which all was well, and what the gateway took meanwhile."""

    good: int
    cpu_seconds: float
    wall_seconds: float
    grown: int

    @property
    def each(self) -> float:
        """Milliseconds of CPU."""
        return self.cpu_seconds / self.good * 1e3


def measure(
    machine: Machine, directory: Path, *, rounds: int, registrations: int = REGISTRATIONS, calls: int = CALLS
) -> list[Figure]:
    """Both figures, in one gateway. Raises RuntimeError if anything was repeated or failed."""
    port, phones = _free_port(), _free_port()
    site = asyncio.run(_prepared(directory, port))
    registered, called = [], []
    with gateway.running(site, machine.client_core) as running, _phones(machine, phones):
        awake = _users(directory / "awake.csv", "user", _USERS, phones)
        _registered(machine, running, directory, port, awake, _USERS, "")
        for number in range(1, rounds + 1):
            users = _users(directory / f"asleep-{number}.csv", f"sleeper-{number}", registrations, phones)
            new, again = (_registered(machine, running, directory, port, users, registrations, _PUSH) for _ in range(2))
            registered.append(_run(number, again, {NEW: new.each, "RSS growth by new phones, MB": new.grown / 1e6}))
            load = _called(machine, running, port, awake, calls)
            called.append(_run(number, load, {"RSS growth, MB": load.grown / 1e6}))
    return [
        _figure(
            "sip-register",
            "A phone registers again",
            REGISTER_GOAL,
            REGISTER_UNIT,
            _REGISTERED,
            REGISTER_RATE,
            registered,
        ),
        _figure("sip-call", "A call through the proxy", CALL_GOAL, CALL_UNIT, _CALLED, CALL_RATE, called),
    ]


def _figure(key: str, name: str, goal: Goal, unit: str, method: str, rate: int, runs: list[Run]) -> Figure:
    text = method.format(number=runs[0].requests, rate=rate, users=_USERS)
    return Figure(
        key=key,
        name=name,
        goal=goal,
        unit=unit,
        payload="SIP over UDP, without digest",
        durability=pipeline.DURABILITY,
        method=" ".join(text.split()),
        runs=runs,
    )


def _run(number: int, load: _Load, more: dict[str, float]) -> Run:
    return Run(
        round=number,
        program=pipeline.OURS,
        requests=load.good,
        server_saw=load.good,
        value=load.each,
        server_cpu=0.0,
        wall_seconds=load.wall_seconds,
        more=more,
    )


async def _prepared(directory: Path, port: int) -> Site:
    """A store with an app whose credential covers the phones' topic."""
    config, data = directory / "wakeline.toml", directory / "data"
    config.write_text(
        f'[server]\nlisten = "127.0.0.1:0"\ndata_dir = "{data}"\n[logs]\nlevel = "warning"\n'
        f'[sip]\nlisten = ["udp:127.0.0.1:{port}"]\ndomains = ["example.org"]\nauth = "none"\n',
        encoding="utf-8",
    )
    async with connect(load(config, {}).settings) as client:
        await client.call("app.create", body=NewApp(id=gateway.APP))
        form = {
            "key_id": material.KEY_ID,
            "team_id": material.TEAM_ID,
            "topics": f"{gateway.TOPIC},{gateway.VOIP_TOPIC}",
        }
        file = f"AuthKey_{material.KEY_ID}.p8", material.auth_key()
        await client.call("credential.upload", app=gateway.APP, form=form, file=file)
        made = await client.call("key.create", body=NewKey(scopes=(Scope.ADMIN,)))
    return Site(config=config, data=data, key=made.key)


def _users(path: Path, name: str, number: int, port: int) -> Path:
    """Write the file that tells sipp whom to be: name, port, instance, token."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("SEQUENTIAL\n")
        rows = csv.writer(file, delimiter=";", lineterminator="\n")
        for at in range(number):
            rows.writerow(
                [f"{name}-{at}", port, uuid5(NAMESPACE_OID, f"{name}-{at}"), gateway.token(_first_token(name) + at)]
            )
    return path


def _first_token(name: str) -> int:
    """Tell tokens of users of different names apart."""
    return int.from_bytes(name.encode()[-6:], "big") << 16


def _registered(
    machine: Machine, running: Gateway, directory: Path, port: int, users: Path, number: int, push: str
) -> _Load:
    scenario = directory / "register.xml"
    scenario.write_text((_HERE / "register.xml").read_text(encoding="utf-8").replace("PUSH", push), encoding="utf-8")
    return _driven(machine, running, port, scenario, users, number, REGISTER_RATE)


def _called(machine: Machine, running: Gateway, port: int, users: Path, number: int) -> _Load:
    return _driven(machine, running, port, _HERE / "caller.xml", users, number, CALL_RATE)


def _driven(
    machine: Machine, running: Gateway, port: int, scenario: Path, users: Path, number: int, rate: int
) -> _Load:
    counted = users.with_suffix(".stat")
    counted.unlink(missing_ok=True)
    command = [SIPP, f"127.0.0.1:{port}", "-sf", str(scenario), "-inf", str(users), "-i", "127.0.0.1", "-nostdin"]
    command += ["-m", str(number), "-r", str(rate), "-timeout", "120", "-trace_stat", "-stf", str(counted), "-fd", "1"]
    cpu, resident, started = running.cpu_seconds(), running.resident(), time.monotonic()
    with pinned(machine.server_core):
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    if not counted.exists():
        raise RuntimeError(f"sipp ended with {done.returncode}: {done.stderr.decode()[-1000:]}")
    good, bad, repeated = _counts(counted)
    if good != number or repeated:
        raise RuntimeError(f"{good} of {number} went well, {bad} failed, {repeated} messages were repeated")
    return _Load(
        good=good,
        cpu_seconds=running.cpu_seconds() - cpu,
        wall_seconds=time.monotonic() - started,
        grown=running.resident() - resident,
    )


def _counts(path: Path) -> tuple[int, int, int]:
    """What sipp counted in all: successful calls, failed ones, repetitions."""
    with path.open(encoding="utf-8", newline="") as file:
        last = list(csv.DictReader(file, delimiter=";"))[-1]
    return int(last["SuccessfulCall(C)"]), int(last["FailedCall(C)"]), int(last["Retransmissions(C)"])


@contextlib.contextmanager
def _phones(machine: Machine, port: int) -> Iterator[None]:
    """A sipp that answers calls until the context ends."""
    with pinned(machine.server_core):
        process = subprocess.Popen(
            [SIPP, "-sf", str(_HERE / "callee.xml"), "-i", "127.0.0.1", "-p", str(port), "-nostdin"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tried:
        tried.bind(("127.0.0.1", 0))
        port: int = tried.getsockname()[1]
        return port


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.sip_load", description=__doc__)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--registrations", type=int, default=REGISTRATIONS)
    parser.add_argument("--calls", type=int, default=CALLS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wakeline-sip-") as directory:
        done = measure(
            look(), Path(directory), rounds=given.rounds, registrations=given.registrations, calls=given.calls
        )
    print(msgspec.json.encode(done).decode())


if __name__ == "__main__":
    main()
