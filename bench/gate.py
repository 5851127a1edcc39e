"""`python -m bench.gate [--write]`: does a push cost more than it did? Honest on a noisy machine, since nothing is timed.

The measure is the number of function calls, Python's and C's, that the gateway's loop thread makes for a push, in the same
work as the figures "fan-out", "NDJSON" and "single POSTs", only less of it. Calls are what pure Python costs: an object, a
statement, an event or a log line more for each push shows, however fast or busy the machine is. What the gateway does anyway
while time passes (some thousand calls a second, which look whether there is anything to do) is measured beforehand and taken off:
a busy machine takes ten times as long. How many pushes share a batch still depends on the moment, so that the least of some
rounds is taken; a twentieth over the budget fails (a broadcast: a tenth).

It does not see a statement that scans more rows, or C code that got slower inside as many calls: `make bench` does. Calls
differ between versions of Python; `budget.json` names the one it is for. `--write` makes what is measured now the budget.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from bench import gateway, machine, pipeline
from bench.paced import post
from bench.pipeline import Stage

BUDGET = Path(__file__).with_name("budget.json")
TOLERANCE = {"fan-out": 1.10}
"""By work; a broadcast's calls are few, and its batches shrink on a busy machine."""
USUAL_TOLERANCE = 1.05
_DEVICES = 1000
_IDLE = 2.0
"""Seconds for which nothing is sent, to see what passing time costs."""
_ROUNDS = {"fan-out": 10, "NDJSON": 4, "single POSTs": 3}
"""By work: the batches of a broadcast are few, and differ most from round to round."""
_SECONDS = 60.0


class Count(NamedTuple):
    """Calls, and the seconds in which they were made."""

    calls: int
    seconds: float

    @property
    def a_second(self) -> float:
        """How many they are in a second."""
        return self.calls / self.seconds

    def beside(self, idle: float) -> float:
        """How many there are beside those that are made anyway, `idle` a second."""
        return self.calls - idle * self.seconds


class Budget(msgspec.Struct, frozen=True):
    """Calls a push by kind of work, and the version of Python that makes so many."""

    python: str
    calls: dict[str, float]

    def exceeded(self, measured: Budget) -> list[str]:
        """What costs more than this allows, in words. Raises KeyError for work that has no budget."""
        return [
            f"{name}: {calls:.1f} calls a push, {self.calls[name]:.1f} are the budget"
            for name, calls in measured.calls.items()
            if calls > self.calls[name] * TOLERANCE.get(name, USUAL_TOLERANCE)
        ]


def here() -> str:
    """This Python, as a budget names it."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def read() -> Budget:
    """The budget that is kept."""
    return msgspec.json.decode(BUDGET.read_bytes(), type=Budget)


def measure(directory: Path) -> Budget:
    """What a push costs now: the least of some rounds."""
    file = directory / "calls"
    with pipeline.stage(
        machine.look(), directory, {gateway.APP: _DEVICES}, program=("bench.counted", str(file))
    ) as stage:
        works = {
            "fan-out": lambda: stage.post(json.dumps({"to": {"everyone": True}, **pipeline.CONTENT}).encode()),
            "NDJSON": lambda: stage.post(pipeline.lines(_DEVICES, _DEVICES), pipeline.NDJSON),
            "single POSTs": lambda: post(stage, _DEVICES, _DEVICES),
        }
        for work in works.values():  # the first of everything: connections, caches, prepared statements
            _calls(stage, file, work)
        idle = _calls(stage, file, lambda: time.sleep(_IDLE)).a_second
        calls = {
            name: min(_calls(stage, file, work).beside(idle) for _ in range(_ROUNDS[name]))
            for name, work in works.items()
        }
    return Budget(python=here(), calls={name: round(count / _DEVICES, 1) for name, count in calls.items()})


def _calls(stage: Stage, file: Path, work: Callable[[], object]) -> Count:
    before = _count(stage, file)
    work()
    stage.settled()
    now = _count(stage, file)
    return Count(now.calls - before.calls, now.seconds - before.seconds)


def _count(stage: Stage, file: Path) -> Count:
    file.unlink(missing_ok=True)
    stage.gateway.process.send_signal(signal.SIGUSR2)
    end = time.monotonic() + _SECONDS
    while not file.exists():
        if time.monotonic() > end:
            raise RuntimeError("the gateway does not say how many calls it made")
        time.sleep(0.005)
    calls, seconds = file.read_text(encoding="ascii").split()
    return Count(int(calls), float(seconds))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.gate", description=__doc__)
    parser.add_argument("--write", action="store_true", help="make what is measured now the budget")
    write = parser.parse_args().write
    with tempfile.TemporaryDirectory(prefix="wakeline-gate-") as directory:
        measured = measure(Path(directory))
    print("; ".join(f"{name} {calls:.1f} calls a push" for name, calls in measured.calls.items()))
    if write:
        BUDGET.write_bytes(msgspec.json.format(msgspec.json.encode(measured), indent=2) + b"\n")
        return 0
    exceeded = read().exceeded(measured)
    print("\n".join(exceeded) or "within the budget")
    return 1 if exceeded else 0


if __name__ == "__main__":
    sys.exit(main())
