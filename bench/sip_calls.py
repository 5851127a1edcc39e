"""Figure "sip-calls": what a call through the SIP edge costs, and a REGISTER; alone: `python -m bench.sip_calls`."""

from __future__ import annotations

import argparse
import asyncio
import socket
import tempfile
import time
from pathlib import Path
from statistics import quantiles

import msgspec

from bench import gateway, pipeline
from bench.gateway import Gateway
from bench.machine import Machine, look, pinned
from bench.report import PER, Figure, Goal, Run
from bench.server import serving
from bench.sip_traffic import DOMAIN, Phones, paced

UNIT = "ms of CPU, a call"
REGISTER = "ms of CPU, a REGISTER"
GOAL = Goal(value=1.66, more={REGISTER: 0.37})
_RANG = "INVITE until 180, p99, ms"
REGISTERS, A_SECOND = 4_000, 500
CALLS, CALLS_A_SECOND = 1_500, 100
_METHOD = """{rounds} rounds, one gateway on a core of its own, phones on another, over UDP. {registers:,} phones register with push
parameters, {a_second} a second, each on disk before its 200; then {calls:,} of them are called, {calls_a_second} a second: INVITE,
100, 180, 200, ACK, BYE, 200. The phones repeat nothing, so a lost message fails the run. CPU is the gateway's, all
threads, from outside. Nobody is asked for a password. The goals are what a first sketch took on this machine."""


def measure(
    machine: Machine, directory: Path, *, rounds: int, registers: int = REGISTERS, calls: int = CALLS
) -> Figure:
    """Register and call phones. Raises RuntimeError if one of them hears anything but what it should."""
    method = _METHOD.format(
        rounds=rounds, registers=registers, a_second=A_SECOND, calls=calls, calls_a_second=CALLS_A_SECOND
    )
    proxy = _free_port()
    with serving(directory, machine.server_core) as server:
        site = gateway.prepared(directory, server, {gateway.APP: gateway.CALLED})
        with site.config.open("a", encoding="utf-8") as config:
            config.write(f'[sip]\nlisten = ["udp:127.0.0.1:{proxy}"]\ndomains = ["{DOMAIN}"]\nauth = "none"\n')
        with gateway.running(site, machine.server_core) as running, pinned(machine.client_core):
            runs = [asyncio.run(_round(running, proxy, number, registers, calls)) for number in range(1, rounds + 1)]
    return Figure(
        key="sip-calls",
        name="A call through the SIP edge",
        goal=GOAL,
        unit=UNIT,
        payload="INVITE with a session description, to a phone that is awake; REGISTER with push parameters",
        durability=pipeline.DURABILITY,
        method=" ".join(method.split()),
        runs=runs,
    )


async def _round(running: Gateway, proxy: int, number: int, registers: int, calls: int) -> Run:
    phones = Phones(proxy)
    await phones.open()
    try:
        began, before = time.monotonic(), running.cpu_seconds()
        await paced(phones.register, registers, A_SECOND)
        between = running.cpu_seconds()
        await paced(lambda number: phones.call(number % registers), calls, CALLS_A_SECOND)
        after = running.cpu_seconds()
    finally:
        phones.close()
    return Run(
        round=number,
        program=pipeline.OURS,
        requests=calls,
        server_saw=len(phones.rang),
        value=(after - between) * 1e3 / calls,
        server_cpu=(after - between) * PER / calls,
        wall_seconds=time.monotonic() - began,
        more={
            REGISTER: (between - before) * 1e3 / registers,
            _RANG: quantiles(phones.rang, n=100, method="inclusive")[98] * 1e3,
            "MB resident": running.resident() / 1e6,
        },
    )


def _free_port() -> int:
    """A port that nobody had a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.sip_calls", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--registers", type=int, default=REGISTERS)
    parser.add_argument("--calls", type=int, default=CALLS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        figure = measure(look(), Path(directory), rounds=given.rounds, registers=given.registers, calls=given.calls)
    print(msgspec.json.encode(figure).decode())


if __name__ == "__main__":
    main()
