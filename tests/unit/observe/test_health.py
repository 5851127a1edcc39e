"""When traffic may come."""

from __future__ import annotations

import pytest

from wakeline.observe.health import Check, Health, Phase, Status, ready
from wakeline.ports import StoreHealth

GOOD = StoreHealth(writable=True)


def failed(checks: list[Check]) -> list[str]:
    return [check.name for check in checks if check.status is Status.FAILED]


def test_ready_when_running_writable_and_not_full() -> None:
    health = Health()
    health.phase = Phase.READY
    assert ready(health.readiness(GOOD, pending=9, max_pending=10))


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.DRAINING])
def test_not_ready_before_start_and_while_stopping(phase: Phase) -> None:
    health = Health()
    health.phase = phase
    assert failed(health.readiness(GOOD, pending=0, max_pending=10)) == ["process"]


@pytest.mark.parametrize(
    ("store", "pending", "name", "word"),
    [
        (StoreHealth(writable=False, detail="disk I/O error"), 0, "store", "disk I/O error"),
        (StoreHealth(writable=True, low_disk=True, disk_free=3 << 20), 0, "store", "3 MiB"),
        (GOOD, 10, "queue", "max_pending"),
    ],
)
def test_what_is_wrong_is_named_with_its_cause(store: StoreHealth, pending: int, name: str, word: str) -> None:
    health = Health()
    health.phase = Phase.READY
    checks = health.readiness(store, pending=pending, max_pending=10)
    assert failed(checks) == [name]
    assert any(word in check.cause for check in checks)


def test_a_loop_that_does_nothing_but_crash_takes_no_traffic() -> None:
    health = Health()
    health.phase = Phase.READY
    checks = health.readiness(GOOD, pending=0, max_pending=10, crashing=("dispatch", "settle"))
    assert failed(checks) == ["loops"]
    assert "dispatch and settle" in checks[-1].cause
