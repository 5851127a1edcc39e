"""Tokens in quarantine: push services doubt some tokens of every app; where they doubt many, a setting is wrong, not the phones."""

from __future__ import annotations

from collections.abc import Sequence

from wakeline.doctor.checking import DoctorPorts, fine, many, skipped, warning
from wakeline.model.app import App
from wakeline.model.device import TargetState
from wakeline.observe.health import Check

MANY, SHARE = 20, 0.1
"""So many tokens, and this share of those that are not known to be gone: as the brake counts doubt on one route."""


async def look(ports: DoctorPorts) -> Sequence[Check]:
    """Return a line about the tokens of each app."""
    return [await _line(ports, app) for app in ports.asked()] or [skipped("fallen tokens", "There is no app yet.")]


async def _line(ports: DoctorPorts, app: App) -> Check:
    name, counts = f"fallen tokens of {app.slug}", await ports.devices.app_counts(app.id)
    active, doubted = counts[TargetState.ACTIVE], counts[TargetState.QUARANTINED]
    if not sum(counts.values()):
        return skipped(name, "It has no tokens yet.")
    said = f"{many(active, 'token')} in use, {doubted} in quarantine, {counts[TargetState.RETIRED]} retired"
    if doubted < MANY or doubted < SHARE * (active + doubted):
        return fine(name, f"{said}.")
    fix = (
        f"`wakeline brake list --app {app.slug}` shows when and why, `wakeline brake undo` takes it back; else "
        f"`wakeline device restore --app {app.slug} --since ...`. Look at the lines about environments and topics first."
    )
    return warning(
        name, f"{said}: phones that went away are rarely so many, a wrong environment or credential makes them.", fix
    )
