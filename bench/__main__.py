"""`python -m bench [--quick]`: measure every figure, print the page, write it beside this file; 1 if a goal is missed."""

from __future__ import annotations

import argparse
import datetime as dt
import shutil
import sys
import tempfile
from pathlib import Path

from bench import engine, machine, report

_NEEDED = {"h2load": "nghttp2-client", "cc": "gcc", "pkg-config": "pkg-config libnghttp2-dev libssl-dev"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke of a few seconds; goals are not judged")
    quick = parser.parse_args().quick
    missing = [package for program, package in _NEEDED.items() if shutil.which(program) is None]
    if missing:
        print(f"bench needs: apt-get install {' '.join(missing)}", file=sys.stderr)
        return 1
    rounds, requests = (3, 100_000) if quick else (7, 300_000)
    here = machine.look()
    with tempfile.TemporaryDirectory(prefix="wakeline-bench-") as directory:
        figures = [engine.measure(here, Path(directory), rounds=rounds, requests=requests)]
    at = dt.datetime.now(tz=dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    print(report.write(here, figures, at, quick=quick))
    complete = all(figure.complete for figure in figures)
    return 0 if complete and (quick or all(figure.ratio <= figure.goal for figure in figures)) else 1


if __name__ == "__main__":
    sys.exit(main())
