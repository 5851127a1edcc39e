"""Self-hosted portals that use us as their push service: silent, moved, or not to be reached.

Theory: a portal says nothing when its pushes stop. What is left to see here is when it last came, from where, and whether the
host that it names still answers. Phones do not need that host to be reached from here, so that alone is no failure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from wakeline.doctor.checking import DAY, DoctorPorts, failed, fine, skipped, span, warning
from wakeline.model.app import App
from wakeline.model.bitrix24.broker import PortalKey, PortalSource
from wakeline.model.errors import AddressRefused, TransportError
from wakeline.observe.health import Check

SILENT = 3 * DAY
"""A portal that is used is never quiet for longer: weekends have two days."""
MOVED = 7 * DAY
"""How long a new source of a key is worth a line."""

_NAME = "push service"
_OPTION = 'COption::SetOptionString("pull", "push_service_url", URL)'


async def look(ports: DoctorPorts) -> Sequence[Check]:
    """Return lines about each licence key."""
    keys = ports.portal_keys.all()
    if not keys:
        return [skipped(_NAME, "No self-hosted Bitrix24 portal uses this gateway as its push service.")]
    found = await asyncio.gather(*(_of_key(ports, key) for key in keys))
    return [check for checks in found for check in checks]


async def _of_key(ports: DoctorPorts, key: PortalKey) -> list[Check]:
    app, now, name = ports.apps.by_id(key.app), ports.clock.now(), _name(key)
    found = [*_sendable(ports, app, name)]
    if not key.sources:
        return [*found, _never(key, name, now)]
    last = max(key.sources, key=lambda one: one.seen)
    seen = _seen(last, name, now)
    return [*found, seen, *_moved(key, last, name, now), *await _reached(ports, last, name)]


def _sendable(ports: DoctorPorts, app: App | None, name: str) -> list[Check]:
    if app is None or ports.credentials.of_app(app.id):
        return []
    cause = f"Its app {app.slug} has no credential, so that each of its pushes is answered with 901."
    return [failed(name, cause, f"`wakeline credential add FILE --app {app.slug}`.")]


def _never(key: PortalKey, name: str, now: int) -> Check:
    cause = f"Nothing has come with it since it was bound ({span(now - key.created)})."
    return warning(name, cause, f"Set the URL that `key add` printed on the portal: {_OPTION}; then send something.")


def _seen(last: PortalSource, name: str, now: int) -> Check:
    quiet = now - last.seen
    if quiet < SILENT:
        return fine(name, f"Pushes come from {_place(last)}, the last ones {span(quiet)} ago.")
    cause = f"It has been silent for {span(quiet)}; before that it came from {_place(last)}."
    fix = (
        "Look whether the portal's push service URL is still ours, whether its server reaches this gateway, and whether its "
        "agent CPushManager::SendAgent() runs: `wakeline doctor --portal-dump FILE` reads a dump of its b_pull_push_queue."
    )
    return warning(name, cause, fix)


def _moved(key: PortalKey, last: PortalSource, name: str, now: int) -> list[Check]:
    before = max((one for one in key.sources if one is not last), key=lambda one: one.seen, default=None)
    if before is None:
        return []
    if before.seen >= last.first and now - before.seen < DAY:
        cause = f"It is used from two places at once: {_place(last)} and {_place(before)}."
        fix = (
            "A copy of the portal sends to the same phones: take our push service URL out of the copy. If you know of none, "
            f"somebody else has the URL: `wakeline bitrix24 key remove {key.id}` ends it, `key add` makes the next."
        )
        return [warning(name, cause, fix)]
    if now - last.first >= MOVED:
        return []
    cause = f"It moved {span(now - last.first)} ago: it came from {_place(before)} and comes from {_place(last)} now."
    fix = f"After a migration that is expected; else end the key: `wakeline bitrix24 key remove {key.id}`."
    return [warning(name, cause, fix)]


async def _reached(ports: DoctorPorts, last: PortalSource, name: str) -> list[Check]:
    if not last.host:
        return []
    try:
        address = await ports.probe.https(last.host)
    except AddressRefused:
        cause = f"The host that it names, {last.host}, is no public address, and was not asked whether it answers."
        return [skipped(name, cause)]
    except TransportError as error:
        cause = f"The host that it names does not answer over https: {error.detail}."
        fix = (
            "If the portal has moved, give it its new external address (in its registration settings, and in DNS): its phones "
            "and its applications look for it there."
        )
        return [warning(name, cause, fix)]
    return [fine(name, f"The host that it names, {last.host}, answers at {address}.")]


def _name(key: PortalKey) -> str:
    return f"{_NAME} {key.name}" if key.name else f"{_NAME} key ...{key.ending}"


def _place(source: PortalSource) -> str:
    return f"{source.host or 'a host it does not name'} ({source.address or 'no address'})"
