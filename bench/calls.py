"""Figure "call latency": a call sent over REST while a broadcast runs, until the provider has read it.

The way is measured whole and from outside: from before the POST is written to when the server has read the push, by the
machine's one monotonic clock. Thus it holds the HTTP request, its commit, the way through the pipeline and the server's own
turn; "accepted to written", for which the goal is set, is a part of it.
"""

from __future__ import annotations

import http.client
import json
import time
from statistics import quantiles
from typing import NamedTuple

from bench import gateway, pipeline
from bench.pipeline import Stage
from bench.report import PER, Figure, Goal, Run

UNIT = "ms, p99 of a round"
GOAL = Goal(value=10.0)
_METHOD = """{rounds} rounds. One notification with `everyone` to {devices:,} devices; while its pushes leave, calls to one user
each are POSTed over one keep-alive connection, {pace} a second by the clock, until it is settled; {more}. The time is from
before the POST is written until the server has read the push of type voip, on one clock. Some calls went before, not
counted, so that the connection to the provider is up."""
_PACE = 50
_SECONDS = 120.0
_LEAST = 5


class _Call(NamedTuple):
    """One call: its device, and when its POST was about to be written and answered (time.monotonic)."""

    device: int
    began: float
    answered: float


def measure(stage: Stage, *, rounds: int, devices: int, app: str = gateway.APP) -> Figure:
    """Calls beside a broadcast to all `devices` of `app`. Raises RuntimeError if a call does not arrive or comes twice."""
    _call_while(stage, app, stage.gateway.newest())  # the connection for calls is up before, as it is in a service
    stage.settled()
    stage.server.counts()
    runs = [_round(stage, number, devices, app) for number in range(1, rounds + 1)]
    calls = sum(int(run.more["calls"]) for run in runs)
    return Figure(
        key="call-latency",
        name="Call latency while a broadcast runs",
        goal=GOAL,
        unit=UNIT,
        payload="a call (type `call`, push type voip) beside the alert above",
        durability=pipeline.DURABILITY,
        method=" ".join(
            _METHOD.format(rounds=rounds, devices=devices, pace=_PACE, more=f"{calls:,} calls in all").split()
        ),
        runs=runs,
    )


def _round(stage: Stage, number: int, devices: int, app: str) -> Run:
    saw, cpu = stage.server.counts(), stage.gateway.cpu_seconds()
    began = time.monotonic()
    stage.post(json.dumps({"to": {"everyone": True}, **pipeline.CONTENT}).encode(), app=app)
    sent = _call_while(stage, app, stage.gateway.newest())
    stage.settled()
    seconds = time.monotonic() - began
    now = stage.server.counts()
    arrived = [(gateway.called(head), at) for head, at in now.calls]
    if sorted(device for device, _ in arrived) != sorted(call.device for call in sent):
        raise RuntimeError(f"{len(sent)} calls were accepted, {len(arrived)} arrived")
    # A device is called again only after all others were: the n-th arrival of a device belongs to its n-th call.
    took = sorted((at - call.began) * 1000 for call, (_, at) in zip(sorted(sent), sorted(arrived), strict=True))
    cuts = quantiles(took, n=100, method="inclusive")
    requests = devices + len(sent)
    cpu = stage.gateway.cpu_seconds() - cpu
    return Run(
        round=number,
        program=pipeline.OURS,
        requests=requests,
        server_saw=now.requests - saw.requests,
        value=cuts[98],
        server_cpu=(now.cpu_seconds - saw.cpu_seconds) * PER / requests,
        wall_seconds=seconds,
        more={
            "p50, ms": cuts[49],
            "most, ms": took[-1],
            "until the 202, p99, ms": quantiles(
                [(call.answered - call.began) * 1000 for call in sent], n=100, method="inclusive"
            )[98],
            "calls": float(len(sent)),
            "CPU s per 100,000": cpu * PER / requests,
        },
    )


def _call_while(stage: Stage, app: str, broadcast: int) -> list[_Call]:
    """Call one user after the other until the broadcast is settled."""
    connection = http.client.HTTPConnection("127.0.0.1", stage.gateway.port, timeout=_SECONDS)
    headers = {"authorization": f"Bearer {stage.gateway.key}", "content-type": "application/json"}
    sent: list[_Call] = []
    began = time.monotonic()
    try:
        while len(sent) < _LEAST or not stage.gateway.is_done(broadcast):
            time.sleep(max(0.0, began + len(sent) / _PACE - time.monotonic()))
            device = len(sent) % gateway.CALLED
            body = json.dumps(
                {"to": {"users": [gateway.user(device)]}, "type": "call", "call": {"id": f"call-{len(sent)}"}}
            )
            before = time.monotonic()
            connection.request("POST", f"/v1/apps/{app}/notifications", body, headers)
            answer = connection.getresponse()
            told = answer.read()
            sent.append(_Call(device, before, time.monotonic()))
            if answer.status != 202:
                raise RuntimeError(f"call not accepted: {answer.status} {told[:500]!r}")
    finally:
        connection.close()
    return sent
