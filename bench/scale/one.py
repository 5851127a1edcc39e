"""Tables about one node: its rates, what stands in the way when the provider is far, devices, days, calls, commits."""

from __future__ import annotations

from typing import NamedTuple

from bench.scale import day, given, proof, ramping
from bench.scale.around import Far, Work
from bench.scale.measured import Measured
from bench.scale.node import Done, Node
from bench.scale.words import number, percent, size, span, table

MILLION = 1_000_000
DAY = 86_400
_CORES = (2, 4, 8)
_TRIPS = (20, 50, 100)
_CONNECTIONS = (1, 2, 4, 8)
_BODIES = (255, 1024, 4096)
_COMMITS = (0.1, 1.0, 10.0)


class Kind(NamedTuple):
    """A kind of traffic; `cost`: CPU seconds a push, the provider far away."""

    name: str
    cost: float


def kinds(found: Measured) -> tuple[Kind, Kind, Kind]:
    """Return them, cheapest first. What distance costs more was measured for broadcasts, and is added to all."""
    return (
        Kind("broadcast", found.broadcast + found.far),
        Kind("NDJSON, one device a notification", found.batched + found.far),
        Kind("single POSTs", found.single + found.far),
    )


def far(trip: float, connections: int | None = None) -> Far:
    """Return a provider so many ms away."""
    return Far(trip=trip / 1000, most=Far().most if connections is None else connections)


def drain(found: Measured, devices: int, way: Far, *, connected: int = 1) -> Done:
    """Simulate a broadcast alone; one connection is up, as in a service that has work now and then."""
    cost = kinds(found)[0].cost if way.trip else found.broadcast
    return Node(way, Work(broadcast=devices, broadcast_cost=cost, connected=connected)).run()


