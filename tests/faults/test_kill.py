"""kill -9 at random moments: nothing that got a 202 is lost, and what repeats, repeats under the same ids (promise 1)."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import pytest

from processes import Simulator
from traffic import Make, by_number, notification, post_batch, register, settled

pytestmark = pytest.mark.faults

BATCH = 50
PROMISED = 0.05
"""Seconds of answers that may be unwritten at any moment."""
SLACK = 0.45
"""What a signal may take longer on a machine that does other things as well."""

Span = tuple[float, float]
"""When something began and when it was over, in Unix seconds."""


class Poster(threading.Thread):
    """Posts batches until all are taken; remembers the ids."""

    def __init__(self, send: Any, batches: int, pause: float) -> None:
        super().__init__(daemon=True)
        self.ids: list[str] = []
        self.posts: list[Span] = []
        self.failure: BaseException | None = None
        self._send, self._batches, self._pause = send, batches, pause

    def run(self) -> None:
        try:
            for number in range(self._batches):
                begun = time.time()
                self.ids += self._send(number)
                self.posts.append((begun, time.time()))
                time.sleep(self._pause)
        except BaseException as error:  # noqa: BLE001 - told by the test that joins the thread
            self.failure = error


def rounds(fake: Simulator, make: Make, *, total: int, kills: int, seed: int) -> None:
    """Send `total` notifications, kill the gateway `kills` times meanwhile, and compare both ends."""
    chance = random.Random(seed)  # noqa: S311 - moments, not secrets
    gateway = make(fake)
    key = gateway.json("key", "create", "--scope", "admin")["key"]
    with gateway.client() as http:
        register(http)
    deadline = time.monotonic() + 60 + total / 50

    def send(number: int) -> list[str]:
        batch = [notification(number * BATCH + line) for line in range(BATCH)]
        return post_batch(gateway, key, f"batch-{number}", batch, deadline)

    poster = Poster(send, total // BATCH, pause=0.02)
    poster.start()
    outages: list[Span] = []
    for _ in range(kills):
        time.sleep(chance.uniform(0.1, 0.7))
        moment = time.time()
        gateway.kill()
        gateway.start()
        outages.append((moment, time.time()))
    poster.join()
    assert poster.failure is None, poster.failure
    assert len(set(poster.ids)) == total

    with gateway.client() as http:
        found = settled(http, poster.ids, deadline)
    received = by_number(fake)
    check_ledger(found, poster.ids, received)
    check_repeats(received, [moment for moment, _ in outages], SLACK + longest_wait(poster.posts, outages))


def check_ledger(found: dict[str, Any], ids: list[str], received: dict[int, list[dict[str, Any]]]) -> None:
    """Every 202 ended as accepted, or failed with a reason; what the ledger calls accepted was received."""
    assert len(received) == len(ids)
    for number, one in enumerate(ids):
        (delivery,) = found[one]["deliveries"]
        assert delivery["state"] in {"accepted", "failed"}
        assert delivery["state"] == "accepted" or delivery["outcome"]["reason"]
        assert {request["headers"]["apns-id"] for request in received[number]} == {delivery["id"]}


def longest_wait(posts: list[Span], outages: list[Span]) -> float:
    """Return how long this machine let who posts wait for a commit: until it was answered, or until the kill."""
    return max(
        min(end, *(moment for moment, _ in outages if moment >= begun), end) - begun
        for begun, end in posts
        if not any(moment <= begun <= over for moment, over in outages)
    )


def check_repeats(received: dict[int, list[dict[str, Any]]], moments: list[float], slack: float) -> None:
    """A repeat has the ids of its first, and the first was in flight, or answered just before a kill.

    `slack`: what a commit, and a signal, may have taken longer.
    """
    repeated = [requests for requests in received.values() if len(requests) > 1]
    for requests in repeated:
        assert len({request["headers"]["apns-collapse-id"] for request in requests}) == 1
        for request in requests[:-1]:
            after = [moment - request["at"] / 1000 for moment in moments if moment >= request["at"] / 1000 - slack]
            assert after, ("after the last kill", request)
            assert min(after) <= PROMISED + slack, (min(after), request)


def test_nothing_accepted_is_lost_when_the_gateway_is_killed(fake: Simulator, make: Make) -> None:
    rounds(fake, make, total=1_500, kills=2, seed=random.randrange(1_000_000))  # noqa: S311 - moments, not secrets


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_nothing_accepted_is_lost_when_the_gateway_is_killed_ten_times(fake: Simulator, make: Make) -> None:
    rounds(fake, make, total=20_000, kills=10, seed=random.randrange(1_000_000))  # noqa: S311 - moments, not secrets
