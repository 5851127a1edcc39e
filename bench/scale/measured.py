"""The figures that the model begins with, read from `report.json` by the keys of their figures."""

from __future__ import annotations

from statistics import median

import msgspec

from bench import disk
from bench.engine import PEAK
from bench.report import CPU, PER, Figure, Report

_POINTS = (("fanout", 0.0), ("fanout-50ms", 50.0), ("fanout-100ms", 100.0))
_MILLION = 1_000_000


class Round(msgspec.Struct, frozen=True):
    """One broadcast that was measured: elapsed and CPU seconds."""

    seconds: float
    cpu: float


class Point(msgspec.Struct, frozen=True):
    """The rounds of a figure, in order: each finds the connections that the one before it left. `trip` in ms."""

    figure: str
    devices: int
    trip: float
    rounds: tuple[Round, ...]

    @property
    def seconds(self) -> float:
        """The median round."""
        return median(each.seconds for each in self.rounds)

    @property
    def cost(self) -> float:
        """CPU seconds a push, of the median round."""
        return median(each.cpu for each in self.rounds) / self.devices


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """CPU in seconds a push, by kind of work; bytes; seconds. `points`: broadcasts, nearest first."""

    about: str
    """When, where and how carefully it was measured."""
    broadcast: float
    far: float
    """What an answer that comes alone instead of in a batch costs more: of the far broadcasts, against the near one."""
    batched: float
    single: float
    resident: float
    growth: float
    device: float
    broadcast_device: float
    notification: float
    imported: float
    """Seconds that the import of one device takes."""
    points: tuple[Point, ...]
    call_p50: float
    call_p99: float
    call_devices: int
    call_cpu: float


class Absent(LookupError):
    """The report lacks a figure that the model needs."""


def of(report: Report) -> Measured:
    """Read a report. Raises Absent if a figure is not in it."""
    figures = {figure.key: figure for figure in report.figures}

    def figure(key: str) -> Figure:
        if key not in figures:
            raise Absent(f"report.json has no figure {key!r}: `make bench` measures it")
        return figures[key]

    near = figure("fanout-1m") if "fanout-1m" in figures else figure("fanout")
    points = tuple(_point(figure(key), trip) for key, trip in _POINTS)
    calls, bytes_of = figure("call-latency"), figure("disk")
    broadcast = _value(near) / PER
    machine = report.machine
    return Measured(
        about=f"Measured {report.at} on {machine.processor}, {machine.cores} cores, {machine.system}"
        + (", by a quick run: a smoke, not a measurement." if report.quick else "."),
        broadcast=broadcast,
        far=max(0.0, *(point.cost - broadcast for point in points)),
        batched=_value(figure("ndjson")) / PER,
        single=_value(figure("post")) / PER,
        resident=max(figure(key).also(PEAK) for key in ("fanout", "ndjson", "post")) * 1e6,
        growth=near.also("RSS growth, MB") * 1e6,
        device=_value(bytes_of),
        broadcast_device=bytes_of.also(disk.BROADCAST),
        notification=bytes_of.also(disk.SINGLE),
        imported=min(_value(figure("import-csv")), _value(figure("import-ndjson"))) / _MILLION,
        points=points,
        call_p50=calls.also("p50, ms"),
        call_p99=_value(calls),
        call_devices=calls.runs[0].requests,
        call_cpu=calls.also(CPU) / PER,
    )


def _point(figure: Figure, trip: float) -> Point:
    """Read our rounds. CPU is the figure's value, or stands beside it where the value is elapsed time."""
    ours = [run for run in figure.runs if run.program == figure.programs()[0]]
    return Point(
        figure.key,
        ours[0].requests,
        trip,
        tuple(
            Round(run.wall_seconds, (run.value if figure.unit == CPU else run.more[CPU]) * run.requests / PER)
            for run in ours
        ),
    )


def _value(figure: Figure) -> float:
    return figure.median(figure.programs()[0], "value")
