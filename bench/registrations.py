"""Figure "registrations": many phones registered by SIP, and what each REGISTER and each call costs the store then.

Alone: `python -m bench.registrations`. As in `registry`, a process of its own does the work, so that what is resident is its own.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from bench import gateway, pipeline
from bench.machine import Machine, cost, look
from bench.registry import opened, part, resident_here, token
from bench.report import Figure, Goal, Run
from wakeline.model.sip.binding import Binding, BindingChange
from wakeline.model.sip.push import PushParams, PushProvider, PushToken
from wakeline.ports.sip import SipBindings
from wakeline.storage.sqlite import SqliteStore

UNIT = "ms, p99 of a look-up by address"
GROWTH = "RSS growth with all phones registered, MB"
SLOWEST = "ms, p99 until a refresh is on disk, at 1,000 a second"
GOAL = Goal(value=1.0, more={GROWTH: 200.0, SLOWEST: 100.0})
LOOKS = 20_000
REFRESHED = 10_000
_A_SECOND = 1_000
_PACED = 3_000
_AT_ONCE = 1_000
_WEEK = 604_800_000
_METHOD = """A store with {phones:,} phones, each at an address of its own, with push parameters, GRUU and one token, as a REGISTER
of liblinphone leaves it; filled by as many changes, {at_once:,} at a time, of which a commit takes as many as have come. Then
{refreshed:,} phones drawn at random register again, {at_once:,} at a time; {paced:,} more come one by one, {second:,} a second;
and {looks:,} addresses drawn at random are looked up, one at a time: the value. Each must find its only phone."""


class _Done(msgspec.Struct, frozen=True):
    """Seconds a look-up and a paced refresh took, seconds of filling and refreshing, how many were found, and bytes."""

    median: float
    p99: float
    paced: float
    found: int
    fill_cpu: float
    fill_wall: float
    refresh_cpu: float
    refresh_wall: float
    look_cpu: float
    look_wall: float
    growth: int
    size: int


def measure(machine: Machine, directory: Path, *, phones: int, looks: int = LOOKS) -> Figure:
    """Register `phones` in a store below `directory`, and look addresses up. Raises RuntimeError if the process fails."""
    command = [sys.executable, "-m", "bench.registrations", "work", "--directory", str(directory)]
    said = cost([*command, "--phones", str(phones), "--looks", str(looks)], machine.client_core).output
    done = msgspec.json.decode(said.splitlines()[-1], type=_Done)
    method = _METHOD.format(
        phones=phones, looks=looks, refreshed=REFRESHED, paced=_PACED, second=_A_SECOND, at_once=_AT_ONCE
    )
    return Figure(
        key="registrations",
        name=f"Look-up by address among {phones:,} registered phones",
        goal=GOAL,
        unit=UNIT,
        payload="a registration of liblinphone's: Contact with push parameters of Apple's, GRUU, one token of 64 digits",
        durability=pipeline.DURABILITY,
        method=" ".join(method.split()),
        runs=[_run(done, phones, looks)],
    )


def _run(done: _Done, phones: int, looks: int) -> Run:
    return Run(
        round=1,
        program=pipeline.OURS,
        requests=looks,
        server_saw=done.found,
        value=done.p99 * 1e3,
        server_cpu=done.look_cpu * 100_000 / looks,
        wall_seconds=done.look_wall,
        more={
            "p50, ms": done.median * 1e3,
            SLOWEST: done.paced * 1e3,
            GROWTH: done.growth / 1e6,
            "CPU ms of a first REGISTER": done.fill_cpu * 1e3 / phones,
            "first REGISTERs a second": phones / done.fill_wall,
            "CPU ms of a refresh": done.refresh_cpu * 1e3 / REFRESHED,
            "refreshes a second": REFRESHED / done.refresh_wall,
            "bytes on disk, a phone": done.size / phones,
        },
    )


async def _work(directory: Path, phones: int, looks: int) -> _Done:
    draw = random.Random(8)  # noqa: S311 - no secret: which phones register again
    async with opened(directory, alone=False) as store:
        app = (await store.apps.create(gateway.APP, "", 0)).id
        before = resident_here()
        fill = await _registered(store, app, list(range(phones)))
        again = await _registered(store, app, [draw.randrange(phones) for _ in range(REFRESHED)])
        paced = await _paced(store.sip_bindings, app, [draw.randrange(phones) for _ in range(_PACED)])
        growth = resident_here() - before
        cpu, started = time.process_time(), time.monotonic()
        took, found = _looked_up(store.sip_bindings, [draw.randrange(phones) for _ in range(looks)])
        cpu, wall = time.process_time() - cpu, time.monotonic() - started
        await store.keeper.checkpoint()
        size = store.path.stat().st_size
    return _Done(part(took, 0.5), part(took, 0.99), part(paced, 0.99), found, *fill, *again, cpu, wall, growth, size)


async def _registered(store: SqliteStore, app: int, numbers: list[int]) -> tuple[float, float]:
    """Have phones register, as many at a time as wait for one commit; returns CPU seconds and seconds."""
    cpu, started = time.process_time(), time.monotonic()
    for first in range(0, len(numbers), _AT_ONCE):
        changes = [_change(app, number) for number in numbers[first : first + _AT_ONCE]]
        await asyncio.gather(*map(store.sip_bindings.change, changes))
    return time.process_time() - cpu, time.monotonic() - started


async def _paced(bindings: SipBindings, app: int, numbers: list[int]) -> list[float]:
    """Have phones register one by one, at their times; returns the seconds that each waited for the disk from its time on."""
    took = list[float]()

    async def register(number: int, due: float) -> None:
        await bindings.change(_change(app, number))
        took.append(time.perf_counter() - due)

    start = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for place, number in enumerate(numbers):
            due = start + place / _A_SECOND
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(register(number, due))
    return took


def _looked_up(bindings: SipBindings, numbers: list[int]) -> tuple[list[float], int]:
    """Look addresses up; returns the seconds of each, and how many had their phone."""
    took, found = list[float](), 0
    for number in numbers:
        begun = time.perf_counter()
        phones = bindings.of(_aor(number))
        took.append(time.perf_counter() - begun)
        found += [each.device for each in phones] == [_instance(number)]
    return took, found


def _change(app: int, number: int) -> BindingChange:
    now, value, instance = round(time.time() * 1000), token(number), _instance(number)
    topic = f"{gateway.TOPIC}.voip"
    asked = f"pn-prid={value}:voip;pn-provider=apns;pn-param=ABCD1234.{topic};pn-silent=1;pn-timeout=0"
    binding = Binding(
        aor=_aor(number),
        uid=instance,
        contact=f"sip:user{number}@192.0.2.7:5060;transport=tls;{asked}",
        call_id=value[:20],
        cseq=20,
        expires=now + _WEEK,
        kept=now + _WEEK,
        registered=now,
        updated=now,
        instance=instance,
        flow=f"tls:192.0.2.7:40000#{number}",
        gruu=f"{_aor(number)};gr={instance}",
        user_agent="LinphoneiOS/5.2.4 (iPhone) LinphoneSDK/5.3.26",
        push=PushParams(
            provider=PushProvider.APNS,
            param=f"ABCD1234.{topic}",
            prid=f"{value}:voip",
            tokens=(PushToken(service="voip", value=value, topic=topic),),
        ),
        app=app,
        device=instance,
    )
    return BindingChange(aor=binding.aor, put=(binding,))


def _aor(number: int) -> str:
    return f"sip:user{number}@example.org"


def _instance(number: int) -> str:
    digits = token(number)
    return f"urn:uuid:{digits[:8]}-{digits[8:12]}-4000-8000-{number:012x}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.registrations", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("work",), help="the process alone")
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--phones", type=int, default=1_000_000)
    parser.add_argument("--looks", type=int, default=LOOKS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wakeline-registrations-") as made:
        directory = given.directory or Path(made)
        if given.what == "work":
            done: object = asyncio.run(_work(directory, given.phones, given.looks))
        else:
            done = measure(look(), directory, phones=given.phones, looks=given.looks)
        print(msgspec.json.encode(done).decode())


if __name__ == "__main__":
    main()
