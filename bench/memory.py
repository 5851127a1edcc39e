"""Figure "memory": the most that was resident while pushes flowed, of us and of whoever ran beside us."""

from __future__ import annotations

from bench.engine import PEAK
from bench.report import Figure, Goal, Run

_METHOD = """The high-water mark of each whole process during the rounds of two figures above: of the gateway with its
registry, queue and store while it sent to {devices:,} devices, and of the clients, which hold a queue of pushes at most,
while they sent. A process is watched from outside, every 50 ms at least."""
UNIT = "MB resident at most"


def measure(engine: Figure, fanout: Figure) -> Figure:
    """What those two figures saw, as one of its own; nothing is run."""
    ours = [run for run in fanout.runs if PEAK in run.more and run.program == fanout.programs()[0]]
    clients = [run for run in engine.runs if PEAK in run.more and run.program != engine.programs()[0]]
    return Figure(
        key="memory",
        name="Memory",
        goal=Goal(),
        unit=UNIT,
        payload=fanout.payload,
        durability=f"of the gateway: {fanout.durability}; of the clients: none",
        method=" ".join(_METHOD.format(devices=ours[0].requests).split()),
        runs=[_of(run) for run in [*ours, *clients]],
    )


def _of(run: Run) -> Run:
    return Run(
        round=run.round,
        program=run.program,
        requests=run.requests,
        server_saw=run.server_saw,
        value=run.more[PEAK],
        server_cpu=run.server_cpu,
        wall_seconds=run.wall_seconds,
    )
