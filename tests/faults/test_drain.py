"""SIGTERM: what is in flight gets its answers, nothing more is taken, the rest waits for the next start."""

from __future__ import annotations

import signal
import time

import pytest

from processes import Simulator, end, until
from traffic import SEND, Make, by_number, notification, register, settled
from wakeline.config.tree import Server

pytestmark = pytest.mark.faults


def received(fake: Simulator) -> int:
    return len(fake.requests())


def test_sigterm_finishes_what_is_in_flight_and_refuses_more(fake: Simulator, make: Make) -> None:
    gateway = make(fake)
    with gateway.client() as http:
        register(http, 5)
        warm = [http.post(SEND, json=notification(number, 5)).json()["id"] for number in range(5)]
        settled(http, warm, time.monotonic() + 30)
        fake.behave("apns", min_latency_ms=3000)
        ids = [http.post(SEND, json=notification(number, 5)).json()["id"] for number in range(5, 30)]
        until(lambda: received(fake) >= 30 or None, "everything is in flight")
        assert gateway.process is not None
        gateway.process.send_signal(signal.SIGTERM)
        until(lambda: http.get("/readyz").status_code == 503 or None, "it says that it stops")
        refused = http.post(SEND, json=notification(99, 5))
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) >= 1
    assert end(gateway.process, number=None) == 0
    fake.behave("apns", min_latency_ms=0)
    gateway.start()
    with gateway.client() as http:
        found = settled(http, ids, time.monotonic() + 30)
    assert {one["deliveries"][0]["state"] for one in found.values()} == {"accepted"}
    assert {len(requests) for requests in by_number(fake).values()} == {1}


def test_a_second_signal_ends_at_once_and_loses_nothing(fake: Simulator, make: Make) -> None:
    gateway = make(fake)
    with gateway.client() as http:
        register(http, 5)
        settled(http, [http.post(SEND, json=notification(0, 5)).json()["id"]], time.monotonic() + 30)
        fake.behave("apns", silent=True)
        ids = [http.post(SEND, json=notification(number, 5)).json()["id"] for number in range(1, 20)]
        until(lambda: received(fake) >= 20 or None, "everything is in flight")
    assert gateway.process is not None
    gateway.process.send_signal(signal.SIGTERM)
    until(lambda: gateway.events("service.draining") or None, "it drains")
    begun = time.monotonic()
    assert gateway.stop() == 1
    assert time.monotonic() - begun < Server().drain_timeout
    fake.behave("apns", silent=False)
    gateway.start()
    with gateway.client() as http:
        found = settled(http, ids, time.monotonic() + 30)
    assert {one["deliveries"][0]["state"] for one in found.values()} == {"accepted"}
