"""Self-hosted portals that use us as their push service: silent, moved, or not to be reached.

Theory: a portal says nothing when its pushes stop. What is left to see here is when it last came, from where, and whether the
host that it names still answers. Phones do not need that host to be reached from here, so that alone is no failure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wakeline.doctor.checking import DAY, DoctorPorts, failed, fine, skipped, span, warning
from wakeline.doctor.reaching import Reached, reach
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
    answers = await reach(ports.probe, {one.host for one in map(_last, keys) if one is not None and one.host})
    return [check for key in keys for check in _of_key(ports, key, answers)]


def _of_key(ports: DoctorPorts, key: PortalKey, answers: Mapping[str, Reached]) -> list[Check]:
    app, now, name = ports.apps.by_id(key.app), ports.clock.now(), _name(key)
    found = [*_sendable(ports, app, name)]
    last = _last(key)
    if last is None:
        return [*found, _never(key, name, now)]
    return [*found, _seen(last, name, now), *_moved(key, last, name, now), *_reached(last.host, answers, name)]


def _last(key: PortalKey) -> PortalSource | None:
    return max(key.sources, key=lambda one: one.seen, default=None)


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


def _reached(host: str, answers: Mapping[str, Reached], name: str) -> list[Check]:
    if not host:
        return []
    match answers.get(host):
        case None:
            return [skipped(name, f"There was no time left to ask whether the host that it names, {host}, answers.")]
        case AddressRefused():
            cause = f"The host that it names, {host}, is no public address, and was not asked whether it answers."
            return [skipped(name, cause)]
        case TransportError(detail=detail):
            cause = f"The host that it names does not answer over https: {detail}."
            fix = (
                "If the portal has moved, give it its new external address (in its registration settings, and in DNS): its "
                "phones and its applications look for it there."
            )
            return [warning(name, cause, fix)]
        case str(address):
            return [fine(name, f"The host that it names, {host}, answers at {address}.")]


def _name(key: PortalKey) -> str:
    return f"{_NAME} {key.name}" if key.name else f"{_NAME} key ...{key.ending}"


def _place(source: PortalSource) -> str:
    return f"{source.host or 'a host it does not name'} ({source.address or 'no address'})"
