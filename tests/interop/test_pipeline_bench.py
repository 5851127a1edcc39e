"""The benches of the whole pipeline: what they claim was sent was sent, and what was lost is an error."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from bench import fanout, machine, ndjson, pipeline, post, report

from yardstick import needs_the_yardstick

pytestmark = [pytest.mark.interop, pytest.mark.timeout(60)]

_DEVICES = 200


@needs_the_yardstick
def test_every_push_is_counted_by_the_server_and_settled_in_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(pipeline.__file__).parent.parent)
    monkeypatch.setattr(report, "HERE", tmp_path)
    here = machine.look()

    with pipeline.stage(here, tmp_path, _DEVICES) as stage:
        figures = [
            fanout.measure(stage, rounds=1, devices=_DEVICES),
            ndjson.measure(stage, rounds=1, requests=_DEVICES, devices=_DEVICES),
            post.measure(stage, rounds=1, requests=_DEVICES, devices=_DEVICES),
        ]
        with pytest.raises(RuntimeError, match="were asked for"):
            pipeline.measure(
                stage,
                lambda _: (1.0, {}),
                name="nothing sent",
                goal=report.Goal(ratio=1.0),
                rounds=1,
                requests=_DEVICES,
                notifications=1,
                method="",
            )

    assert all(figure.complete for figure in figures)
    assert figures[2].also("p99 at half load, ms") > 0
    page = report.write(here, figures, "today", quick=True)
    assert page.count("The server counted every request.") == len(figures)


def test_a_missed_goal_names_the_next_idea() -> None:
    def run(program: str, cpu: float) -> report.Run:
        return report.Run(
            round=1,
            program=program,
            requests=100,
            server_saw=100,
            cpu=cpu,
            server_cpu=0.1,
            wall_seconds=1.0,
            more={"p99, ms": cpu} if program == "us" else {},
        )

    goal = report.Goal(ratio=2.0, seconds=5.0, more={"p99, ms": 7.0}, next_idea="think")
    figure = report.Figure(
        name="any",
        goal=goal,
        payload="",
        durability="",
        method="",
        start_seconds={},
        runs=[run("us", 6.0), run("them", 2.0)],
    )
    reached = msgspec.structs.replace(figure, runs=[run("us", 6.0), run("them", 3.0)])

    assert not figure.reached
    assert reached.reached
    text = "\n".join(report.section(figure))
    assert "goal at most 2: missed" in text
    assert "Missed; the next idea: think." in text
    assert "goal at most 5: missed" in text
    assert "p99, ms: 6.0 (goal at most 7: met)" in text
    assert "next idea" not in "\n".join(report.section(reached))
