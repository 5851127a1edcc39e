"""A push service that is away: pushes wait, others do not notice, and everything goes out when it is back."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ports import free_port
from processes import simulator, until
from traffic import SEND, Make, by_number, notification, register, settled

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("kind", ["fcm", "apns"])
def test_alerts_wait_while_a_push_service_is_away_and_go_out_when_it_is_back(
    tmp_path: Path, make: Make, kind: str
) -> None:
    ports = {"apns_port": free_port(), "fcm_port": free_port(), "control_port": free_port()}
    with simulator(tmp_path / "simulator", **ports) as fake:
        gateway = make(fake)
        with gateway.client() as http:
            register(http, 5, kind)
            settled(http, [http.post(SEND, json=notification(0, 5)).json()["id"]], time.monotonic() + 30)
    with gateway.client() as http:
        ids = [http.post(SEND, json=notification(number, 5)).json()["id"] for number in range(1, 41)]
        assert http.get("/readyz").status_code == 200
        until(lambda: http.get("/v1/queue").json()["pending"] >= 40 or None, "they wait")
        explained = http.get(f"{SEND}/{ids[0]}/explain").json()
        assert explained["cause"]
        with simulator(tmp_path / "simulator", **ports) as fake:
            found = settled(http, ids, time.monotonic() + 100)
            assert {one["deliveries"][0]["state"] for one in found.values()} == {"accepted"}
            assert {number: len(requests) for number, requests in by_number(fake).items()} == dict.fromkeys(
                range(1, 41), 1
            )


def test_a_call_that_cannot_ring_in_time_ends_instead_of_ringing_late(tmp_path: Path, make: Make) -> None:
    ports = {"apns_port": free_port(), "fcm_port": free_port(), "control_port": free_port()}
    with simulator(tmp_path / "simulator", **ports) as fake:
        gateway = make(fake)
        with gateway.client() as http:
            register(http, 1, kind="apns-voip")
    call = {"to": {"devices": ["d0"]}, "call": {"id": "c1"}, "ttl": 3, "data": {"n": 1}}
    with gateway.client() as http:
        one = http.post(SEND, json=call).raise_for_status().json()["id"]
        found = settled(http, [one], time.monotonic() + 30)
        (delivery,) = found[one]["deliveries"]
        assert delivery["state"] in {"expired", "failed"}
        assert delivery["outcome"]["cause"]
