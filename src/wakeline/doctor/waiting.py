"""What waits, and what keeps it: paused apps, held routes, and work that is due and that nothing takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wakeline.doctor.checking import MINUTE, DoctorPorts, failed, fine, many, skipped, span, warning
from wakeline.model.app import App
from wakeline.model.moments import worded
from wakeline.model.route import Hold, HoldReason, Route
from wakeline.observe.health import Check
from wakeline.pipeline import RouteStatus
from wakeline.ports import LaneDepth
from wakeline.wire.outcomes import Refusal, refusal_of_hold

STUCK = 2 * MINUTE
"""Work on an open route that is due for longer is not being taken; retries are due only when their wait is over."""

_FANOUT = 0
"""Walks over devices wait on no route of their own."""


async def apps(ports: DoctorPorts) -> Sequence[Check]:
    """Say of each app whether its operator lets it send."""
    return [_app(app) for app in ports.asked()] or [skipped("apps", "There is no app yet.")]


def _app(app: App) -> Check:
    name = f"app {app.slug}"
    if not app.paused:
        return fine(name, "It is not paused.")
    cause = "It is paused: its pushes wait until they expire, and its calls fail at once with 902."
    return warning(name, cause, f"`wakeline app resume {app.slug}`; what waits goes out then.")


async def routes(ports: DoctorPorts) -> Sequence[Check]:
    """Say of each route that is held why, and since when."""
    known = _routes(ports)
    if not known:
        return [skipped("routes", "Nothing was sent yet: there is no route.")]
    now, slugs = ports.clock.now(), {app.id: app.slug for app in ports.asked()}
    held = [
        _held(route, route.hold, slugs[route.app], now)
        for route in known.values()
        if route.hold is not None and refusal_of_hold(route.hold) is not Refusal.PAUSED
    ]
    resting = [_rests(status, slugs[status.route.app]) for status in _resting(ports, known)]
    return held + resting or [fine("routes", f"{many(len(known), 'route')}, and none is held.")]


def _resting(ports: DoctorPorts, known: Mapping[int, Route]) -> list[RouteStatus]:
    """Return the routes that rest because their push service asked for it, and that nothing else holds."""
    statuses = (status for status in ports.pipeline.routes() if status.route.id in known)
    return [status for status in statuses if status.resting_until is not None and status.hold is None]


def _rests(status: RouteStatus, slug: str) -> Check:
    route, last = status.route, status.last
    place = f"{route.provider.value} {route.environment.value} {route.topic}".strip()
    said = f" {last.cause}" if last is not None else ""
    return warning(
        f"route {route.id} of {slug}",
        f"{place} rests until {worded(status.resting_until or 0)}, as its push service asked; calls go all the same.{said}",
        "Nothing: it goes on by itself. Where it comes often, send less at once.",
    )


def _held(route: Route, hold: Hold, slug: str, now: int) -> Check:
    place = f"{route.provider.value} {route.environment.value} {route.topic}".strip()
    name = f"route {route.id} of {slug}"
    cause = (
        f"{place} was held {_why(hold.reason)} {span(max(0, now - hold.since))} ago (code {hold.code}): {hold.cause}"
    )
    if hold.reason is HoldReason.OPERATOR:
        return warning(name, cause, hold.fix or f"`wakeline route release {route.id}` when it may send again.")
    return failed(name, cause, hold.fix or "`wakeline route list` shows it.")


def _why(reason: HoldReason) -> str:
    match reason:
        case HoldReason.CREDENTIAL:
            return "for its credential"
        case HoldReason.OPERATOR:
            return "by an operator"
        case HoldReason.BREAKER:
            return "by the breaker"
        case HoldReason.BRAKE:
            return "by the brake"


async def queue(ports: DoctorPorts) -> Sequence[Check]:
    """Say whether what is due is taken, and how long the oldest has waited."""
    name, now, known = "waiting", ports.clock.now(), _routes(ports)
    lanes = [lane for lane in await ports.queue.depth() if lane.jobs and (lane.route in known or lane.route == _FANOUT)]
    if not lanes:
        return [fine(name, "Nothing waits.")]
    paused = {app.id for app in ports.asked() if app.paused}
    shut = {route.id for route in known.values() if route.hold is not None or route.app in paused}
    shut |= {status.route.id for status in _resting(ports, known)}
    stuck = [lane for lane in lanes if lane.route not in shut and _age(lane, now) > STUCK and lane.jobs > lane.leased]
    total = sum(lane.deliveries for lane in lanes)
    if not stuck:
        kept = sum(lane.deliveries for lane in lanes if lane.route in shut)
        held = f", {kept} of them on routes that are held, paused or resting" if kept else ""
        return [fine(name, f"Pushes waiting: {total}{held}; what may be sent is taken.")]
    oldest = max(stuck, key=lambda lane: _age(lane, now))
    cause = (
        f"Work is due and nothing takes it, the oldest on route {oldest.route} ({oldest.lane.name.lower()}) for "
        f"{span(_age(oldest, now))}, and no hold says why."
    )
    return [
        failed(name, cause, "Start the gateway (`wakeline serve`) if none runs; else look at its log, and restart it.")
    ]


def _age(lane: LaneDepth, now: int) -> int:
    return 0 if lane.oldest is None else now - lane.oldest


def _routes(ports: DoctorPorts) -> dict[int, Route]:
    apps_asked = {app.id for app in ports.asked()}
    return {route.id: route for route in ports.routes.all() if route.app in apps_asked}
