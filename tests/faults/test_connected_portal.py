"""A gateway that is killed has missed nothing when it is back: neither what the portal did, nor what was to be written there."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from acme import APP, Stack, furnish
from contract import Caller
from processes import Gateway, end, pointing_at, simulator, until

# Its smoke are the stories of catching up and of the outbox, which go without processes.
pytestmark = [pytest.mark.faults, pytest.mark.slow]

VARIABLES = {"WAKELINE_SERVER__PUBLIC_URL": "https://push.test"}
DEAL, TITLE = 7, "Nine crates of pears"
AGO = timedelta(seconds=45)
"""Younger changes are left alone for a while: their events may be under way."""


@pytest.fixture
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    directory = tmp_path_factory.mktemp("missed")
    with simulator(directory / "simulator", portal_port=0) as fake:
        settings = f'[bitrix24]\nconnected_hosts = ["localhost", "127.0.0.1"]\nconnected_ca_file = "{fake.ca_file}"\n'
        running = Gateway(directory / "gateway", pointing_at(fake, settings))
        running.start(VARIABLES)
        try:
            with running.client() as http:
                furnish(running, fake)
                yield Stack(gateway=running, simulator=fake, http=http)
        finally:
            assert running.process is not None
            end(running.process)


def control(stack: Stack, path: str, body: Any) -> None:
    httpx2.post(f"{stack.simulator.control}{path}", json=body, trust_env=False, timeout=60).raise_for_status()


def waits(stack: Stack, path: str) -> bool:
    [write] = stack.http.get(f"{path}/writes").json()["writes"]
    return bool(write["state"] == "waiting" and write["cause"])


def test_what_happened_while_the_gateway_was_killed_is_pushed_and_written_when_it_is_back(stack: Stack) -> None:
    gateway = stack.gateway
    made = gateway.json(
        *("bitrix24", "portal", "connect", stack.simulator.portal_webhook, "--app", APP, "--prefix", "acme-")
    )
    rule = ("--recipients", "record.ASSIGNED_BY_ID", "--title", "{{ record.TITLE }}")
    gateway.json("bitrix24", "rule", "add", "--name", "Deals", "--event", "ONCRMDEALUPDATE", *rule)
    phone = Caller(stack).phone(user="acme-1")
    path = f"/v1/bitrix24/installations/{made['id']}"
    until(lambda: stack.http.get(path).json()["reached"], "the portal was looked at")
    control(stack, "/portal/set", {"moved_to": "https://127.0.0.1:9"})
    write = {"method": "crm.deal.add", "params": {"fields": {"TITLE": "Written later"}}}
    stack.http.post(f"{path}/writes", json=write).raise_for_status()
    until(lambda: waits(stack, path), "the write has found out that the portal is away")

    assert gateway.process is not None
    end(gateway.process, signal.SIGKILL)
    changed = (datetime.now(UTC) - AGO).isoformat(timespec="seconds")
    control(stack, "/portal/set", {"moved_to": None})
    fields = {"TITLE": TITLE, "ASSIGNED_BY_ID": "1", "DATE_MODIFY": changed}
    control(stack, "/portal/change", {"kind": "deal", "id": DEAL, "fields": fields})
    gateway.start(VARIABLES)

    with gateway.client() as http:
        again = Caller(Stack(gateway=gateway, simulator=stack.simulator, http=http))
        [request] = until(lambda: again.received(phone) or None, "Apple has the push")
        [told] = http.get(f"{path}/events").json()["events"]
        [kept] = until(
            lambda: [one for one in http.get(f"{path}/writes").json()["writes"] if one["state"] == "done"] or None,
            "the portal has the deal",
        )
    assert request["body"]["aps"]["alert"]["title"] == TITLE
    assert (told["event"], told["record"], told["origin"]) == ("ONCRMDEALUPDATE", DEAL, "listed")
    assert (kept["method"], kept["result"]) == ("crm.deal.add", 324)
