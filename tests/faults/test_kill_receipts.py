"""kill -9 while phones send receipts, of pushes that are accepted and of such that are under way: what was answered is kept."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from acme import Stack, furnish
from contract import Caller, Phone, counted
from processes import Gateway, end, pointing_at, simulator, until

pytestmark = [pytest.mark.faults, pytest.mark.slow]  # its smoke: unit/storage/test_sqlite_receipts.py

PHONES = 60
SLOW = 2
"""Of so many phones one waits for its push service."""


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with simulator(tmp_path / "simulator") as fake:
        gateway = Gateway(tmp_path / "gateway", pointing_at(fake))
        gateway.start()
        with gateway.client() as http:
            furnish(gateway, fake)
            yield Stack(gateway=gateway, simulator=fake, http=http)
        if gateway.process is not None:
            end(gateway.process)


def sent(caller: Caller, phones: list[Phone]) -> list[str]:
    """Send to each phone; every second push is answered long after this test."""
    for phone in phones[::SLOW]:
        caller.simulator.script(phone.token, {"status": 200, "delay_ms": 60_000})
    ids = [caller.send(phone) for phone in phones]
    until(lambda: all(caller.received(phone) for phone in phones), "every push is at the push service")
    return ids


def say(stack: Stack, said: list[tuple[str, Phone]], answered: list[str]) -> None:
    """Send receipts one after the other until nobody answers."""
    headers = {"authorization": stack.http.headers["authorization"]}
    with (
        httpx2.Client(trust_env=False, base_url=stack.gateway.address, headers=headers, timeout=60) as http,
        contextlib.suppress(httpx2.TransportError),
    ):
        for notification, phone in said:
            body = {"notification": notification, "device": phone.device, "status": "acknowledged"}
            http.post("/v1/receipts", json=body).raise_for_status()
            answered.append(notification)


def test_what_was_answered_is_kept_counted_once_and_not_sent_again(stack: Stack) -> None:
    caller = Caller(stack)
    phones = [caller.phone() for _ in range(PHONES)]
    ids = sent(caller, phones)
    answered: list[str] = []
    talking = threading.Thread(target=say, args=(stack, list(zip(ids, phones, strict=True)), answered))
    talking.start()
    until(lambda: len(answered) >= PHONES // 3, "a third of the phones said so")
    stack.gateway.kill()
    talking.join()

    stack.gateway.start()
    with stack.gateway.client() as http:
        again = Caller(Stack(gateway=stack.gateway, simulator=stack.simulator, http=http))
        known = set(answered)
        for notification, phone in zip(ids, phones, strict=True):
            if notification in known:
                assert counted(again.settled(notification)) == {"accepted": 1, "acknowledged": 1}
                assert len(again.received(phone)) == 1
        rest = [pair for pair in zip(ids, phones, strict=True) if pair[0] not in known]
        later: list[str] = []
        say(Stack(gateway=stack.gateway, simulator=stack.simulator, http=http), rest, later)

    assert PHONES // 3 <= len(known) <= PHONES
    assert len(later) == len(rest)
