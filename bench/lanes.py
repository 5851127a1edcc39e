"""Figure "lanes": how much of a broadcast leaves while alerts are plenty (promise 4: at least a twentieth).

Both wait when the sending begins: the app is paused while they are accepted, as after an outage. The server tells them apart
by their apns-priority, so that the share is what has left, not what is planned.
"""

from __future__ import annotations

import json
import time
from typing import NamedTuple

from bench import gateway, pipeline
from bench.pipeline import Stage
from bench.report import PER, Figure, Goal, Run

UNIT = "pushes for each of a broadcast"
GOAL = Goal(value=20.0)
_METHOD = """{rounds} rounds. The app is paused; one POST of {alerts:,} lines of NDJSON, an alert to one user each, and one
notification with `everyone` and priority `low` to {devices:,} devices are accepted; then it may send. While alerts wait the
server is asked every few milliseconds how many pushes it has read of each: the value is all of them by those of the
broadcast, from the look before its first until all alerts but a hundredth have been read."""
_LOOK_EVERY = 0.005
_SECONDS = 60.0
_MOST = 0.99


class _Read(NamedTuple):
    """What the server has read: of both, and of the broadcast."""

    whole: int
    part: int


def measure(stage: Stage, *, rounds: int, alerts: int, devices: int, app: str = gateway.APP) -> Figure:
    """`alerts` beside a broadcast to all `devices` of `app`. Raises RuntimeError if one is lost."""
    return Figure(
        key="lanes",
        name="Lanes: a broadcast while alerts are plenty",
        goal=GOAL,
        unit=UNIT,
        payload=pipeline.PAYLOAD,
        durability=pipeline.DURABILITY,
        method=" ".join(_METHOD.format(rounds=rounds, alerts=alerts, devices=devices).split()),
        runs=[_round(stage, number, alerts, devices, app) for number in range(1, rounds + 1)],
    )


def _round(stage: Stage, number: int, alerts: int, devices: int, app: str) -> Run:
    stage.pause(app, paused=True)
    saw, cpu = stage.server.counts(), stage.gateway.cpu_seconds()
    broadcast = {"to": {"everyone": True}, "priority": "low", **pipeline.CONTENT}
    stage.post(pipeline.lines(alerts, devices), pipeline.NDJSON, app=app)
    stage.post(json.dumps(broadcast).encode(), app=app)
    began = time.monotonic()
    stage.pause(app, paused=False)
    seen = _seen(stage, saw.requests, saw.later, alerts)
    stage.settled()
    seconds = time.monotonic() - began
    now, requests = stage.server.counts(), alerts + devices
    if now.later - saw.later != devices:
        raise RuntimeError(f"{devices} of the broadcast were asked for, {now.later - saw.later} arrived")
    of_both, of_broadcast = seen[-1].whole - seen[0].whole, seen[-1].part - seen[0].part
    return Run(
        round=number,
        program=pipeline.OURS,
        requests=requests,
        server_saw=now.requests - saw.requests,
        value=of_both / max(1, of_broadcast),
        server_cpu=(now.cpu_seconds - saw.cpu_seconds) * PER / requests,
        wall_seconds=seconds,
        more={
            "share of the broadcast, %": 100 * of_broadcast / max(1, of_both),
            "alerts read before its first": float(seen[0].whole - seen[0].part),
            "CPU s per 100,000": (stage.gateway.cpu_seconds() - cpu) * PER / requests,
        },
    )


def _seen(stage: Stage, requests: int, later: int, alerts: int) -> list[_Read]:
    """What the server has read each time that it was asked, from before the first of the broadcast until nearly all alerts."""
    seen = [_Read(0, 0)]
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        now = stage.server.counts()
        read = _Read(now.requests - requests, now.later - later)
        if read.part == 0:  # what has left before the broadcast's turn came is no share of it
            seen.clear()
        seen.append(read)
        if read.whole - read.part >= _MOST * alerts:
            return seen
        time.sleep(_LOOK_EVERY)
    raise RuntimeError(f"the alerts did not leave within {_SECONDS} s: {seen[-1:]}")
