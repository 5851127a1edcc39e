"""Limits per user: who has had as many pushes as they may, which looks like pushes that do not arrive."""

from __future__ import annotations

from collections.abc import Sequence

from wakeline.doctor.checking import DoctorPorts, fine, many, skipped, warning
from wakeline.model.app import App
from wakeline.model.moments import worded
from wakeline.observe.health import Check

_COUNTED = 100


async def look(ports: DoctorPorts) -> Sequence[Check]:
    """Return a line about the limits of each app, or of one user in each."""
    line = _of_user if ports.user else _of_app
    return [await line(ports, app) for app in ports.asked()] or [skipped("limits", "There is no app yet.")]


async def _of_app(ports: DoctorPorts, app: App) -> Check:
    name = f"limits of {app.slug}"
    if not ports.pipeline.limited.applies(app):
        where = "[limits] per_user" if app.settings.limits else "the app's setting `limits`"
        return fine(name, f"Its users get as many pushes as are sent: {where} is off.")
    reached = await ports.pipeline.limited.page(app, after=("", ""), limit=_COUNTED)
    if not reached:
        return fine(name, "No user has reached a limit.")
    users = list(dict.fromkeys(one.subject for one in reached))
    number = f"{_COUNTED} users or more" if len(reached) == _COUNTED else many(len(users), "user")
    first = reached[0]
    return fine(
        name,
        f"{number} had as many pushes as they may for now, such as {first.subject} ({first.push_type.value} until "
        f"{worded(first.until)}); `wakeline user limits --app {app.slug}` lists them.",
    )


async def _of_user(ports: DoctorPorts, app: App) -> Check:
    name = f"limits of user {ports.user} in {app.slug}"
    reached = await ports.pipeline.limited.of_user(app, ports.user)
    if not reached:
        return fine(name, "No limit keeps this user's pushes.")
    until = ", ".join(f"{one.push_type.value} until {worded(one.until)}" for one in reached)
    fix = "Send less often, or collapse with `collapse_id`; the app's setting `limits` switches the limits off."
    return warning(name, f"This user had as many pushes as they may: {until}. More wait, and calls are refused.", fix)
