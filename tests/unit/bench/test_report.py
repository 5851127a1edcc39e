"""What the report says of its figures, and that page and plots say nothing else than `report.json`."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import bench
import msgspec
import pytest
from bench import installed_peers, page, plot, reasons, report
from bench.machine import Machine
from bench.reasons import Reason
from bench.report import Figure, Goal, Line, Plot, Point, Report, Run

MACHINE = Machine(
    processor="any",
    cores=2,
    usable=[0, 1],
    client_core=0,
    server_core=1,
    system="any",
    load_before=0.0,
    versions={"h2load": "1"},
)


def run(number: int, program: str, value: float, server_saw: int = 100, **more: float) -> Run:
    return Run(
        round=number,
        program=program,
        requests=100,
        server_saw=server_saw,
        value=value,
        server_cpu=0.1,
        wall_seconds=1.0,
        more=more,
    )


def figure(goal: Goal, *runs: Run) -> Figure:
    return Figure(key="any", name="Any", goal=goal, payload="p", durability="d", method="m", runs=list(runs))


def a_report(*figures: Figure, plots: tuple[Plot, ...] = ()) -> Report:
    return Report(
        at="today", quick=True, machine=MACHINE, absent={"gorush": "not there"}, figures=[*figures], plots=[*plots]
    )


PLOT = Plot(
    key="size",
    name="A < B",
    x="devices",
    y="pushes a second",
    method="m",
    logarithmic=True,
    lines=[Line("us", [Point(10, [1, 2, 3]), Point(1000, [5, 5, 8])]), Line("them", [Point(10, [4])])],
)


def test_a_ratio_is_the_median_of_the_rounds_and_a_lost_request_is_seen() -> None:
    runs = [run(1, "us", 1), run(1, "them", 2), run(2, "us", 4), run(2, "them", 5), run(3, "us", 9), run(3, "them", 1)]
    found = figure(Goal(ratio=0.9), *runs)

    assert found.ratio == 0.8
    assert found.complete
    assert not msgspec.structs.replace(found, runs=[*runs, run(4, "us", 1, server_saw=99)]).complete


def test_a_figure_without_an_anchor_is_judged_by_its_value() -> None:
    runs = [run(1, "us", 9), run(2, "us", 11), run(3, "us", 12)]

    assert figure(Goal(value=11), *runs).ratio is None
    assert figure(Goal(value=11), *runs).reached
    assert not figure(Goal(value=10.9), *runs).reached


def test_a_missed_goal_has_its_reason_and_the_next_idea() -> None:
    goal = Goal(ratio=2.0, value=5.0, more={"p99": 7.0})
    words = {"any": Reason(reason="it is slow", next_idea="think")}
    missing = a_report(figure(goal, run(1, "us", 6, p99=6.0), run(1, "them", 2)))
    meeting = a_report(figure(goal, run(1, "us", 6, p99=6.0), run(1, "them", 3)))
    missed, met = (page.page(reasons.given(one, words)) for one in (missing, meeting))

    assert "goal at most 2: missed" in missed
    assert "Missed: it is slow. The next idea: think." in missed
    assert "goal at most 5: missed" in missed
    assert "p99: us 6.000 (goal for us at most 7: met)" in missed
    assert "next idea" not in met
    assert "Missed." in page.page(reasons.given(missing, {}))


def test_what_else_is_wanted_decides_too() -> None:
    goal = Goal(ratio=2.0, more={"p99": 7.0})

    assert figure(goal, run(1, "us", 1, p99=7.0), run(1, "them", 1)).reached
    assert not figure(goal, run(1, "us", 1, p99=7.1), run(1, "them", 1)).reached


def test_reasons_are_given_for_figures_that_there_are() -> None:
    kept = report.read(report.HERE / "report.json")
    known = {one.key for one in kept.figures} | {
        "fanout-1m",
        "start",
        "loop",
        "lanes",
        "registry",
        "sip-parse",
        "sip-register",
    }

    assert set(reasons.read()) <= known


def test_a_server_that_was_busy_most_of_a_run_is_seen() -> None:
    found = figure(Goal(), msgspec.structs.replace(run(1, "us", 1), server_cpu=0.5, requests=150_000))

    assert round(found.most_busy, 3) == 0.75
    assert "The server missed" in "\n".join(page.section(found))
    whole = msgspec.structs.replace(found, runs=[msgspec.structs.replace(found.runs[0], server_saw=150_000)])
    assert "every request and was busy for 75% of a run at most" in "\n".join(page.section(whole))


def test_the_document_says_for_each_figure_what_was_measured_where_and_against_whom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "HERE", tmp_path)
    measured = a_report(figure(Goal(ratio=2.0), run(1, "us", 2), run(2, "us", 4), run(1, "them", 1), run(2, "them", 4)))

    path = report.write(measured)
    (found,) = msgspec.json.decode(path.read_bytes())["figures"]

    assert found["value"] == {"median": 3.0, "min": 2.0, "max": 4.0}
    assert found["peers"] == {"them": {"median": 2.5, "min": 1.0, "max": 4.0, "ratio": 1.5}}
    assert {"ratio", "machine", "versions", "payload", "durability"} <= found.keys()
    assert report.read(path) == measured


def test_what_is_absent_is_named_with_its_reason_and_has_no_figure() -> None:
    text = page.page(a_report(figure(Goal(), run(1, "us", 1))))

    assert "- gorush: not there" in text
    assert "| gorush" not in text


def test_page_and_plots_that_are_kept_are_those_of_the_kept_figures(tmp_path: Path) -> None:
    """`python -m bench.page` writes them anew."""
    kept = Path(bench.__file__).parent

    page.write(report.read(kept / "report.json"), tmp_path)

    def texts(directory: Path) -> dict[str, str]:
        return {
            file.name: file.read_text(encoding="utf-8")
            for file in [directory / "REPORT.md", *(directory / page.PLOTS).glob("*.svg")]
        }

    assert texts(tmp_path) == texts(kept)


def test_a_plot_is_well_formed_and_shows_each_point_once_with_its_spread() -> None:
    root = ET.fromstring(plot.svg(PLOT))  # noqa: S314 - our own text
    space = "{http://www.w3.org/2000/svg}"
    heights = [float(mark.attrib["cy"]) for mark in root.iter(f"{space}circle")]
    texts = [text.text for text in root.iter(f"{space}text")]

    assert len(heights) == 3
    # Higher values stand higher: 2, 5 and 4.
    assert heights[0] > heights[2] > heights[1]
    assert {"A < B", "us", "them", "10", "1k", "devices", "pushes a second"} <= set(texts)
    assert all(0 <= height <= plot.HEIGHT for height in heights)


def test_a_plot_stands_on_the_page_with_its_numbers() -> None:
    text = "\n".join(page.plotted(PLOT))

    assert "![A < B](plots/size.svg)" in text
    assert "| 10 | 2.000 (1.000 to 3.000) | 4.000 (4.000 to 4.000) |" in text
    assert "| 1,000 | 5.000 (5.000 to 8.000) | - |" in text


def test_peers_are_present_or_absent_with_the_reason_that_the_installation_left(tmp_path: Path) -> None:
    there, refused = tmp_path / "apns2", tmp_path / "pushy"
    for place in (there, refused):
        place.mkdir()
    (there / "installed").write_text("fingerprint", encoding="utf-8")
    (there / "version").write_text("sideshow/apns2 v0.25.0, go1.26\n", encoding="utf-8")
    (refused / "absent").write_text("no javac\n", encoding="utf-8")

    found = installed_peers.look(tmp_path)

    assert found.versions() == {"sideshow/apns2": "v0.25.0, go1.26"}
    assert found.absent["pushy"] == "no javac"
    assert found.absent["aioapns"] == "not installed"
    assert "gorush" in found.absent
