"""Phones that are sent to as ever and confirm less than they used to; where no phone confirms anything nobody can tell."""

from __future__ import annotations

from collections.abc import Sequence

from wakeline.doctor.checking import DoctorPorts, fine, skipped, span, warning
from wakeline.model.app import App
from wakeline.model.device import Device
from wakeline.model.silence import WHOLE, Suspicion, traits_of
from wakeline.observe.health import Check

FIX = "GET /v1/silence shows all rates. Try a push on such a phone; `wakeline explain` of it says what else is known."

_UNHEARD = (
    "No device confirmed a push in the last day, so silence cannot be noticed. It takes the app's setting `receipts`, and an app "
    "that posts to /v1/receipts what its pushes bear."
)


async def look(ports: DoctorPorts) -> Sequence[Check]:
    """Say of each app which of its phones have fallen silent."""
    open_ones = [one for one in ports.pipeline.silence.suspicions() if one.until is None]
    lines: list[Check] = []
    for app in ports.asked():
        silent = [one for one in open_ones if one.app == app.id]
        lines += [_line(app, one, ports.clock.now()) for one in silent] or [_well(ports, app)]
    return lines


def of_device(suspicions: Sequence[Suspicion], device: Device, kind: str) -> Suspicion | None:
    """Return the silence that a device is part of, if phones like it have fallen silent; `kind` is that of its target."""
    traits = traits_of(device.facts, kind)
    mine = (one for one in suspicions if one.until is None and one.app == device.app and one.part.holds(traits))
    return next(mine, None)


def _line(app: App, suspicion: Suspicion, now: int) -> Check:
    since = f"Since {span(max(0, now - suspicion.since))}"
    return warning(_name(app), f"{since}. {suspicion.note}", FIX)


def _well(ports: DoctorPorts, app: App) -> Check:
    whole = next((one for one in ports.pipeline.silence.rates(app.id) if one.part == WHOLE), None)
    if whole is None or not whole.day[1]:
        return skipped(_name(app), _UNHEARD)
    return fine(_name(app), f"Of the pushes of the last day {whole.day[1] / whole.day[0]:.0%} were confirmed.")


def _name(app: App) -> str:
    return f"silence of {app.slug}"
