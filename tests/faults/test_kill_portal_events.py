"""kill -9 while a connected portal posts events: what was answered 200 is in the inbox, once (Bitrix24 posts nothing again)."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from ports import free_port
from processes import Gateway, end, until

pytestmark = pytest.mark.faults

PORTAL = "0123456789abcdef0123456789abcdef"
TOKEN = "tokenofthetest0123456789abcdef00"
POSTERS = 4


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path / "gateway")
    gateway.config.write_text(gateway.config.read_text().replace("127.0.0.1:0", f"127.0.0.1:{free_port()}"))
    gateway.start()
    yield gateway
    if gateway.process is not None:
        end(gateway.process)


class Portal(threading.Thread):
    """Posts events one by one, each until it is answered; `answered` are those that got a 200."""

    def __init__(self, address: str, numbers: Iterator[int]) -> None:
        super().__init__(daemon=True)
        self.answered: list[int] = []
        self.failures: list[str] = []
        self.stopped = False
        self._address = address
        self._numbers = numbers

    def run(self) -> None:
        with httpx2.Client(trust_env=False, timeout=30) as http:
            for number in self._numbers:
                if not self._post(http, number):
                    return

    def _post(self, http: httpx2.Client, number: int) -> bool:
        """Post an event until it is answered; False: it is time to stop."""
        form = {
            "event": "ONCRMDEALADD",
            "data[FIELDS][ID]": str(number),
            "ts": "1790000000",
            "auth[member_id]": PORTAL,
            "auth[application_token]": TOKEN,
        }
        while not self.stopped:
            try:
                answer = http.post(self._address, data=form)
            except httpx2.TransportError:  # the gateway was killed
                time.sleep(0.02)
                continue
            if answer.status_code == 200:
                self.answered.append(number)
            else:
                self.failures.append(answer.text)
            return True
        return False


def inbox(http: httpx2.Client, portal: int) -> list[int]:
    """Return what all events that are kept are about."""
    found: list[int] = []
    cursor = ""
    while True:
        query: dict[str, str | int] = {"limit": 100} | ({"cursor": cursor} if cursor else {})
        answer = http.get(f"/v1/bitrix24/installations/{portal}/events", params=query)
        answer.raise_for_status()
        page = answer.json()
        found += [event["record"] for event in page["events"]]
        if page["next_cursor"] is None:
            return found
        cursor = page["next_cursor"]


def test_events_that_were_answered_are_kept_once_when_the_gateway_is_killed(gateway: Gateway) -> None:
    gateway.json("app", "create", "acme-chat")
    secret = {"client_id": "local.acme", "client_secret": "secret", "application_token": TOKEN}
    with gateway.client() as http:
        connection = {"app": "acme-chat", "domain": "acme.bitrix24.com", **secret}
        connected = http.post("/v1/bitrix24/installations", json=connection)
        connected.raise_for_status()
    portal = connected.json()
    address = f"{gateway.address}{urlsplit(portal['handler']).path}"
    numbers = count(1)
    posters = [Portal(address, numbers) for _ in range(POSTERS)]
    for poster in posters:
        poster.start()
    until(lambda: sum(len(each.answered) for each in posters) > 60, "events are answered")
    gateway.kill()
    before = sum(len(each.answered) for each in posters)
    gateway.start()
    until(lambda: sum(len(each.answered) for each in posters) > before + 60, "events are answered again")
    for poster in posters:
        poster.stopped = True
    for poster in posters:
        poster.join(60)
        assert not poster.is_alive()

    with gateway.client() as http:
        kept = Counter(inbox(http, portal["id"]))

    answered = {number for each in posters for number in each.answered}
    assert [each.failures for each in posters] == [[]] * POSTERS
    assert answered <= kept.keys()
    assert set(kept.values()) == {1}
