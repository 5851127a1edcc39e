"""Tables of what the model begins with and how far it can be trusted."""

from __future__ import annotations

from bench.scale import given, proof
from bench.scale.measured import Measured
from bench.scale.words import number, size, span, table


def measured(found: Measured) -> str:
    """The figures that were read from the report."""
    return f"{found.about}\n\n" + table(
        ["measured", "value", "figure"],
        [
            ["CPU of a push of a broadcast", f"{number(found.broadcast * 1e6)} us", "fan-out, the largest"],
            ["more of it when the provider is far", f"{number(found.far * 1e6)} us", "fan-out, 50 and 100 ms away"],
            ["CPU of a notification in NDJSON", f"{number(found.batched * 1e6)} us", "NDJSON"],
            ["CPU of a notification by a POST of its own", f"{number(found.single * 1e6)} us", "single POSTs"],
            ["memory of the process at most", size(found.resident), "RSS peak of these"],
            ["what a broadcast adds to it", size(found.growth), "fan-out, the largest"],
            ["disk of a device", size(found.device), "disk"],
            ["disk of a device's part in a broadcast", size(found.broadcast_device), "disk"],
            ["disk of a notification of its own", size(found.notification), "disk"],
            ["import of a million devices", span(found.imported * 1e6), "import"],
        ],
        words=True,
    )


def assumed(_: Measured) -> str:
    """What the report cannot say."""
    return table(
        ["assumed or prescribed", "value", "where from"],
        [[one.what, f"{number(one.value)} {one.unit}".strip(), one.source] for one in given.ALL],
        words=True,
    )


def trust(found: Measured) -> str:
    """The simulation beside what was measured."""
    rows = [
        [
            f"broadcast to {number(one.point.devices)}, {_place(one.point.trip)}",
            span(one.point.seconds),
            span(one.simulated),
            f"{one.error:+.0%}",
            f"{one.least:+.0%} to {proof.SLOW:+.0%}",
        ]
        for one in proof.broadcasts(found)
    ]
    calls = proof.calls(found, proof.stages(found))
    for name, ours, theirs in (
        ("call beside a broadcast, median (fitted)", proof.middle(calls), found.call_p50),
        ("call beside a broadcast, p99", proof.worst(calls), found.call_p99),
    ):
        rows.append([name, f"{number(theirs)} ms", f"{number(ours)} ms", f"{ours / theirs - 1:+.0%}", "-"])
    return table(["", "measured", "simulated", "off by", "a test holds it to"], rows)


def _place(trip: float) -> str:
    return f"{number(trip)} ms away" if trip else "next door"
