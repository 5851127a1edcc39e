"""The benches of the whole pipeline: what they claim was sent was sent, and what was lost is an error."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bench import (
    calls,
    disk,
    engine,
    fanout,
    gateway,
    importing,
    lanes,
    loop,
    machine,
    memory,
    ndjson,
    paced,
    pipeline,
    post,
    report,
    starting,
    sweeps,
)

from yardstick import needs_the_yardstick

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]

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
            fanout.measure(stage, fanout.Small(gateway.APP, _DEVICES), rounds=1, devices=_DEVICES),
            ndjson.measure(stage, rounds=1, requests=_DEVICES, devices=_DEVICES),
            post.measure(stage, rounds=1, requests=_DEVICES, devices=_DEVICES),
            calls.measure(stage, rounds=1, devices=_DEVICES),
            lanes.measure(stage, rounds=1, alerts=1000, devices=_DEVICES),
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
    assert all(0 < figure.also(paced.P50) <= figure.also(paced.P99) for figure in figures[:3])
    assert figures[3].also("calls") >= 5
    assert 0 < figures[3].also("p50, ms") <= figures[3].also("most, ms")
    assert figures[4].also("share of the broadcast, %") > 0
    assert figures[5].median(pipeline.OURS, "value") > 0
    assert figures[5].also(disk.BROADCAST) < figures[5].also(disk.SINGLE)
    assert [line.program for line in sizes.lines] == [pipeline.OURS, pipeline.ANCHOR]
    assert [point.x for line in cores.lines for point in line.points] == [1.0]
    peak = memory.measure(figures[0], figures[0])
    assert peak.median(pipeline.OURS, "value") == figures[0].also(engine.PEAK) > 1


@pytest.mark.parametrize("looks", [[(1090, 100)], [(300, 0), (1090, 100)], [(300, 0), (600, 30), (1090, 100)]])
def test_the_share_of_a_broadcast_is_known_however_seldom_the_server_was_looked_at(
    looks: list[tuple[int, int]],
) -> None:
    counts = iter([SimpleNamespace(requests=whole, later=part) for whole, part in looks])
    stage: Any = SimpleNamespace(server=SimpleNamespace(counts=lambda: next(counts)))

    first, *_, last = lanes._seen(stage, 0, 0, 1000)

    assert first.part == 0
    assert last == looks[-1]


@needs_the_yardstick
def test_a_start_with_a_queue_loses_nothing_and_is_timed_beside_one_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(pipeline.__file__).parent.parent)

    figure = starting.measure(machine.look(), tmp_path, rounds=1, jobs=300)

    assert figure.programs() == [pipeline.OURS, starting.EMPTY]
    assert 0 < figure.median(pipeline.OURS, "value") <= figure.also("until the first push, s")
    assert figure.also(engine.PEAK) >= figure.also("RSS then, MB") > 1


@needs_the_yardstick
def test_every_kind_of_work_shows_its_longest_step_of_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(pipeline.__file__).parent.parent)

    figure = loop.measure(
        machine.look(), tmp_path, loop.Size(requests=_DEVICES, devices=_DEVICES, imported=_DEVICES, jobs=300, idle=0.1)
    )

    assert figure.complete
    longest = {name: figure.also(name) for name in figure.goal.more}
    assert len(longest) == 8
    assert max(longest.values()) == figure.median(pipeline.OURS, "value") > 0
