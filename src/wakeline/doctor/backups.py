"""Backups: when `wakeline backup` last copied the store. A copy made by other means is not known here."""

from __future__ import annotations

from collections.abc import Sequence

from wakeline.doctor.checking import DAY, DoctorPorts, fine, skipped, span, warning
from wakeline.observe.health import Check
from wakeline.ports import BACKED_UP_AT

OLD = 7 * DAY
"""Devices that registered since are lost with the disk: after a week, too many."""

_NAME = "backup"
_FIX = "Run `wakeline backup FILE` each day (it copies a running store), and keep the master key elsewhere as well."


async def look(ports: DoctorPorts) -> Sequence[Check]:
    """Say how old the newest backup is."""
    health = ports.keeper.health()
    if not health.disk_free and not health.low_disk:
        return [skipped(_NAME, "The store is on no disk of this machine.")]
    taken = await ports.facts.get(BACKED_UP_AT)
    if taken is None:
        return [warning(_NAME, "`wakeline backup` has never copied this store.", _FIX)]
    age = ports.clock.now() - int(taken)
    if age > OLD:
        return [warning(_NAME, f"The newest backup is {span(age)} old.", _FIX)]
    return [fine(_NAME, f"The newest backup is {span(max(0, age))} old.")]
