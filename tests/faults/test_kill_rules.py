"""kill -9 while events of a connected portal become pushes: each event is sent, and what is sent for one is one notification."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from acme import APP, Stack, furnish
from contract import Caller
from ports import free_port
from processes import Gateway, end, pointing_at, simulator, until

pytestmark = pytest.mark.faults

PROOF = "0123456789abcdef0123456789abcdef"
DEALS = 120
SETTINGS = """
[bitrix24]
connected_hosts = ["localhost", "127.0.0.1"]
connected_ca_file = "{ca_file}"
"""


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with simulator(tmp_path / "simulator", portal_port=0) as fake:
        gateway = Gateway(tmp_path / "gateway", pointing_at(fake, SETTINGS.format(ca_file=fake.ca_file)))
        gateway.config.write_text(gateway.config.read_text().replace("127.0.0.1:0", f"127.0.0.1:{free_port()}"))
        gateway.start({"WAKELINE_SERVER__PUBLIC_URL": "https://push.test"})
        with gateway.client() as http:
            furnish(gateway, fake)
            yield Stack(gateway=gateway, simulator=fake, http=http)
        if gateway.process is not None:
            end(gateway.process)


def connect(stack: Stack) -> Any:
    """Connect the portal, with a rule that has to ask it for the deal."""
    installation = {"app": APP, "url": stack.simulator.portal_webhook, "application_token": PROOF, "prefix": "acme-"}
    rule = {"name": "Deals", "event": "ONCRMDEALUPDATE", "recipients": ["1"], "title": "{{ deal.TITLE }}"}
    connected = stack.http.post("/v1/bitrix24/installations", json=installation).raise_for_status().json()
    stack.http.post("/v1/bitrix24/rules", json=rule).raise_for_status()
    return connected


def post_events(stack: Stack, path: str) -> None:
    """Tell of a change of each deal."""
    with httpx2.Client(trust_env=False, base_url=stack.gateway.address, timeout=60) as http:
        for number in range(1, DEALS + 1):
            form = {"event": "ONCRMDEALUPDATE", "data[FIELDS][ID]": str(number), "ts": str(int(time.time()))}
            http.post(path, data={**form, "auth[application_token]": PROOF, "auth[member_id]": "m1"}).raise_for_status()


def events(stack: Stack, portal: int) -> list[Any]:
    """All recorded events, and none if one of them waits or the gateway is just being started."""
    found: list[Any] = []
    query: dict[str, str] = {"limit": "100"}
    try:
        while True:
            page = stack.http.get(f"/v1/bitrix24/installations/{portal}/events", params=query).raise_for_status().json()
            found += page["events"]
            if page["next_cursor"] is None:
                break
            query["cursor"] = page["next_cursor"]
    except httpx2.TransportError:
        return []
    return [] if any(event["state"] == "waiting" for event in found) else found


def test_each_event_is_sent_once_when_the_gateway_is_killed_while_it_reads_them(stack: Stack) -> None:
    portal = connect(stack)
    phone = Caller(stack).phone(user="acme-1")
    chance = random.Random(7)  # noqa: S311 - moments, not secrets
    behaviour = {"provider": "portal", "min_latency_ms": 150}
    httpx2.post(f"{stack.simulator.control}/behave", json=behaviour, trust_env=False, timeout=60).raise_for_status()
    post_events(stack, portal["handler"].removeprefix("https://push.test"))
    for _ in range(2):
        time.sleep(chance.uniform(0.05, 0.35))
        stack.gateway.kill()
        stack.gateway.start({"WAKELINE_SERVER__PUBLIC_URL": "https://push.test"})

    found = until(lambda: events(stack, portal["id"]) or None, "all events are worked off", 60)
    received = until(lambda: _all(Caller(stack).received(phone)), "Apple has all pushes")

    assert sorted(event["record"] for event in found) == list(range(1, DEALS + 1))
    assert {event["state"] for event in found} == {"done"}
    notifications = [name for event in found for name in event["notifications"]]
    assert len(notifications) == len(set(notifications)) == DEALS
    assert len({push["headers"]["apns-id"] for push in received}) == DEALS


def _all(pushes: list[Any]) -> list[Any] | None:
    return pushes if len({push["headers"]["apns-id"] for push in pushes}) >= DEALS else None
