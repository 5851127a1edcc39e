"""Debug windows that are open: they cost processor time, and show what is sent to whoever is told of events."""

from __future__ import annotations

from collections.abc import Sequence

from wakeline.doctor.checking import DoctorPorts, fine, many, warning
from wakeline.model.moments import worded
from wakeline.observe.health import Check


async def look(ports: DoctorPorts) -> Sequence[Check]:
    """Return a line about each app whose window is open."""
    windows = [(app, ports.pipeline.debug.state(app)) for app in ports.asked()]
    shown = [
        warning(
            f"debug window of {app.slug}",
            f"It is open {'without end' if window.until is None else f'until {worded(window.until)}'}: its requests and the "
            f"answers are recorded and told ({many(window.recorded, 'request')} so far, {window.spent:.0f} ms of processor time).",
            f"`wakeline app debug off {app.slug}` when you have seen enough.",
        )
        for app, window in windows
        if window.open
    ]
    return shown or [fine("debug windows", "None is open: requests and answers are not recorded.")]
