"""The yardstick itself: the bench's server counts what was sent, whoever sent it, and the report says what was run."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from bench import engine, machine, report

from yardstick import needs_the_yardstick

pytestmark = [pytest.mark.interop, pytest.mark.timeout(60)]


@needs_the_yardstick
def test_every_request_of_every_program_is_counted_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "HERE", tmp_path)
    monkeypatch.chdir(Path(engine.__file__).parent.parent)
    here = machine.look()

    figure = engine.measure(here, tmp_path, rounds=1, requests=3_100)
    page = report.write(here, [figure], "today", quick=True)

    assert figure.programs() == [engine.OURS, engine.ANCHOR, engine.REPEATED]
    assert [run.server_saw for run in figure.runs] == [3_100] * 3
    document = msgspec.json.decode((tmp_path / "report.json").read_bytes())
    assert document["figures"][0]["complete"] is True
    assert page == (tmp_path / "REPORT.md").read_text(encoding="utf-8")
    assert "The server counted every request." in page


def test_a_ratio_is_the_median_of_the_rounds_and_a_lost_request_is_seen() -> None:
    def run(number: int, program: str, cpu: float, server_saw: int = 100) -> report.Run:
        return report.Run(
            round=number,
            program=program,
            requests=100,
            server_saw=server_saw,
            cpu=cpu,
            server_cpu=0.1,
            wall_seconds=1.0,
        )

    runs = [run(1, "us", 1), run(1, "them", 2), run(2, "us", 4), run(2, "them", 5), run(3, "us", 9), run(3, "them", 1)]
    figure = report.Figure(
        name="any", goal=report.Goal(ratio=0.9), payload="", durability="", method="", start_seconds={}, runs=runs
    )

    assert figure.ratio == 0.8
    assert figure.complete
    assert not msgspec.structs.replace(figure, runs=[*runs, run(4, "us", 1, server_saw=99)]).complete
