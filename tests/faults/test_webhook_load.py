"""A thousand events a second for a receiver that takes half a second for each: no push waits for that."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from acme import APP, Stack, furnish
from contract import Caller, Phone
from processes import gateway, pointing_at, simulator, until
from traffic import notification, post_batch, register
from webhook_receiver import Receiver, receiving

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(180)]

SETTINGS = "[webhooks]\nallow_private = true\nallow_http = true\n"
RATE, SECONDS, ROUNDS = 500, 4, 3
"""Notifications a second, of which each is two events: the push was accepted, the notification is done."""
PUSHES = 60
SLACK = 0.03
"""Seconds by which a measurement may differ from another on a machine that does other things as well."""


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with (
        simulator(tmp_path / "simulator") as fake,
        gateway(tmp_path / "gateway", pointing_at(fake, SETTINGS)) as running,
    ):
        furnish(running, fake)
        with running.client() as http:
            register(http)
            yield Stack(gateway=running, simulator=fake, http=http)


def latencies(stack: Stack, name: str) -> list[float]:
    """Return the seconds from the POST of single pushes to the push service, while others make the events."""
    caller = Caller(stack)
    phones = [caller.phone() for _ in range(PUSHES)]
    key = stack.gateway.json("key", "create", "--scope", "admin")["key"]

    def load() -> None:
        begun = time.monotonic()
        for second in range(SECONDS * 5):
            batch = [notification(second * RATE + line) for line in range(RATE // 5)]
            post_batch(stack.gateway, key, f"{name}-{second}", batch, begun + 60)
            time.sleep(max(0.0, begun + (second + 1) / 5 - time.monotonic()))

    others = threading.Thread(target=load, daemon=True)
    others.start()
    posted: dict[Phone, float] = {}
    for phone in phones:
        posted[phone] = time.time()
        caller.send(phone)
        time.sleep(SECONDS / PUSHES * 0.8)
    others.join(60)
    return sorted(_arrival(caller, phone) - at for phone, at in posted.items())


def _arrival(caller: Caller, phone: Phone) -> float:
    [request] = until(lambda: caller.received(phone) or None, "the push service has it")
    return float(request["at"]) / 1000


def test_a_slow_receiver_of_a_thousand_events_a_second_delays_no_push(stack: Stack) -> None:
    """Measured by turns, with the endpoint and with it disabled, so that what else the machine does befalls both."""
    receiver = Receiver()
    receiver.delay = 0.5
    with receiving(receiver):
        made = {"url": receiver.url, "events": ["push.accepted", "notification.completed"], "apps": [APP]}
        endpoint = stack.http.post("/v1/webhooks", json=made).raise_for_status().json()
        receiver.secret = endpoint["secret"]
        latencies(stack, "warm")
        figures: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
        for turn in range(2 * ROUNDS):
            told = turn % 2 == 0
            stack.http.patch(f"/v1/webhooks/{endpoint['id']}", json={"disabled": not told}).raise_for_status()
            before = len(receiver.came())
            found = latencies(stack, str(turn))
            figures[told].append((statistics.median(found), found[int(len(found) * 0.95)]))
            came = len(receiver.came()) - before
            assert came > 8 * SECONDS if told else came <= 8, came  # eight at once, half a second each
    for place in (0, 1):  # the median, the 95th percentile
        with_endpoint, without = (statistics.median(one[place] for one in figures[told]) for told in (True, False))
        assert with_endpoint < 1.5 * without + SLACK, figures
