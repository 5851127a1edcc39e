"""Figure "disk": the bytes that a device takes in the registry, and a delivery in the ledger until retention forgets it.

Counted in pages that are in use, by SQLite's own count: what was freed is used again and is not growth. Bytes do not depend on
the machine; they depend on the lengths of what is kept, which are those of the other figures.
"""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from bench import gateway, pipeline
from bench.pipeline import Stage
from bench.report import PER, Figure, Goal, Run

UNIT = "bytes a device"
BROADCAST = "bytes a device of a broadcast"
SINGLE = "bytes a notification of its own"
_DEVICES = "devices.db"
_METHOD = """The value: pages in use of the registry's file by its {known:,} devices, which have one user and one token each
(the first {called:,} of an app one for calls, too). Then what the ledger's file grew by with one notification to {devices:,}
devices, and with {requests:,} notifications by NDJSON to one device each, with their attempts and events, when all was
settled. Write-ahead logs come on top, 64 MB at most each."""


def measure(stage: Stage, *, devices: int, requests: int) -> Figure:
    """Look at the registry, then broadcast to all `devices` of the app, then send `requests` to one device each."""
    registry = stage.gateway.database.with_name(_DEVICES)
    known, started = _devices(registry), time.monotonic()
    saw, began = stage.server.counts(), _used(stage.gateway.database)
    stage.post(json.dumps({"to": {"everyone": True}, **pipeline.CONTENT}).encode())
    stage.settled()
    between = _used(stage.gateway.database)
    stage.post(pipeline.lines(requests, devices), pipeline.NDJSON)
    stage.settled()
    ended, now = _used(stage.gateway.database), stage.server.counts()
    run = Run(
        round=1,
        program=pipeline.OURS,
        requests=devices + requests,
        server_saw=now.requests - saw.requests,
        value=_used(registry) / known,
        server_cpu=(now.cpu_seconds - saw.cpu_seconds) * PER / (devices + requests),
        wall_seconds=time.monotonic() - started,
        more={BROADCAST: (between - began) / devices, SINGLE: (ended - between) / requests},
    )
    return Figure(
        key="disk",
        name="Disk",
        goal=Goal(),
        unit=UNIT,
        payload=pipeline.PAYLOAD,
        durability=pipeline.DURABILITY,
        method=" ".join(_METHOD.format(known=known, called=gateway.CALLED, devices=devices, requests=requests).split()),
        runs=[run],
    )


def _used(file: Path) -> int:
    """Bytes of the pages in use, the log included."""
    with closing(_open(file)) as connection:
        size, pages, free = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "page_count", "freelist_count")
        )
    return int(size * (pages - free))


def _devices(file: Path) -> int:
    with closing(_open(file)) as connection:
        (found,) = connection.execute("SELECT count(*) FROM device").fetchone()
    return int(found)


def _open(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{file}?mode=ro", uri=True)
