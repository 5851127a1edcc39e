"""Tables about ten nodes and about a billion devices: what adds up, what is shared, and whose limit is met."""

from __future__ import annotations

import math
from functools import cache

from bench.scale import day, given, ramping
from bench.scale.around import Far
from bench.scale.measured import Measured
from bench.scale.one import DAY, MILLION, daily, drain, far, kinds
from bench.scale.words import number, size, span, table

BILLION = 1000 * MILLION
TEN = 10
_TRIP = 50
_KEPT = 0.9
"""Streams that others than calls may use."""


@cache
def _rate(found: Measured) -> float:
    """Return the pushes a second of a long broadcast to Apple, by the simulation."""
    return MILLION / drain(found, MILLION, far(_TRIP), connected=Far().most).drained


def ten(found: Measured) -> str:
    """One node and ten, side by side."""
    broadcast, _, single = kinds(found)
    rate, most = _rate(found), Far().most
    google = [
        [ramping.broadcast(nodes, devices, rate=1 / broadcast.cost) for nodes in (1, TEN)]
        for devices in (MILLION, 10 * MILLION)
    ]
    each = found.device + daily(found) * 30
    holds = given.DISK.value * 1e9 / each

    def row(what: str, value: float, unit: str = "") -> list[str]:
        return [what, f"{number(value)}{unit}", f"{number(TEN * value)}{unit}"]

    return table(
        ["", "one node", "ten nodes"],
        [
            row("single POSTs a second, at the load planned for", given.LOAD.value / single.cost),
            row(f"broadcast to Apple, {_TRIP} ms away, pushes a second", rate),
            ["broadcast to Apple, 10 million devices", span(10 * MILLION / rate), span(MILLION / rate)],
            ["broadcast to Google, a million devices of one project", *(span(each.seconds) for each in google[0])],
            ["429s of Google's on the way", *(number(each.refused) for each in google[0])],
            ["broadcast to Google, 10 million devices of one project", *(span(each.seconds) for each in google[1])],
            ["429s of Google's on the way", *(number(each.refused) for each in google[1])],
            row("devices that the disks hold, with retention of 30 days", holds),
            row("connections to Apple, for each credential and environment, at most", most),
            row("streams on them that others than calls use", most * given.STREAMS.value * _KEPT),
            row("connections to Google, for each project, at most", most),
            row("files that are written, each with commits of its own", 2),
        ],
    )


def billion(found: Measured) -> str:
    """A billion devices, by retention: the nodes that CPU, disk and memory ask for, and which of them decides."""
    broadcast, _, single = kinds(found)
    cpu = BILLION * (given.PUSHES.value * single.cost + given.BROADCASTS.value * broadcast.cost) / DAY
    by_cpu = math.ceil(cpu * day.busiest() / given.LOAD.value)
    by_memory = math.ceil(BILLION * found.device / (given.MEMORY.value * 1e9))
    rows = []
    for days in (1, 7, 30):
        disk = BILLION * (found.device + days * daily(found))
        by_disk = math.ceil(disk / (given.DISK.value * 1e9))
        nodes = max(by_cpu, by_disk, by_memory)
        rows.append(
            [
                f"{days} day{'s' * (days > 1)}",
                number(by_cpu),
                number(by_memory),
                number(by_disk),
                number(nodes),
                size(disk),
                number(nodes * Far().most),
                span(BILLION * found.imported / nodes),
            ]
        )
    head = ["retention", "nodes for CPU", "nodes for memory", "nodes for disk", "nodes", "disk in all"]
    return table([*head, "connections to Apple and to Google each", "import, all nodes at once"], rows)


def everybody(found: Measured) -> str:
    """A broadcast to a billion devices: our side by the number of nodes, Google's by the quota of one project."""
    rate, ours = _rate(found), 1 / kinds(found)[0].cost
    apple = BILLION * (1 - given.FCM_SHARE.value)
    google = BILLION * given.FCM_SHARE.value
    sizes = [(f"{nodes} node{'s' * (nodes > 1)}", nodes) for nodes in (1, TEN, 100)]
    rows = [[f"{name}, to Apple's devices", span(apple / (nodes * rate))] for name, nodes in sizes]
    rows += [[f"{name}, to Google's devices, no quota", span(google / (nodes * ours))] for name, nodes in sizes]
    for raised in (1, 1.25, 4):
        quota = given.QUOTA.value * raised
        name = "by the default quota" if raised == 1 else f"by a quota of {number(quota)} a minute"
        rows.append([f"Google's devices, one project, {name}", span(google / quota * 60)])
    hours = 3.0
    ramped = ramping.broadcast(1, BILLION, rate=ours, hours=hours)
    rows.append(
        ["the same by the default quota, with our ramp (simulated)", span(google / (ramped.accepted / (hours * 3600)))]
    )
    rows.append(["a billion messages to one project by the default quota", span(BILLION / given.QUOTA.value * 60)])
    return table(["a broadcast to everybody", "takes"], rows)
