"""Figure "NDJSON": many notifications in one request, each to one user with one device."""

from __future__ import annotations

import time

from bench import paced, pipeline
from bench.pipeline import Stage
from bench.poster import Kind
from bench.report import Figure, Goal

GOAL = Goal(ratio=7.0, value=4.0)
_METHOD = """{rounds} rounds; one POST of {requests:,} lines of NDJSON, each for another user with one device, from the POST
until the last result is on disk. Every notification has its row, its job, its delivery with the attempt, and its events. Then
requests of a hundred lines at half of the rate just reached, sent by the clock; their time is from when one was due to its
202."""


def measure(stage: Stage, *, rounds: int, requests: int, devices: int) -> Figure:
    """Send `requests` notifications, to one of `devices` users each."""

    def work(requests: int) -> tuple[float, dict[str, float]]:
        body = pipeline.lines(requests, devices)
        started = time.monotonic()
        answer = stage.post(body, pipeline.NDJSON)
        if len(answer["accepted"]) != requests or answer["rejected"]:
            raise RuntimeError(f"{len(answer['accepted'])} lines accepted, {answer['rejected'][:1]}")
        accepted = time.monotonic() - started
        stage.settled()
        return time.monotonic() - started, {"seconds until the 202": accepted}

    figure = pipeline.measure(
        stage,
        work,
        key="ndjson",
        name="NDJSON: many notifications, one device each",
        goal=GOAL,
        rounds=rounds,
        requests=requests,
        notifications=requests,
        method=_METHOD,
    )
    return paced.at_half_load(stage, figure, Kind.LINES, devices)
