"""Steady traffic for a long time: everything is settled, nothing is repeated without a cause, and memory stays flat.

`SOAK` minutes (make test-soak: 60). Marked slow: `make test` leaves it out.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from processes import Gateway, Simulator, until
from traffic import DEVICES, SEND, Make, notification, post_batch, register, token

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(0)]

MINUTES = float(os.environ.get("SOAK", "1"))
BATCH = 200
WARM_UP = 0.2
"""Part of the time after which caches and connections are as they will be."""
GROWTH = 48 * 1024 * 1024
"""Bytes that the process may grow after that: page caches of the store breathe."""


def resident(gateway: Gateway) -> int:
    """Return the bytes of memory that the gateway's process holds."""
    assert gateway.process is not None
    pages = int(Path(f"/proc/{gateway.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_steady_traffic_leaves_nothing_behind(fake: Simulator, make: Make) -> None:
    gateway = make(fake)
    key = gateway.json("key", "create", "--scope", "admin")["key"]
    start = time.monotonic()
    end = start + MINUTES * 60
    sent, warm = 0, 0
    ids: list[str] = []
    with gateway.client() as http:
        register(http)
        while time.monotonic() < end:
            busy = {"status": 503, "reason": "ServiceUnavailable"}
            fake.script(token(sent % DEVICES), {**busy, "headers": {"retry-after": "1"}})
            batch = [notification(sent + line, priority="normal") for line in range(BATCH)]
            ids = post_batch(gateway, key, f"soak-{sent}", batch, end + 60)
            sent += BATCH
            until(lambda: http.get("/v1/queue").json()["pending"] < 5_000 or None, "the queue moves", 120)
            if not warm and time.monotonic() - start > WARM_UP * MINUTES * 60:
                warm = resident(gateway)
        until(lambda: http.get("/v1/queue").json()["pending"] == 0 or None, "everything is settled", 1_200)
        last = http.get(f"{SEND}/{ids[-1]}").raise_for_status().json()
    assert last["state"] == "done"
    assert gateway.process is not None
    assert gateway.process.poll() is None
    assert '"level":"error"' not in gateway.log.read_text()
    assert resident(gateway) - warm < GROWTH
