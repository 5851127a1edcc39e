"""The benches of the whole pipeline: what they claim was sent was sent, and what was lost is an error."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench import (
    calls,
    disk,
    engine,
    fanout,
    gateway,
    importing,
    machine,
    memory,
    ndjson,
    pipeline,
    post,
    report,
    sweeps,
)

from yardstick import needs_the_yardstick

pytestmark = [pytest.mark.interop, pytest.mark.timeout(60)]

_DEVICES = 200


@needs_the_yardstick
def test_every_push_is_counted_by_the_server_and_settled_in_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(pipeline.__file__).parent.parent)
    here = machine.look()

    with pipeline.stage(
        here, tmp_path, {gateway.APP: _DEVICES, sweeps.app_of(_DEVICES): _DEVICES, **importing.apps(1)}
    ) as stage:
        figures = [
            fanout.measure(stage, rounds=1, devices=_DEVICES),
            ndjson.measure(stage, rounds=1, requests=_DEVICES, devices=_DEVICES),
            post.measure(stage, rounds=1, requests=_DEVICES, devices=_DEVICES),
            calls.measure(stage, rounds=1, devices=_DEVICES),
            disk.measure(stage, devices=_DEVICES, requests=_DEVICES),
        ]
        figures += importing.measure(stage, rounds=1, devices=_DEVICES)
        sizes = sweeps.by_size(stage, [_DEVICES], rounds=1)
        cores = sweeps.by_cores(stage, here.usable[:1], _DEVICES, rounds=1)
        with pytest.raises(RuntimeError, match="were asked for"):
            pipeline.measure(
                stage,
                lambda _: (1.0, {}),
                key="nothing",
                name="nothing sent",
                goal=report.Goal(ratio=1.0),
                rounds=1,
                requests=_DEVICES,
                notifications=1,
                method="",
            )

    assert all(figure.complete for figure in figures)
    assert figures[2].also("p99 at half load, ms") > 0
    assert figures[3].also("calls") >= 5
    assert 0 < figures[3].also("p50, ms") <= figures[3].also("most, ms")
    assert figures[4].median(pipeline.OURS, "value") > 0
    assert figures[4].also(disk.BROADCAST) < figures[4].also(disk.SINGLE)
    assert [line.program for line in sizes.lines] == [pipeline.OURS, pipeline.ANCHOR]
    assert [point.x for line in cores.lines for point in line.points] == [1.0]
    peak = memory.measure(figures[0], figures[0])
    assert peak.median(pipeline.OURS, "value") == figures[0].also(engine.PEAK) > 1
