"""kill -9 while programs of others are told: no event is lost, what repeats has its id, and devices stay in order."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from acme import APP, Stack, furnish
from contract import Caller
from ports import free_port
from processes import Gateway, end, pointing_at, simulator, until
from webhook_receiver import Message, Receiver, receiving

pytestmark = pytest.mark.faults

SETTINGS = """
[webhooks]
allow_private = true
allow_http = true
"""
PHONES, ROUNDS = 8, 12


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with simulator(tmp_path / "simulator") as fake:
        gateway = Gateway(tmp_path / "gateway", pointing_at(fake, SETTINGS))
        gateway.config.write_text(gateway.config.read_text().replace("127.0.0.1:0", f"127.0.0.1:{free_port()}"))
        gateway.start()
        with gateway.client() as http:
            furnish(gateway, fake)
            yield Stack(gateway=gateway, simulator=fake, http=http)
        if gateway.process is not None:
            end(gateway.process)


def test_no_event_is_lost_when_the_gateway_is_killed_while_it_tells(stack: Stack) -> None:
    chance = random.Random(11)  # noqa: S311 - moments, not secrets
    caller = Caller(stack)
    phones = [caller.phone(user=f"user-{number}") for number in range(PHONES)]
    receiver = Receiver()
    receiver.delay = 0.1  # slower than the pushes, so that a kill meets messages on their way
    with receiving(receiver):
        endpoint = {"url": receiver.url, "events": ["push.accepted"], "apps": [APP]}
        receiver.secret = stack.http.post("/v1/webhooks", json=endpoint).raise_for_status().json()["secret"]
        sent: list[str] = []
        killed_at = [0]
        for number in range(ROUNDS):
            sent += [caller.send(phone) for phone in phones]
            if number in (3, 7):
                until(lambda: len(receiver.came()) > killed_at[-1], "something more is told")
                time.sleep(chance.uniform(0.05, 0.3))
                killed_at.append(len(receiver.came()))
                stack.gateway.kill()
                stack.gateway.start()
        told = until(lambda: _all(receiver, len(sent)), "every push was told", 60)

    assert killed_at[-1] < len(sent)
    assert {data["data"]["notification"] for data in told} == set(sent)
    by_id: dict[str, set[bytes]] = {}
    for message in receiver.came():
        by_id.setdefault(message.id, set()).add(message.body)
    assert all(len(bodies) == 1 for bodies in by_id.values())  # the same id never says two things
    assert len(by_id) == len(receiver.messages())
    assert len(receiver.came()) - len(by_id) <= 2 * 50  # what repeats is what was told in the last moments
    for phone in phones:
        assert _in_order([message for message in receiver.came() if message.json()["data"]["device"] == phone.device])


def _all(receiver: Receiver, count: int) -> list[dict[str, Any]] | None:
    told = receiver.messages()
    return told if len(told) >= count else None


def _in_order(messages: list[Message]) -> bool:
    """Tell whether a device's messages came in order, each id at its first time."""
    numbers = [int(message.id.rpartition("_")[2]) for message in messages]
    first = list(dict.fromkeys(numbers))
    return first == sorted(first)
