"""Figure "fan-out": one notification to everyone of an app, walked, sent, answered and settled."""

from __future__ import annotations

import json
import time

from bench import gateway, pipeline
from bench.pipeline import Stage
from bench.report import Figure, Goal

GOAL = Goal(
    ratio=2.0,
    value=1.0,
    more={"RSS growth, MB": 30.0},
    next_idea="hand the walk's rows on to the sender: walk (17 % of the CPU) and claim (13 %) ask the registry for the same "
    "devices twice; then a walk by one join instead of two look-ups a device (4 %), and larger reads from the provider, "
    "since 11 % is waiting for the kernel to say that a few answers came",
)
_METHOD = """{rounds} rounds; one POST with `everyone` to {requests:,} devices, from the POST until its last result is on
disk. CPU is user + system of the whole gateway, its commit threads too. Each round ends with the counts of the database
and of the status API compared with what was asked for."""


def measure(stage: Stage, *, rounds: int, devices: int, app: str = gateway.APP, key: str = "fanout") -> Figure:
    """Send to all `devices` of the app, which must have exactly so many."""

    def work(requests: int) -> tuple[float, dict[str, float]]:
        started = time.monotonic()
        taken = stage.post(json.dumps({"to": {"everyone": True}, **pipeline.CONTENT}).encode(), app=app)
        stage.settled()
        seconds = time.monotonic() - started
        counts = stage.counts(taken["id"], app)
        if counts["accepted"] != requests or counts["pending"]:
            raise RuntimeError(f"the API says {counts}")
        return seconds, {}

    return pipeline.measure(
        stage,
        work,
        key=key,
        name=f"Fan-out: one notification to {devices:,} devices",
        goal=GOAL,
        rounds=rounds,
        requests=devices,
        notifications=1,
        method=_METHOD,
    )
