"""`python -m bench [--quick]`: measure every figure, print the page, write it beside this file; 1 if a goal is missed."""

from __future__ import annotations

import argparse
import datetime as dt
import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from bench import engine, fanout, machine, ndjson, pipeline, post, report
from bench.machine import Machine
from bench.report import Figure


class _Size(NamedTuple):
    """How much is measured."""

    engine_rounds: int
    engine_requests: int
    devices: int
    fanout_rounds: int
    rounds: int
    requests: int


_FULL = _Size(7, 300_000, devices=100_000, fanout_rounds=5, rounds=3, requests=100_000)
_QUICK = _Size(3, 100_000, devices=20_000, fanout_rounds=3, rounds=1, requests=20_000)
_NEEDED = {"h2load": "nghttp2-client", "cc": "gcc", "pkg-config": "pkg-config libnghttp2-dev libssl-dev"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke of a minute; goals are not judged")
    quick = parser.parse_args().quick
    missing = [package for program, package in _NEEDED.items() if shutil.which(program) is None]
    if missing:
        print(f"bench needs: apt-get install {' '.join(missing)}", file=sys.stderr)
        return 1
    here = machine.look()
    with tempfile.TemporaryDirectory(prefix="wakeline-bench-") as directory:
        figures = _measure(here, Path(directory), _QUICK if quick else _FULL)
    at = dt.datetime.now(tz=dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    print(report.write(here, figures, at, quick=quick))
    complete = all(figure.complete for figure in figures)
    return 0 if complete and (quick or all(figure.reached for figure in figures)) else 1


def _measure(here: Machine, directory: Path, size: _Size) -> list[Figure]:
    figures = [engine.measure(here, directory, rounds=size.engine_rounds, requests=size.engine_requests)]
    with pipeline.stage(here, directory, size.devices) as stage:
        figures.append(fanout.measure(stage, rounds=size.fanout_rounds, devices=size.devices))
        figures.append(ndjson.measure(stage, rounds=size.rounds, requests=size.requests, devices=size.devices))
        figures.append(post.measure(stage, rounds=size.rounds, requests=size.requests, devices=size.devices))
    return figures


if __name__ == "__main__":
    sys.exit(main())
