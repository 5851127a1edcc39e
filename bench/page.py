"""`python -m bench.page`: writes REPORT.md and its plots from report.json, and nothing that is not in it.

The words of `missed.toml` are put into report.json first.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median

from bench import plot, reasons, report
from bench.report import CPU, Figure, Plot, Report

PLOTS = "plots"


def write(found: Report, directory: Path) -> str:
    """Write page and plots into `directory` and return the page."""
    text = page(found)
    (directory / PLOTS).mkdir(exist_ok=True)
    for old in (directory / PLOTS).glob("*.svg"):
        old.unlink()
    for one in found.plots:
        (directory / PLOTS / f"{one.key}.svg").write_text(plot.svg(one), encoding="utf-8")
    (directory / "REPORT.md").write_text(text, encoding="utf-8")
    return text


def page(found: Report) -> str:
    """The whole page."""
    machine = found.machine
    shared = " **Client and server shared one core: rates mean nothing.**" if machine.shared_core else ""
    quick = " (a quick run: a smoke, not a measurement)" if found.quick else ""
    lines = [
        "# Figures",
        "",
        (
            f"Measured {found.at}{quick} by `python -m bench` on {machine.processor}, {machine.cores} cores, "
            f"{machine.system}, load {machine.load_before:g} before the start; client on core {machine.client_core}, "
            f"server on core {machine.server_core}.{shared} Trust the ratios: they come from interleaved rounds of one run."
        ),
        "",
        "; ".join(f"{name} {text}" for name, text in machine.versions.items()) + ".",
        "",
        *_overview(found.figures),
    ]
    if found.absent:
        lines += ["", "Absent, and why:", "", *(f"- {name}: {reason}" for name, reason in found.absent.items())]
    for figure in found.figures:
        lines += ["", *section(figure)]
    for one in found.plots:
        lines += ["", *plotted(one)]
    return "\n".join(lines) + "\n"


def _overview(figures: list[Figure]) -> list[str]:
    rows = ["| figure | ours | unit | against | ratio | goal | |", "|---|---|---|---|---|---|---|"]
    for figure in figures:
        ours, *others = figure.programs()
        against, ratio = (others[0], f"{figure.ratio:.2f}") if others and figure.ratio is not None else ("-", "-")
        rows.append(
            f"| {figure.name} | {_number(figure.median(ours, 'value'))} | {figure.unit} | {against} | {ratio} "
            f"| {_goal(figure)} | {_verdict(figure)} |"
        )
    return rows


def section(figure: Figure) -> list[str]:
    """The part of the page about one figure, in lines."""
    ours = figure.programs()[0]
    busy = f" and was busy for {figure.most_busy:.0%} of a run at most" if figure.most_busy else ""
    counted = f"The server counted every request{busy}." if figure.complete else "**The server missed requests.**"
    value = f"{_number(figure.median(ours, 'value'))} {figure.unit}"
    if figure.goal.value is not None:
        value += f" (goal at most {figure.goal.value:g}: {_met(figure.median(ours, 'value'), figure.goal.value)})"
    ratio = ""
    if figure.ratio is not None:
        ratio = f", **{figure.ratio:.2f}x that of {figure.programs()[1]}**"
        if figure.goal.ratio is not None:
            ratio += f" (goal at most {figure.goal.ratio:g}: {_met(figure.ratio, figure.goal.ratio)})"
    return [
        f"## {figure.name}",
        "",
        f"{value}{ratio}. {counted}",
        *_missed(figure),
        "",
        f"Payload: {figure.payload}. Durability: {figure.durability}. {figure.method}{_later(figure)}",
        "",
        *_table(figure),
        "",
        *_others(figure),
        *_rounds(figure),
    ]


def _later(figure: Figure) -> str:
    return f" Measured again {figure.at}." if figure.at else ""


def _missed(figure: Figure) -> list[str]:
    """Why a goal is missed, and the next idea."""
    if figure.reached:
        return []
    reason = f": {figure.reason}" if figure.reason else ""
    return ["", f"Missed{reason}." + (f" The next idea: {figure.next_idea}." if figure.next_idea else "")]


def plotted(one: Plot) -> list[str]:
    """The part of the page about one plot: the picture and its numbers."""
    places = sorted({point.x for line in one.lines for point in line.points})
    rows = []
    for place in places:
        cells = []
        for line in one.lines:
            found = [point for point in line.points if point.x == place]
            cells.append(_spread(found[0].values) if found else "-")
        rows.append(f"| {place:,g} | {' | '.join(cells)} |")
    return [
        f"## {one.name}",
        "",
        f"![{one.name}]({PLOTS}/{one.key}.svg)",
        "",
        f"{one.y}: median (least to most). {one.method}",
        "",
        f"| {one.x} | {' | '.join(line.program for line in one.lines)} |",
        f"|---|{'---|' * len(one.lines)}",
        *rows,
    ]


def _table(figure: Figure) -> list[str]:
    """Programs beside each other."""
    rows = [
        f"| program | {figure.unit} | least to most | requests/s | server's {CPU} | server busy | ours by this |",
        "|---|---|---|---|---|---|---|",
    ]
    for program in figure.programs():
        values = figure.values(program)
        rate = median(run.requests / run.wall_seconds for run in figure.runs if run.program == program)
        server, busy = figure.median(program, "server_cpu"), figure.median(program, "server_busy")
        rows.append(
            f"| {program} | {_number(median(values))} | {_number(min(values))} to {_number(max(values))} | {rate:,.0f} "
            f"| {f'{server:.3f} | {busy:.0%}' if server else '- | -'} | {figure.against(program):.3g} |"
        )
    return rows


def _others(figure: Figure) -> list[str]:
    """What else was measured: a line each, the programs in it."""
    ours = figure.programs()[0]
    lines = []
    for name in figure.others():
        of = [one for one in figure.programs() if any(run.program == one and name in run.more for run in figure.runs)]
        parts = [f"{program} {_number(figure.also(name, program))}" for program in of]
        goal = figure.goal.more.get(name)
        judged = f" (goal for {ours} at most {goal:g}: {_met(figure.also(name), goal)})" if goal is not None else ""
        lines.append(f"- {name}: {', '.join(parts)}{judged}")
    return lines


def _rounds(figure: Figure) -> list[str]:
    starts = {program: f"start {seconds:.2f} CPU s, then " for program, seconds in figure.start_seconds.items()}
    return [
        f"- {program}: {starts.get(program, '')}by round {', '.join(map(_number, figure.values(program)))} "
        f"({sum(run.server_saw for run in figure.runs if run.program == program):,} requests counted)"
        for program in figure.programs()
    ]


def _goal(figure: Figure) -> str:
    if figure.goal.ratio is not None and figure.ratio is not None:
        return f"{figure.goal.ratio:g}x"
    return f"{figure.goal.value:g}" if figure.goal.value is not None else "-"


def _verdict(figure: Figure) -> str:
    if figure.goal.ratio is None and figure.goal.value is None:
        return ""
    return "met" if figure.reached else "missed"


def _met(measured: float, goal: float) -> str:
    return "met" if measured <= goal else "missed"


def _spread(values: list[float]) -> str:
    return f"{_number(median(values))} ({_number(min(values))} to {_number(max(values))})"


def _number(value: float) -> str:
    """As many digits as mean something."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3f}" if value < 10 else f"{value:.1f}"


if __name__ == "__main__":
    kept = reasons.given(report.read(report.HERE / "report.json"), reasons.read())
    report.write(kept)
    print(write(kept, report.HERE))
