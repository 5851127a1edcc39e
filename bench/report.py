"""Figures as data and as a page: `bench/report.json` for machines, `bench/REPORT.md` for people."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import msgspec

from bench.machine import Machine

HERE = Path(__file__).parent


class Run(msgspec.Struct, frozen=True):
    """One run of one program. CPU seconds are per 100,000 requests, the server's too; `server_saw` is its own count.

    `more`: what else was measured, by name and unit.
    """

    round: int
    program: str
    requests: int
    server_saw: int
    cpu: float
    server_cpu: float
    wall_seconds: float
    more: dict[str, float] = {}


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted at most: of the anchor's CPU (this judges), of CPU seconds per 100,000 and of what else was measured.

    `next_idea` says what would be tried next.
    """

    ratio: float
    seconds: float | None = None
    more: dict[str, float] = {}
    next_idea: str = ""


class Figure(msgspec.Struct, frozen=True):
    """What one module measured. The first program is ours, the second the anchor.

    `start_seconds`: CPU that each program takes before its first request; not part of the runs' figures.
    """

    name: str
    goal: Goal
    payload: str
    durability: str
    method: str
    start_seconds: dict[str, float]
    runs: list[Run]

    def programs(self) -> list[str]:
        """All programs, in the order in which they ran first."""
        return list(dict.fromkeys(run.program for run in self.runs))

    def median(self, program: str, field: str) -> float:
        """The median of a field of all runs of a program."""
        values: list[float] = [getattr(run, field) for run in self.runs if run.program == program]
        return median(values)

    @property
    def ratio(self) -> float:
        """Our CPU by the anchor's."""
        return self.against(self.programs()[1])

    def against(self, program: str) -> float:
        """Our CPU by that of `program`: the median over the rounds of the ratio inside a round."""
        ours = self.programs()[0]
        by_round: dict[int, dict[str, float]] = {}
        for run in self.runs:
            by_round.setdefault(run.round, {})[run.program] = run.cpu
        ratios = [costs[ours] / costs[program] for costs in by_round.values()]
        return median(ratios)

    def also(self, name: str) -> float:
        """The median of what else was measured of our runs."""
        return median(run.more[name] for run in self.runs if name in run.more)

    def others(self) -> list[str]:
        """The names of what else was measured."""
        return list(dict.fromkeys(name for run in self.runs for name in run.more))

    @property
    def reached(self) -> bool:
        """Whether the ratio is as wanted; CPU seconds and times are the machine's and judge nothing."""
        return self.ratio <= self.goal.ratio

    @property
    def complete(self) -> bool:
        """Whether the server got every request of every run."""
        return all(run.server_saw == run.requests for run in self.runs)


def write(machine: Machine, figures: list[Figure], at: str, *, quick: bool) -> str:
    """Write both files and return the page."""
    page = _page(machine, figures, f"{at} (a quick run)" if quick else at)
    document = {
        "at": at,
        "quick": quick,
        "machine": machine,
        "figures": [
            {
                **msgspec.to_builtins(figure),
                "ratio": figure.ratio,
                "complete": figure.complete,
                "medians": _medians(figure),
            }
            for figure in figures
        ],
    }
    (HERE / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
    (HERE / "REPORT.md").write_text(page, encoding="utf-8")
    return page


def _medians(figure: Figure) -> dict[str, dict[str, float]]:
    fields = ("cpu", "server_cpu", "wall_seconds")
    return {program: {field: figure.median(program, field) for field in fields} for program in figure.programs()}


def _page(machine: Machine, figures: list[Figure], at: str) -> str:
    shared = " **Client and server shared one core: rates mean nothing.**" if machine.shared_core else ""
    lines = [
        "# Figures",
        "",
        (
            f"Measured {at} by `python -m bench` on {machine.processor}, {machine.cores} cores, {machine.system}, "
            f"load {machine.load_before:g} before the start; client on core {machine.client_core}, server on core "
            f"{machine.server_core}.{shared} Trust the ratios: they come from interleaved rounds of one run."
        ),
        "",
        "; ".join(f"{name} {text}" for name, text in machine.versions.items()) + ".",
    ]
    for figure in figures:
        lines += ["", *section(figure)]
    return "\n".join(lines) + "\n"


def section(figure: Figure) -> list[str]:
    """The part of the page about one figure, in lines."""
    counted = "The server counted every request." if figure.complete else "**The server missed requests.**"
    table = [
        f"| {program} | {figure.median(program, 'cpu'):.3f} | {_rate(figure, program):,.0f} "
        f"| {figure.median(program, 'server_cpu'):.3f} | {figure.against(program):.2f} |"
        for program in figure.programs()
    ]
    return [
        f"## {figure.name}",
        "",
        f"**{figure.ratio:.2f}x the CPU of {figure.programs()[1]}** {_wanted(figure)} {counted}{_absolute(figure)}",
        *([] if figure.reached else ["", f"Missed; the next idea: {figure.goal.next_idea}."]),
        "",
        f"Payload: {figure.payload}. Durability: {figure.durability}. {figure.method}",
        "",
        "| program | CPU s per 100,000 | requests/s | server's CPU s per 100,000 | ours by this |",
        "|---|---|---|---|---|",
        *table,
        "",
        *_others(figure),
        *_rounds(figure),
    ]


def _wanted(figure: Figure) -> str:
    return f"(goal at most {figure.goal.ratio:g}: {_verdict(figure.ratio, figure.goal.ratio)})."


def _verdict(measured: float, goal: float) -> str:
    return "met" if measured <= goal else "missed"


def _absolute(figure: Figure) -> str:
    """The goal in seconds, which a machine as fast as the one it was set on should meet."""
    if figure.goal.seconds is None:
        return ""
    seconds = figure.median(figure.programs()[0], "cpu")
    verdict = _verdict(seconds, figure.goal.seconds)
    return f" {seconds:.2f} CPU s per 100,000 (goal at most {figure.goal.seconds:g}: {verdict})."


def _others(figure: Figure) -> list[str]:
    lines = []
    for name in figure.others():
        measured, goal = figure.also(name), figure.goal.more.get(name)
        judged = f" (goal at most {goal:g}: {_verdict(measured, goal)})" if goal is not None else ""
        by_round = ", ".join(f"{run.more[name]:.1f}" for run in figure.runs if name in run.more)
        lines.append(f"- {name}: {measured:.1f}{judged}; by round {by_round}")
    return lines


def _rounds(figure: Figure) -> list[str]:
    starts = {program: f"start {seconds:.2f} s, then " for program, seconds in figure.start_seconds.items()}
    return [
        f"- {program}: CPU {starts.get(program, '')}by round "
        + ", ".join(f"{run.cpu:.3f}" for run in figure.runs if run.program == program)
        + f" ({sum(run.server_saw for run in figure.runs if run.program == program):,} requests counted)"
        for program in figure.programs()
    ]


def _rate(figure: Figure, program: str) -> float:
    return median(run.requests / run.wall_seconds for run in figure.runs if run.program == program)
