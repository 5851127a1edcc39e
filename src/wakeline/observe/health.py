"""Health: what the probes answer. `/healthz` says the loop turns, `/readyz` that store and queue serve, `/v1/health` the rest.

A provider that is down must not take us out of a load balancer: readiness asks only what is ours (B: store and queue).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from wakeline.ports import StoreHealth


class Status(StrEnum):
    """How a check went."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One check with its cause and what to do, as probes and doctor print it."""

    name: str
    status: Status
    cause: str = ""
    fix: str = ""


class Phase(StrEnum):
    """Where the process is in its life."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


class Health:
    """The process's own condition; `phase` is set by the lifecycle."""

    def __init__(self) -> None:
        self.phase = Phase.STARTING
        self.remarks: dict[str, Check] = {}
        """What parts have to say in `/v1/health` beyond readiness, by the name of the check."""

    def readiness(
        self, store: StoreHealth, pending: int, max_pending: int, crashing: Sequence[str] = ()
    ) -> list[Check]:
        """Return the checks of `/readyz`; ready means none of them failed. `crashing`: loops that do nothing but crash."""
        return [self._process(), _store(store), _queue(pending, max_pending), _loops(crashing)]

    def _process(self) -> Check:
        match self.phase:
            case Phase.READY:
                return Check(name="process", status=Status.OK)
            case Phase.STARTING:
                return Check(name="process", status=Status.FAILED, cause="The gateway is starting.")
            case Phase.DRAINING:
                cause = "The gateway is stopping: it finishes what is in flight and takes no more."
                return Check(name="process", status=Status.FAILED, cause=cause)


def ready(checks: list[Check]) -> bool:
    """Tell whether traffic may come."""
    return all(check.status is not Status.FAILED for check in checks)


def _store(store: StoreHealth) -> Check:
    if store.writable and not store.low_disk:
        return Check(name="store", status=Status.OK)
    if store.low_disk:
        cause = f"Only {store.disk_free // 1024 // 1024} MiB are free where the store lives."
        return Check(name="store", status=Status.FAILED, cause=cause, fix="Free space on that disk, or enlarge it.")
    return Check(name="store", status=Status.FAILED, cause=store.detail, fix="Look at the log for the failing commit.")


def _loops(crashing: Sequence[str]) -> Check:
    if not crashing:
        return Check(name="loops", status=Status.OK)
    cause = f"Every turn of {' and '.join(crashing)} ends in a defect of the gateway, so nothing goes on there."
    fix = "Look at the log for loop.crashed, report it, and restart; what was accepted is kept."
    return Check(name="loops", status=Status.FAILED, cause=cause, fix=fix)


def _queue(pending: int, max_pending: int) -> Check:
    if pending < max_pending:
        return Check(name="queue", status=Status.OK)
    cause = f"{pending} deliveries wait, which is all that [queue] max_pending allows."
    fix = "See `wakeline route list` for what is held; raise max_pending if the disk has room."
    return Check(name="queue", status=Status.FAILED, cause=cause, fix=fix)
