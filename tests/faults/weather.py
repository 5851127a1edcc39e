"""Faults at random moments, all of them from one seed: what push services, operators and networks do to a gateway in a bad week.

A fault is a moment (connections are cut) or lasts for seconds (nobody answers); while one lasts, others may strike as well.
"""

from __future__ import annotations

import contextlib
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx2

from acme import APP, BUNDLE
from ports import free_port
from processes import Gateway, Simulator, simulator
from traffic import Crowd
from wakeline.cli.demo import material

CALM = {"goaway_after": None, "max_streams": None, "silent": None, "min_latency_ms": None}
ANSWERS = {
    "unavailable": {"status": 503, "reason": "ServiceUnavailable"},
    "internal error": {"status": 500, "reason": "InternalServerError"},
    "throttled": {"status": 429, "reason": "TooManyRequests", "headers": {"retry-after": "2"}},
    "reset stream": {"reset": "INTERNAL_ERROR"},
    "refused stream": {"reset": "REFUSED_STREAM"},
    "closed": {"close": True},
    "no answer": {"silent": True},
}
TOUCHED = 10
"""Devices that one fault concerns."""


class Weather:
    """The stand-ins, and everything that goes wrong around them; `every` seconds on average something new."""

    def __init__(self, seed: int, directory: Path, every: float) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - moments, not secrets
        self.struck: Counter[str] = Counter()
        self._directory = directory
        self._every = every
        self._ports = {name: free_port() for name in ("apns_port", "fcm_port", "control_port")}
        self._running = contextlib.ExitStack()
        self._lasting: list[tuple[float, str]] = []
        self._next = 0.0
        self.fake = self._start()

    def _start(self) -> Simulator:
        return self._running.enter_context(simulator(self._directory, **self._ports))

    def close(self) -> None:
        """End the stand-ins."""
        self._running.close()

    def over(self, gateway: Gateway, http: httpx2.Client, crowd: Crowd) -> None:
        """Strike if it is time, and end what has lasted long enough."""
        now = time.monotonic()
        for end, provider in [fault for fault in self._lasting if fault[0] <= now]:
            self._lasting.remove((end, provider))
            self.fake.behave(provider, **CALM)
        if now < self._next:
            return
        self._next = now + self.chance.expovariate(1 / self._every)
        faults: dict[str, Callable[[], None]] = {
            "goaway": lambda: self.fake.disconnect(self._provider()),
            "connection reset": lambda: self.fake.disconnect(self._provider(), abort=True),
            "goaway every few": lambda: self._lasts(goaway_after=self.chance.randint(1, 50)),
            "few streams": lambda: self._lasts(max_streams=self.chance.choice((1, 2, 10))),
            "silence": lambda: self._lasts(silent=True),
            "slowness": lambda: self._lasts(min_latency_ms=self.chance.choice((100, 500, 1500))),
            "dead tokens": lambda: self._dead(crowd),
            "credential swapped": lambda: self._swap(http),
            "settings reloaded": lambda: _reload(gateway),
            "restart": self._restart,
            **{name: (lambda answer=answer: self._scripted(crowd, answer)) for name, answer in ANSWERS.items()},  # type: ignore[misc]  # mypy cannot infer lambdas with defaults
        }
        name = self.chance.choice(sorted(faults))
        self.struck[name] += 1
        faults[name]()

    def clear(self) -> None:
        """End all faults."""
        self._lasting = []
        for provider in ("apns", "fcm"):
            self.fake.behave(provider, **CALM)

    def _provider(self) -> str:
        return self.chance.choice(("apns", "fcm"))

    def _lasts(self, **how: object) -> None:
        provider = self._provider()
        self._lasting.append((time.monotonic() + self.chance.uniform(0.5, 4.0), provider))
        self.fake.behave(provider, **how)

    def _scripted(self, crowd: Crowd, answer: dict[str, object]) -> None:
        for number in self.chance.sample(range(crowd.size), TOUCHED):
            self.fake.script(crowd.value(number), answer)

    def _dead(self, crowd: Crowd) -> None:
        """Apps are removed and installed again: the next push finds it out, and a new token is registered."""
        for number in self.chance.sample(range(crowd.size), TOUCHED):
            self.fake.script(crowd.value(number), crowd.epitaph(number))
            crowd.reinstall_later(number)

    def _swap(self, http: httpx2.Client) -> None:
        form = {"key_id": material.KEY_ID, "team_id": material.TEAM_ID, "topics": BUNDLE, "replace": "true"}
        file = {"file": (f"AuthKey_{material.KEY_ID}.p8", material.auth_key())}
        http.post(f"/v1/apps/{APP}/credentials", files=file, data=form).raise_for_status()

    def _restart(self) -> None:
        self._running.close()
        self._lasting = []
        self.fake = self._start()


def _reload(gateway: Gateway) -> None:
    assert gateway.process is not None
    gateway.process.send_signal(signal.SIGHUP)
