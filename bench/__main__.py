"""`python -m bench [--quick]`: measure every figure, write report.json, then the pages from it; 1 if a goal is missed."""

from __future__ import annotations

import argparse
import datetime as dt
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bench import (
    calls,
    disk,
    engine,
    fanout,
    gateway,
    importing,
    installed_peers,
    lanes,
    loop,
    machine,
    memory,
    ndjson,
    page,
    pipeline,
    portal,
    post,
    reasons,
    registrations,
    registry,
    report,
    roundtrip,
    sip_load,
    sip_parse,
    starting,
    sweeps,
)
from bench.installed_peers import Found
from bench.machine import Machine
from bench.report import Figure, Plot, Report
from bench.scale import page as scale


class _Size(NamedTuple):
    """How much is measured. `sizes`: fan-outs of the plot; calls are measured beside the largest, paced is the least."""

    engine_rounds: int
    engine_requests: int
    paced: int
    devices: int
    fanout_rounds: int
    million_rounds: int
    rounds: int
    requests: int
    trip_rounds: int
    trip_requests: int
    plot_rounds: int
    events: int
    sizes: list[int]
    alerts: int
    import_rounds: int
    imported: int
    start_rounds: int
    queued: int
    registered: int
    phones: int
    loop: loop.Size


_FULL = _Size(
    engine_rounds=5,
    engine_requests=300_000,
    paced=1_000,
    devices=100_000,
    fanout_rounds=5,
    million_rounds=2,
    rounds=3,
    requests=100_000,
    trip_rounds=2,
    trip_requests=100_000,
    plot_rounds=2,
    events=40,
    sizes=[1_000, 10_000, 100_000, 1_000_000],
    alerts=20_000,
    import_rounds=1,
    imported=1_000_000,
    start_rounds=3,
    queued=1_000_000,
    registered=10_000_000,
    phones=1_000_000,
    loop=loop.Size(requests=20_000, devices=100_000, imported=50_000, jobs=100_000, idle=5.0),
)
_QUICK = _Size(
    engine_rounds=2,
    engine_requests=60_000,
    paced=500,
    devices=10_000,
    fanout_rounds=2,
    million_rounds=0,
    rounds=1,
    requests=5_000,
    trip_rounds=1,
    trip_requests=20_000,
    plot_rounds=1,
    events=10,
    sizes=[1_000, 5_000, 20_000],
    alerts=5_000,
    import_rounds=1,
    imported=10_000,
    start_rounds=1,
    queued=20_000,
    registered=100_000,
    phones=20_000,
    loop=loop.Size(requests=2_000, devices=2_000, imported=2_000, jobs=5_000, idle=1.0),
)
_NEEDED = {
    "h2load": "nghttp2-client",
    "cc": "gcc",
    "pkg-config": "pkg-config libnghttp2-dev libssl-dev",
    "sipp": "sip-tester",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke of some minutes; goals are not judged")
    parser.add_argument(
        "--again", nargs="+", default=[], choices=sorted(_AGAIN), help="measure these of the kept report anew"
    )
    arguments = parser.parse_args()
    quick: bool = arguments.quick
    missing = [package for program, package in _NEEDED.items() if shutil.which(program) is None]
    if missing:
        print(f"bench needs: apt-get install {' '.join(missing)}", file=sys.stderr)
        return 1
    installed_peers.install()
    found = installed_peers.look(installed_peers.cache())
    here = machine.look(found.versions())
    size, at = _QUICK if quick else _FULL, dt.datetime.now(tz=dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    with tempfile.TemporaryDirectory(prefix="wakeline-bench-") as directory:
        if arguments.again:
            fresh = _again(here, Path(directory), size, arguments.again)
            done = report.with_fresh(report.read(report.HERE / "report.json"), fresh, at)
        else:
            figures, plots = _measure(here, found, Path(directory), size)
            done = Report(at=at, quick=quick, machine=here, absent=found.absent, figures=figures, plots=plots)
    given = reasons.given(done, reasons.read())
    written = report.read(report.write(given))
    print(page.write(written, report.HERE))
    print(scale.write(written))
    complete = all(figure.complete for figure in done.figures)
    return 0 if complete and (quick or all(figure.reached for figure in done.figures)) else 1


def _again(here: Machine, directory: Path, size: _Size, keys: list[str]) -> list[Figure]:
    """Measure some figures that need nothing of the others."""
    return [figure for key in dict.fromkeys(keys) for figure in _AGAIN[key](here, _made(directory, key), size)]


def _calls_again(here: Machine, directory: Path, size: _Size) -> list[Figure]:
    app, most = sweeps.app_of(size.sizes[-1]), size.sizes[-1]
    with pipeline.stage(here, directory, {gateway.APP: gateway.CALLED, app: most}) as stage:
        return [calls.measure(stage, rounds=size.rounds, devices=most, app=app)]


def _lanes_again(here: Machine, directory: Path, size: _Size) -> list[Figure]:
    with pipeline.stage(here, directory, {gateway.APP: size.devices}) as stage:
        return [lanes.measure(stage, rounds=size.rounds, alerts=size.alerts, devices=size.devices)]


_AGAIN: dict[str, Callable[[Machine, Path, _Size], list[Figure]]] = {
    "call-latency": _calls_again,
    "lanes": _lanes_again,
    "loop": lambda here, directory, size: [loop.measure(here, directory, size.loop)],
    "registrations": lambda here, directory, size: [registrations.measure(here, directory, phones=size.phones)],
    "portal": lambda _, directory, size: [portal.measure(directory, rounds=size.rounds, events=size.events)],
    "sip-load": lambda here, directory, size: sip_load.measure(here, directory, rounds=size.rounds),
    "sip-parse": lambda here, _directory, size: [sip_parse.measure(here, rounds=size.rounds, messages=size.requests)],
    "start": lambda here, directory, size: [
        starting.measure(here, directory, rounds=size.start_rounds, jobs=size.queued)
    ],
}
"""Figures that need no other: what a change concerns can be measured alone, `--again`."""


def _measure(here: Machine, found: Found, directory: Path, size: _Size) -> tuple[list[Figure], list[Plot]]:
    alone = engine.measure(
        here, directory, found.peers, rounds=size.engine_rounds, requests=size.engine_requests, paced=size.paced
    )
    figures, plots = _pipeline(here, found, _made(directory, "pipeline"), size)
    figures = [
        alone,
        *figures,
        memory.measure(alone, figures[0]),
        starting.measure(here, _made(directory, "start"), rounds=size.start_rounds, jobs=size.queued),
        registry.measure(here, _made(directory, "registry"), devices=size.registered),
        registrations.measure(here, _made(directory, "registrations"), phones=size.phones),
        loop.measure(here, _made(directory, "loop"), size.loop),
        portal.measure(_made(directory, "portal"), rounds=size.rounds, events=size.events),
    ]
    for trip in roundtrip.TRIPS:
        place = _made(directory, f"trip-{trip}")
        figures += [
            roundtrip.measure_engine(here, place, trip, rounds=size.trip_rounds, requests=size.trip_requests),
            roundtrip.measure_fanout(here, place, trip, rounds=size.trip_rounds, devices=size.trip_requests),
        ]
    plots.append(sweeps.by_payload(here, directory, rounds=size.plot_rounds, requests=size.trip_requests))
    return figures, plots


def _pipeline(here: Machine, found: Found, directory: Path, size: _Size) -> tuple[list[Figure], list[Plot]]:
    """All that one gateway is enough for. The first figure is the fan-out."""
    apps = {
        gateway.APP: size.devices,
        **importing.apps(size.import_rounds),
        **{sweeps.app_of(devices): devices for devices in size.sizes},
    }
    few, most = size.sizes[0], size.sizes[-1]
    small = fanout.Small(sweeps.app_of(few), few)
    with pipeline.stage(here, directory, apps, peers=found.named("apns2")) as stage:
        figures = [fanout.measure(stage, small, rounds=size.fanout_rounds, devices=size.devices)]
        if size.million_rounds:
            figures.append(
                fanout.measure(
                    stage, small, rounds=size.million_rounds, devices=most, app=sweeps.app_of(most), key="fanout-1m"
                )
            )
        figures += [
            ndjson.measure(stage, rounds=size.rounds, requests=size.requests, devices=size.devices),
            post.measure(stage, rounds=size.rounds, requests=size.requests, devices=size.devices),
            calls.measure(stage, rounds=size.rounds, devices=most, app=sweeps.app_of(most)),
            lanes.measure(stage, rounds=size.rounds, alerts=size.alerts, devices=size.devices),
        ]
        figures.append(disk.measure(stage, devices=size.devices, requests=size.requests))
        plots = [
            sweeps.by_size(stage, size.sizes, rounds=size.plot_rounds),
            sweeps.by_cores(stage, here.usable, size.devices, rounds=size.plot_rounds),
        ]
        # Last: it makes the registry larger than the other figures say.
        figures += importing.measure(stage, rounds=size.import_rounds, devices=size.imported)
    return figures, plots


def _made(directory: Path, name: str) -> Path:
    place = directory / name
    place.mkdir()
    return place


if __name__ == "__main__":
    sys.exit(main())
