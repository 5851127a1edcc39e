"""Drives aioapns: REQUESTS pushes over one connection, at most IN_FLIGHT unanswered.

Usage: python drive.py PORT CA_FILE KEY_FILE BODY_FILE REQUESTS IN_FLIGHT RATE
RATE 0: as fast as answers come. Otherwise so many a second by the clock, and for each the microseconds from when it was due
to its answer are printed, one a line. Fails if a push is not accepted.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from pathlib import Path
from typing import Any

import aioapns

PATHS = 25_000


async def drive(
    port: int, ca: str, key: str, message: dict[str, Any], requests: int, in_flight: int, rate: float
) -> list[float]:
    """Seconds that each push took."""
    client = aioapns.APNs(
        key=key,
        key_id="ABC123DEFG",
        team_id="TEAM123456",
        topic="com.example.chat",
        max_connections=1,
        ssl_context=ssl.create_default_context(cafile=ca),
    )
    place = {"APNS_SERVER": "localhost", "APNS_PORT": port}
    client.pool.protocol_class = type("Local", (client.pool.protocol_class,), place)
    started, numbers, took = time.perf_counter(), iter(range(requests)), []

    async def lane() -> None:
        for number in numbers:
            due = started + number / rate if rate else time.perf_counter()
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            request = aioapns.NotificationRequest(
                device_token=f"{number % PATHS:064x}",
                message=message,
                priority=10,
                time_to_live=3600,
                push_type=aioapns.PushType.ALERT,
            )
            result = await client.send_notification(request)
            if not result.is_successful:
                raise RuntimeError(f"not accepted: {result.status} {result.description}")
            took.append(time.perf_counter() - due)

    await asyncio.gather(*(lane() for _ in range(in_flight)))
    client.pool.close()
    return took


if __name__ == "__main__":
    port, ca_file, key_file, body_file, requests, in_flight, rate = sys.argv[1:]
    key, body = Path(key_file).read_text(encoding="ascii"), json.loads(Path(body_file).read_text(encoding="utf-8"))
    times = asyncio.run(drive(int(port), ca_file, key, body, int(requests), int(in_flight), float(rate)))
    if float(rate):
        print("\n".join(f"{seconds * 1e6:.0f}" for seconds in times))
