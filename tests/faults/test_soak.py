"""Steady traffic for a long time while everything around goes wrong at random: all of it ends, and nothing grows.

`SOAK` minutes (make test-soak: 10), faults from SOAK_SEED (printed). The long form is marked slow; `make test` plays a
few seconds of it.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from faults.weather import Weather
from processes import Gateway, until
from traffic import Crowd, Make, post_batch, settled

pytestmark = pytest.mark.faults

MINUTES = float(os.environ.get("SOAK", "10"))
SEED = int(os.environ.get("SOAK_SEED", random.randrange(1_000_000)))  # noqa: S311 - moments, not secrets
RATE = 100
"""Notifications a second."""
BEAT = 0.5
"""Seconds between two batches."""
WARM_UP = 0.4
"""Part of the time after which caches and connections are as they will be: the store's pages take some 30,000 pushes."""
WINDOW = 0.1
"""Part of the time that is looked at after the warm-up, and before the end."""
GROWTH = 1.10
"""What the resident memory may be at the end, compared with the end of the warm-up."""
MORE_FILES = 8
"""Open files that a gateway may have more at the end: connections come and go."""
WAL = 64 * 1024 * 1024
"""Bytes of write-ahead logs: they are folded long before."""
MIB = 1024 * 1024


class Vitals(NamedTuple):
    """What a process holds at a moment."""

    resident: int
    files: int
    wal: int


def vitals(gateway: Gateway) -> Vitals:
    assert gateway.process is not None
    process = Path(f"/proc/{gateway.process.pid}")
    pages = int((process / "statm").read_text().split()[1])
    wal = sum(file.stat().st_size for file in gateway.data.glob("*-wal"))
    return Vitals(pages * os.sysconf("SC_PAGE_SIZE"), len(list((process / "fd").iterdir())), wal)


class Soak:
    """A gateway in bad weather, and the traffic through it."""

    def __init__(self, gateway: Gateway, weather: Weather, http: httpx2.Client) -> None:
        self.gateway = gateway
        self.weather = weather
        self.http = http
        self.key = gateway.json("key", "create", "--scope", "admin")["key"]
        self.crowd = Crowd(http)
        self.ids: list[str] = []
        self.samples: list[Vitals] = []

    def run(self, seconds: float, ttl: int) -> None:
        """Send steadily; what is due while a batch is being taken is sent right after."""
        start = time.monotonic()
        for beat in range(round(seconds / BEAT)):
            time.sleep(max(0.0, start + beat * BEAT - time.monotonic()))
            self.weather.over(self.gateway, self.http, self.crowd)
            self.crowd.reinstall()
            batch = [self.crowd.notification(len(self.ids) + line, ttl) for line in range(round(RATE * BEAT))]
            self.ids += post_batch(self.gateway, self.key, f"soak-{beat}", batch, time.monotonic() + 60)
            self.samples.append(vitals(self.gateway))

    def end(self, ttl: int) -> dict[str, dict[str, Any]]:
        """Let the weather clear up, and wait until everything has ended; it does so with its ttl at the latest."""
        self.weather.clear()
        until(lambda: self.http.get("/v1/queue").json()["pending"] == 0 or None, "nothing is stuck", ttl + 30)
        return settled(self.http, self.ids, time.monotonic() + 30 + len(self.ids) / 100)

    def resident(self, begin: float) -> float:
        """Return the median of resident bytes in a window of the time."""
        first = round(begin * len(self.samples))
        return statistics.median(
            one.resident for one in self.samples[first : first + round(WINDOW * len(self.samples))]
        )


def judge(soak: Soak, found: dict[str, dict[str, Any]]) -> Counter[str]:
    """See that everything accepted has ended in one state and says why; return how many in which."""
    assert len(set(soak.ids)) == len(soak.ids) == len(found)
    states: Counter[str] = Counter()
    for one in found.values():
        if not one["recipients"]:  # the app was removed, and is not installed again yet
            states["nobody"] += 1
            continue
        (delivery,) = one["deliveries"]
        assert delivery["state"] in {"accepted", "failed", "expired", "skipped"}, one
        assert delivery["state"] == "accepted" or delivery["outcome"]["cause"], one
        # One connection cut at a full moment takes hundreds with it; what may have arrived is not sent twice.
        unanswered = delivery["state"] == "failed" and delivery["outcome"]["reason"] in {"no_answer", "timeout"}
        states["unanswered" if unanswered else delivery["state"]] += 1
    assert states["accepted"] > 0.6 * (len(found) - states["unanswered"]), states
    assert states["accepted"], states
    text = soak.gateway.log.read_text()
    assert "Traceback" not in text
    assert '"exception"' not in text
    assert max(one.wal for one in soak.samples) < WAL
    return states


@pytest.fixture
def soak(tmp_path: Path, make: Make, request: pytest.FixtureRequest) -> Iterator[Soak]:
    print(f"SOAK_SEED={SEED}")  # noqa: T201 - shown when it fails, and replays
    weather = Weather(SEED, tmp_path / "simulator", every=request.param)
    try:
        gateway = make(weather.fake)
        with gateway.client() as http:
            yield Soak(gateway, weather, http)
    finally:
        weather.close()


@pytest.mark.parametrize("soak", [0.7], indirect=True)
def test_a_few_seconds_of_bad_weather_leave_nothing_stuck(soak: Soak) -> None:
    soak.run(8, ttl=4)
    judge(soak, soak.end(ttl=4))
    assert soak.gateway.stop() == 0


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("soak", [3.0], indirect=True)
def test_steady_traffic_in_bad_weather_leaves_nothing_behind(soak: Soak) -> None:
    seconds = MINUTES * 60
    soak.run(seconds, ttl=90)
    found = soak.end(ttl=90)
    before, after = soak.resident(WARM_UP), soak.resident(1.0 - WINDOW)
    warm = soak.samples[: round((WARM_UP + WINDOW) * len(soak.samples))]
    last = vitals(soak.gateway)
    print(  # noqa: T201 - the figures are what a soak is for
        f"{len(soak.ids)} taken at {len(soak.ids) / seconds:.0f}/s\n"
        f"resident {[round(soak.resident(tenth / 10) / MIB) for tenth in range(10)]} MiB in each tenth of the time\n"
        f"resident {before / MIB:.1f} MiB after the warm-up, {after / MIB:.1f} MiB at the end\n"
        f"open files {max(one.files for one in warm)} at most in the warm-up, {last.files} at the end; "
        f"write-ahead logs {max(one.wal for one in soak.samples) / MIB:.1f} MiB at most\n"
        f"faults {dict(sorted(soak.weather.struck.items()))}"
    )
    print(dict(judge(soak, found)))  # noqa: T201 - the same
    assert after < GROWTH * before
    assert last.files <= max(one.files for one in warm) + MORE_FILES
    assert soak.gateway.stop() == 0
