"""What a bench measured, as values, and `report.json`: everything that `page` needs to write the page from.

A figure holds every run of every program; medians, spreads and ratios are worked out from them, never measured apart.
"""

from __future__ import annotations

import math
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from bench.machine import Machine

HERE = Path(__file__).parent
PER = 100_000
CPU = f"CPU s per {PER:,}"


class Run(msgspec.Struct, frozen=True):
    """One run of one program. `value` is in the figure's unit; `server_cpu` in CPU seconds per 100,000.

    `server_saw` is the server's own count of the requests. `more`: what else was measured, by name and unit.
    """

    round: int
    program: str
    requests: int
    server_saw: int
    value: float
    server_cpu: float
    wall_seconds: float
    more: dict[str, float] = {}

    @property
    def server_busy(self) -> float:
        """The part of the run in which the server computed; near one it, and not the program, would be measured."""
        return self.server_cpu / PER * self.requests / self.wall_seconds


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted at most: of the anchor's value, of our own value, and of what else was measured.

    The ratio judges where there is one: seconds are the machine's.
    """

    ratio: float | None = None
    value: float | None = None
    more: dict[str, float] = {}


class Figure(msgspec.Struct, frozen=True):
    """What one module measured. The first program is ours; the second, if there is one, the anchor.

    `start_seconds`: CPU that each program takes before its first request; not part of the runs' figures. `reason` and
    `next_idea` are words about a goal that is missed (`reasons`). `at`: when it was measured, if not with the rest.
    """

    key: str
    name: str
    goal: Goal
    payload: str
    durability: str
    method: str
    runs: list[Run]
    unit: str = CPU
    start_seconds: dict[str, float] = {}
    reason: str = ""
    next_idea: str = ""
    at: str = ""

    def programs(self) -> list[str]:
        """All programs, in the order in which they ran first."""
        return list(dict.fromkeys(run.program for run in self.runs))

    def values(self, program: str) -> list[float]:
        """The value of each run of a program."""
        return [run.value for run in self.runs if run.program == program]

    def median(self, program: str, field: str) -> float:
        """The median of a field of all runs of a program."""
        values: list[float] = [getattr(run, field) for run in self.runs if run.program == program]
        return median(values)

    @property
    def most_busy(self) -> float:
        """The largest part of a run in which the server computed."""
        return max(run.server_busy for run in self.runs)

    @property
    def ratio(self) -> float | None:
        """Our value by the anchor's; None without an anchor."""
        others = self.programs()[1:]
        return self.against(others[0]) if others else None

    def against(self, program: str) -> float:
        """Our value by that of `program`: the median over the rounds of the ratio inside a round."""
        ours = self.programs()[0]
        by_round: dict[int, dict[str, float]] = {}
        for run in self.runs:
            by_round.setdefault(run.round, {})[run.program] = run.value
        ratios = [of[ours] / of[program] for of in by_round.values() if ours in of and of.get(program)]
        return median(ratios) if ratios else math.nan

    def also(self, name: str, program: str | None = None) -> float:
        """The median of what else was measured of a program's runs; of ours unless said."""
        wanted = program or self.programs()[0]
        return median(run.more[name] for run in self.runs if run.program == wanted and name in run.more)

    def others(self) -> list[str]:
        """The names of what else was measured."""
        return list(dict.fromkeys(name for run in self.runs for name in run.more))

    @property
    def reached(self) -> bool:
        """Whether the ratio is as wanted, or without one the value, and all else that is wanted."""
        if any(self.also(name) > most for name, most in self.goal.more.items() if name in self.others()):
            return False
        if self.goal.ratio is not None and self.ratio is not None:
            return self.ratio <= self.goal.ratio
        return self.goal.value is None or self.median(self.programs()[0], "value") <= self.goal.value

    @property
    def complete(self) -> bool:
        """Whether the server got every request of every run."""
        return all(run.server_saw == run.requests for run in self.runs)


class Point(msgspec.Struct, frozen=True):
    """Something measured several times at `x`."""

    x: float
    values: list[float]


class Line(msgspec.Struct, frozen=True):
    """The points of one program."""

    program: str
    points: list[Point]


class Plot(msgspec.Struct, frozen=True, kw_only=True):
    """How something moves with something else; `logarithmic` says how x is drawn."""

    key: str
    name: str
    x: str
    y: str
    method: str
    lines: list[Line]
    logarithmic: bool = False


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the bench. `absent`: what was to be measured and could not, and why."""

    at: str
    quick: bool
    machine: Machine
    absent: dict[str, str]
    figures: list[Figure]
    plots: list[Plot] = []


def with_fresh(kept: Report, fresh: list[Figure], at: str) -> Report:
    """A report with figures that were measured again put in place of those with the same keys; new ones come last."""
    known = {figure.key: msgspec.structs.replace(figure, at=at) for figure in fresh}
    figures = [known.pop(figure.key, figure) for figure in kept.figures]
    return msgspec.structs.replace(kept, figures=[*figures, *known.values()])


def write(report: Report) -> Path:
    """Write `report.json` and return its path."""
    figures = [{**_summary(report.machine, figure), **msgspec.to_builtins(figure)} for figure in report.figures]
    document = {**msgspec.to_builtins(report), "figures": figures}
    path = HERE / "report.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
    return path


def read(path: Path) -> Report:
    """What `write` wrote; the summaries are worked out again when they are wanted."""
    return msgspec.json.decode(path.read_bytes(), type=Report)


def _summary(machine: Machine, figure: Figure) -> dict[str, Any]:
    ours, *peers = figure.programs()
    return {
        "value": _spread(figure.values(ours)),
        "peers": {peer: {**_spread(figure.values(peer)), "ratio": figure.against(peer)} for peer in peers},
        "ratio": figure.ratio,
        "reached": figure.reached,
        "complete": figure.complete,
        "server_busy": figure.most_busy,
        "machine": f"{machine.processor}, {machine.cores} cores, {machine.system}",
        "versions": machine.versions,
    }


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": median(values), "min": min(values), "max": max(values)}
