"""What every check of the doctor is given, and what it gives back.

A check looks and changes nothing; what it finds is in sentences: `cause` is what was seen, `fix` what to do about it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from wakeline import ports
from wakeline.config import Settings
from wakeline.model.app import App
from wakeline.observe.health import Check, Status
from wakeline.pipeline import Pipeline
from wakeline.ports.bitrix24_broker import PortalKeys
from wakeline.ports.bitrix24_connector import Installations
from wakeline.ports.probe import Probe, ServiceProbe
from wakeline.ports.webhooks import Endpoints

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
"""In milliseconds."""


class DoctorPorts(msgspec.Struct, frozen=True, kw_only=True):
    """What the checks look at. `only`: these apps and no others; `user`: the devices of this user and of nobody else."""

    clock: ports.Clock
    settings: Settings
    apps: ports.Apps
    credentials: ports.Credentials
    devices: ports.Devices
    routes: ports.Routes
    ledger: ports.Ledger
    facts: ports.Settings
    queue: ports.Queue
    events: ports.Events
    endpoints: Endpoints
    keeper: ports.StoreKeeper
    portal_keys: PortalKeys
    installations: Installations
    probe: Probe
    services: ServiceProbe
    pipeline: Pipeline
    only: tuple[App, ...] | None = None
    user: str = ""

    def asked(self) -> list[App]:
        """Return the apps that are looked at."""
        return self.apps.all() if self.only is None else [*self.only]


Look = Callable[[DoctorPorts], Awaitable[Sequence[Check]]]
"""One kind of check: as many lines as there are things of that kind."""


def fine(name: str, cause: str) -> Check:
    """Return a line about something that is as it should be."""
    return Check(name=name, status=Status.OK, cause=cause)


def warning(name: str, cause: str, fix: str) -> Check:
    """Return a line about something that is odd, or will not last."""
    return Check(name=name, status=Status.WARNING, cause=cause, fix=fix)


def failed(name: str, cause: str, fix: str) -> Check:
    """Return a line about something that cannot work."""
    return Check(name=name, status=Status.FAILED, cause=cause, fix=fix)


def skipped(name: str, cause: str) -> Check:
    """Return a line about something that there was no reason to look at."""
    return Check(name=name, status=Status.SKIPPED, cause=cause)


def span(milliseconds: int) -> str:
    """Return how long that is in words, rounded down: "3 days"."""
    for size, word in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")):
        if (number := milliseconds // size) >= 1:
            return many(number, word)
    return "less than a minute"


def many(number: int, word: str) -> str:
    """Return a number of things in words: "1 device", "3 devices"."""
    return f"{number} {word}{'' if number == 1 else 's'}"
