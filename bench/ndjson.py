"""Figure "NDJSON": many notifications in one request, each to one user with one device."""

from __future__ import annotations

import json
import time

from bench import gateway, pipeline
from bench.pipeline import Stage
from bench.report import Figure, Goal

GOAL = Goal(
    ratio=7.0,
    value=4.0,
    next_idea="one job for the range of notifications of a commit, so that queue, dispatch, answers and settlement handle "
    "a batch where they now make a row, a lease, a load, a shipment and a flight for each; the work is flat today: accept "
    "30 % (half of it checking and measuring the payload, which is written again to be sent), dispatch 25 %, SQL 18 %, "
    "answers 10 %",
)
_METHOD = """{rounds} rounds; one POST of {requests:,} lines of NDJSON, each for another user with one device, from the POST
until the last result is on disk. Every notification has its row, its job, its delivery with the attempt, and its events."""


def measure(stage: Stage, *, rounds: int, requests: int, devices: int) -> Figure:
    """Send `requests` notifications, to one of `devices` users each."""

    def work(requests: int) -> tuple[float, dict[str, float]]:
        body = lines(requests, devices)
        started = time.monotonic()
        answer = stage.post(body, pipeline.NDJSON)
        if len(answer["accepted"]) != requests or answer["rejected"]:
            raise RuntimeError(f"{len(answer['accepted'])} lines accepted, {answer['rejected'][:1]}")
        accepted = time.monotonic() - started
        stage.settled()
        return time.monotonic() - started, {"seconds until the 202": accepted}

    return pipeline.measure(
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


def lines(requests: int, devices: int) -> bytes:
    """The body of so many notifications, each to one of `devices` users in turn."""
    content = json.dumps(pipeline.CONTENT)[1:]
    return "".join(f'{{"to":{{"users":["{gateway.user(n % devices)}"]}},{content}\n' for n in range(requests)).encode()