def drained(found: Measured, devices: int, way: Far) -> float:
    """Return the seconds of a broadcast; beyond a million at the pace of the second half of the first million."""
    whole = drain(found, min(devices, MILLION), way).drained
    if devices <= MILLION:
        return whole
    half = drain(found, MILLION // 2, way).drained
    return whole + (devices - MILLION) * (whole - half) / (MILLION - MILLION // 2)


def rates(found: Measured) -> str:
    """Pushes a second by kind, of one gateway."""
    return table(
        [
            "kind of traffic",
            "CPU a push",
            "a second, all of a core",
            "at the load planned for",
            "a day at that",
            "to the provider at that",
        ],
        [
            [
                kind.name,
                f"{number(kind.cost * 1e6)} us",
                number(1 / kind.cost),
                number(given.LOAD.value / kind.cost),
                number(given.LOAD.value / kind.cost * DAY),
                f"{size(given.LOAD.value / kind.cost * (Far().body + given.OVERHEAD.value))}/s",
            ]
            for kind in kinds(found)
        ],
    )


def machines(found: Measured) -> str:
    """Pushes a second by the cores of a machine."""
    rows = []
    for cores in _CORES:
        gateways = cores - int(given.SPARE_CORES.value)
        each = [number(gateways * given.LOAD.value / kind.cost) for kind in kinds(found)]
        rows.append([str(cores), str(gateways), *each, size(gateways * (found.resident + given.CACHES.value * 1e6))])
    names = [f"{kind.name}, a second" for kind in kinds(found)]
    return table(["cores", "gateways", *names, "memory of the processes at most"], rows)


def distance(found: Measured) -> str:
    """Pushes a second of a broadcast by round trip and connections, all of them up; and what stands in the way."""
    devices = MILLION // 5
    rows = []
    for trip in _TRIPS:
        cells = []
        for connections in _CONNECTIONS:
            done = drain(found, devices, far(trip, connections), connected=connections)
            limit = "CPU" if done.busy > 0.9 * done.drained else "streams"
            cells.append(f"{number(devices / done.drained)} ({limit})")
        rows.append([f"{trip} ms", *cells])
    return table(["round trip", *(f"{each} connection{'s' * (each > 1)}" for each in _CONNECTIONS)], rows)


def windows(found: Measured) -> str:
    """Pushes a second on one connection by the window that the server gives it and the size of the payload."""
    rows = []
    for window in (65_535, 1 << 20, 1 << 24):
        cells = []
        for body in _BODIES:
            way = Far(trip=_TRIPS[1] / 1000, most=1, window=window, body=body)
            count = MILLION // 20
            cells.append(number(count / drain(found, count, way).drained))
        rows.append([f"{window:,} bytes", *cells])
    return table(["window of a connection", *(f"payload of {body:,} bytes" for body in _BODIES)], rows)


def broadcasts(found: Measured) -> str:
    """Until the last result of a broadcast is on disk: Apple near and far, and Google with its quota."""
    rate = 1 / kinds(found)[0].cost
    rows = []
    for devices in (MILLION // 10, MILLION, 10 * MILLION):
        cells = [span(drained(found, devices, far(trip))) for trip in (0, 50, 100)]
        google = ramping.broadcast(1, devices, rate=rate)
        rows.append([number(devices), *cells, span(google.seconds), number(google.refused)])
    head = ["devices", "Apple, next door", "Apple, 50 ms", "Apple, 100 ms", "Google, one project", "429s on the way"]
    return table(head, rows)


def devices(found: Measured) -> str:
    """What a registry of so many devices needs, and what it does to single pushes when memory does not hold it."""
    rows = []
    for known in (MILLION // 10, MILLION, 10 * MILLION, 50 * MILLION, 200 * MILLION):
        registry = known * found.device
        missing = max(0.0, 1 - given.MEMORY.value * 1e9 / registry)
        cost = kinds(found)[2].cost + missing * given.PAGES.value * given.READ.value / 1000
        rows.append(
            [
                number(known),
                size(registry),
                size(found.resident + min(registry, given.CACHES.value * 1e6)),
                size(min(registry, given.MEMORY.value * 1e9)),
                percent(missing),
                number(given.LOAD.value / cost),
                span(known * found.imported),
            ]
        )
    head = [
        "devices",
        "registry on disk",
        "process at most",
        "page cache",
        "pages not in memory",
        "single POSTs a second",
    ]
    return table([*head, "import"], rows)


def daily(found: Measured) -> float:
    """Return the bytes that a device adds to the ledger a day."""
    return given.PUSHES.value * found.notification + given.BROADCASTS.value * found.broadcast_device


def retention(found: Measured) -> str:
    """Disk by retention, and how many devices a node's disk holds with it."""
    rows = []
    for days in (1, 7, 30):
        each = found.device + days * daily(found)
        rows.append(
            [f"{days} day{'s' * (days > 1)}", size(each), size(each * MILLION), number(given.DISK.value * 1e9 / each)]
        )
    return table(["retention", "a device", "a million devices", "devices that the disk holds"], rows)


def days(found: Measured) -> str:
    """A day with its rhythm, and a broadcast to a million devices at noon, by how much of a core the day's mean takes."""
    broadcast, _, single = kinds(found)
    rows = []
    for load in (0.1, 0.2, 0.3, 0.4, 0.6):
        lived = day.live(load / single.cost, single.cost, broadcast=MILLION, broadcast_cost=broadcast.cost)
        rows.append(
            [
                percent(load),
                number(load / single.cost * DAY),
                number(load / single.cost * lived.peak),
                number(lived.waiting),
                span(lived.wait) if lived.wait else "-",
                str(lived.late),
                span(lived.broadcast) if lived.broadcast is not None else "-",
            ]
        )
    head = ["core, mean of the day", "POSTs a day", "busiest, a second", "most that wait", "longest wait"]
    return table([*head, "minutes with waits over 1 s", "the broadcast took"], rows)


def calls(found: Measured) -> str:
    """Calls beside a broadcast by the disk's commit: from the POST to the bytes on their way."""
    steps = proof.stages(found)
    rows = []
    for commit in _COMMITS:
        took = proof.beside(found, Far(), MILLION // 5, steps, cost=found.call_cpu, commit=commit / 1000)
        rows.append([f"{number(commit)} ms", f"{number(proof.middle(took))} ms", f"{number(proof.worst(took))} ms"])
    return table(["a commit takes", "median", "p99"], rows)


def commits(found: Measured) -> str:
    """Commits a second, each an fsync of the write-ahead log, by the load of single POSTs and the disk."""
    steps, seconds = proof.stages(found), 4.0
    cost = kinds(found)[2].cost
    rows = []
    for load in (0.1, 0.3, given.LOAD.value):
        cells = []
        for commit in _COMMITS:
            work = Work(singles=load / cost, single_cost=cost, seconds=seconds, stages=steps, connected=Far().most)
            cells.append(number(Node(far(_TRIPS[1]), work, commit=commit / 1000).run().commits / seconds))
        rows.append([percent(load), number(load / cost), *cells])
    done = drain(found, MILLION, far(_TRIPS[1]), connected=Far().most)
    rows.append(["a broadcast alone", number(MILLION / done.drained), "-", number(done.commits / done.drained), "-"])
    head = ["load of a core", "pushes a second", *(f"a commit takes {number(commit)} ms" for commit in _COMMITS)]
    return table(head, rows)
