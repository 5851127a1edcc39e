"""Figure "fan-out": one notification to everyone of an app, walked, sent, answered and settled."""

from __future__ import annotations

import json
import time
from typing import NamedTuple

from bench import gateway, paced, pipeline
from bench.pipeline import Stage
from bench.poster import Kind
from bench.report import Figure, Goal

GOAL = Goal(ratio=2.0, value=1.0, more={"RSS growth, MB": 30.0})
_METHOD = """{rounds} rounds; one POST with `everyone` to {requests:,} devices, from the POST until its last result is on
disk. CPU is user + system of the whole gateway, its commit threads too. Each round ends with the counts of the database
and of the status API compared with what was asked for. Then POSTs with `everyone` to {few} devices at half of the rate just
reached, sent by the clock; their time is from when one was due to its 202."""


class Small(NamedTuple):
    """An app of few devices, for the paced load."""

    app: str
    devices: int


def measure(
    stage: Stage, small: Small, *, rounds: int, devices: int, app: str = gateway.APP, key: str = "fanout"
) -> Figure:
    """Send to all `devices` of the app, which must have exactly so many; then, paced, to all of the `small` one."""

    def work(requests: int) -> tuple[float, dict[str, float]]:
        started = time.monotonic()
        taken = stage.post(json.dumps({"to": {"everyone": True}, **pipeline.CONTENT}).encode(), app=app)
        stage.settled()
        seconds = time.monotonic() - started
        counts = stage.counts(taken["id"], app)
        if counts["accepted"] != requests or counts["pending"]:
            raise RuntimeError(f"the API says {counts}")
        return seconds, {}

    figure = pipeline.measure(
        stage,
        work,
        key=key,
        name=f"Fan-out: one notification to {devices:,} devices",
        goal=GOAL,
        rounds=rounds,
        requests=devices,
        notifications=1,
        method=_METHOD.replace("{few}", f"{small.devices:,}"),
    )
    return paced.at_half_load(stage, figure, Kind.EVERYONE, small.devices, app=small.app)
