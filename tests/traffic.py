"""Traffic for faults: devices, notifications that bear a number, and what became of them at both ends."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import httpx2

from acme import APP
from processes import Gateway, Simulator
from stories.lives import adds_up

Make = Callable[..., Gateway]
"""Makes a furnished gateway: (stand-ins, more settings, directory)."""

DEVICES = 40
REINSTALLED = 3.0
"""Seconds for which an app that was removed is missing."""
SEND = f"/v1/apps/{APP}/notifications"


def token(number: int) -> str:
    return f"{number:064x}"


def fcm_token(number: int) -> str:
    return f"device{number:04d}-abc:APA91b{number:0140d}"


def register(http: httpx2.Client, devices: int = DEVICES, kind: str = "apns") -> None:
    """Register devices d0, d1, ... with a token each."""
    for number in range(devices):
        value = fcm_token(number) if kind == "fcm" else token(number)
        body = {"user": f"u{number}", "targets": [{"kind": kind, "value": value}]}
        http.put(f"/v1/apps/{APP}/devices/d{number}", json=body).raise_for_status()


def notification(number: int, devices: int = DEVICES, **more: Any) -> dict[str, Any]:
    """Return the notification with this number: one alert to one device; its number arrives with it."""
    return {"to": {"devices": [f"d{number % devices}"]}, "alert": {"body": "x"}, "data": {"n": number}, **more}


def post_batch(gateway: Gateway, key: str, name: str, batch: list[dict[str, Any]], until: float) -> list[str]:
    """Send a batch as NDJSON until it is answered 202, however often the gateway dies meanwhile; return the ids."""
    content = b"\n".join(json.dumps(one).encode() for one in batch)
    headers = {"authorization": f"Bearer {key}", "content-type": "application/x-ndjson", "idempotency-key": name}
    while time.monotonic() < until:
        try:
            answer = httpx2.post(
                f"{gateway.address}{SEND}", content=content, headers=headers, timeout=30, trust_env=False
            )
        except httpx2.TransportError:
            time.sleep(0.05)
            continue
        if answer.status_code == 202 and not answer.json()["rejected"]:
            return [line["id"] for line in sorted(answer.json()["accepted"], key=lambda line: line["line"])]
        time.sleep(0.05)
    raise AssertionError(f"batch {name} was not taken")


def settled(http: httpx2.Client, ids: Iterable[str], until: float) -> dict[str, dict[str, Any]]:
    """Wait until every notification is done; return them by id."""
    found: dict[str, dict[str, Any]] = {}
    for one in ids:
        while one not in found:
            answer = http.get(f"{SEND}/{one}")
            assert answer.status_code == 200, answer.text
            shown = answer.json()
            assert adds_up(shown["recipients"], shown["counts"]), answer.text
            if shown["state"] == "done":
                found[one] = shown
            else:
                assert time.monotonic() < until, f"not settled: {answer.text}"
                time.sleep(0.05)
    return found


def by_number(fake: Simulator) -> dict[int, list[dict[str, Any]]]:
    """Return what the push services received, grouped by the number that each notification bears."""
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for request in fake.requests():
        body = request["body"]
        data = body["message"].get("data", {}) if request["provider"] == "fcm" else body
        if "n" in data:  # else it is the check of a credential, which reaches nobody
            found[int(data["n"])].append(request)
    return found


class Crowd:
    """iPhones that take alerts and calls, and Android phones; each has a token that changes when its app is installed anew."""

    size = 100

    def __init__(self, http: httpx2.Client) -> None:
        self._http = http
        self._installed = [0] * self.size
        self._removed: dict[int, float] = {}
        for number in range(self.size):
            self._register(number)

    def value(self, number: int) -> str:
        """Return the token of a phone as it is now."""
        serial = number + self.size * self._installed[number]
        return fcm_token(serial) if self._android(number) else token(serial)

    def epitaph(self, number: int) -> dict[str, Any]:
        """Return what is said of a phone from which the app was removed."""
        if self._android(number):
            return {"status": 404, "error": "UNREGISTERED", "times": None}
        return {"status": 410, "reason": "Unregistered", "times": None}

    def reinstall_later(self, number: int) -> None:
        """Have the app register again in a few seconds."""
        self._removed.setdefault(number, time.monotonic() + REINSTALLED)

    def reinstall(self) -> None:
        """Register the phones on which the app was installed anew meanwhile."""
        now = time.monotonic()
        for number in [number for number, at in self._removed.items() if at <= now]:
            del self._removed[number]
            self._installed[number] += 1
            self._register(number)

    def notification(self, number: int, ttl: int) -> dict[str, Any]:
        """Return notification number so-and-so: to one phone, every tenth a call, every fifth silent."""
        phone = number * 7 % self.size
        body: dict[str, Any] = {"to": {"devices": [f"d{phone}"]}, "data": {"n": number}, "ttl": ttl}
        if number % 10 == 0:
            return body | {"call": {"id": f"c{number}"}, "ttl": min(ttl, 30)}
        return body if number % 5 == 1 else body | {"alert": {"body": "x"}}

    def _android(self, number: int) -> bool:
        return number % 2 == 1

    def _register(self, number: int) -> None:
        value = self.value(number)
        kinds = ["fcm"] if self._android(number) else ["apns", "apns-voip"]
        values = [value] if len(kinds) == 1 else [value, f"{int(value, 16) + 1_000_000:064x}"]
        targets = [{"kind": kind, "value": one} for kind, one in zip(kinds, values, strict=True)]
        body = {"user": f"u{number}", "targets": targets}
        self._http.put(f"/v1/apps/{APP}/devices/d{number}", json=body).raise_for_status()
