"""Figure "fan-out": one notification to everyone of an app, walked, sent, answered and settled."""

from __future__ import annotations

import json
import time

from bench import pipeline
from bench.pipeline import Stage
from bench.report import Figure, Goal

GOAL = Goal(
    ratio=2.0,
    seconds=1.0,
    more={"RSS growth, MB": 30.0},
    next_idea="read a chunk's recipients while the walk that found them still has them in hand: the walk and the claim ask "
    "the registry for the same rows twice",
)
_METHOD = """{rounds} rounds; one POST with `everyone` to {requests:,} devices, from the POST until its last result is on
disk. CPU is user + system of the whole gateway, its commit threads too. Each round ends with the counts of the database
and of the status API compared with what was asked for."""


def measure(stage: Stage, *, rounds: int, devices: int) -> Figure:
    """Send to all `devices` of the app, which must have exactly so many."""

    def work(requests: int) -> tuple[float, dict[str, float]]:
        started = time.monotonic()
        taken = stage.post(json.dumps({"to": {"everyone": True}, **pipeline.CONTENT}).encode())
        stage.settled()
        seconds = time.monotonic() - started
        counts = stage.counts(taken["id"])
        if counts["accepted"] != requests or counts["pending"]:
            raise RuntimeError(f"the API says {counts}")
        return seconds, {}

    return pipeline.measure(
        stage,
        work,
        name="Fan-out: one notification to everyone",
        goal=GOAL,
        rounds=rounds,
        requests=devices,
        notifications=1,
        method=_METHOD,
    )
