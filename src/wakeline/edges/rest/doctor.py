"""The doctor over HTTP: its own checks, the store and the queue, and what is missing before Bitrix24 portals work.

A key that is bound to apps is told of these: their credentials, routes, devices, limits.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from wakeline.doctor.checking import DoctorPorts, skipped
from wakeline.doctor.examination import CHECKS, OF_APPS, Table, examine
from wakeline.edges.rest.bitrix24.portal import connected_findings, findings, in_use
from wakeline.edges.rest.operations import Answer, Call, Operation, Reach
from wakeline.edges.rest.shapes import Slug, Strict, View
from wakeline.model.app import App
from wakeline.model.errors import NotFound
from wakeline.model.key import Scope
from wakeline.observe.health import Check, Phase, Status

_PORTAL = "own portal"
_FINE = {
    "process": "The gateway serves.",
    "store": "The store takes what is written.",
    "loops": "All that sends, settles and maintains goes on.",
}
"""What there is to say of a probe that has nothing to say."""


class DoctorQuery(Strict, frozen=True, kw_only=True):
    """Whose credentials, routes and devices to look at: those of this app, the devices of this user; without, all.

    A key that is bound to apps is told of nothing else.
    """

    app: Slug = ""
    user: Annotated[str, msgspec.Meta(max_length=255)] = ""


class DoctorView(View, frozen=True, kw_only=True):
    """What was looked at: each with its status, what was seen, what to do."""

    checks: tuple[Check, ...]


async def look(call: Call) -> Answer:
    """Look at everything that the caller may see; at apps and devices only as far as they are asked for."""
    ports, query = call.ports, call.query
    whole = call.caller.apps is None
    found = await examine(
        DoctorPorts(
            clock=ports.clock,
            settings=ports.settings,
            apps=ports.apps,
            credentials=ports.credentials,
            devices=ports.devices,
            routes=ports.routes,
            ledger=ports.ledger,
            facts=ports.facts,
            queue=ports.queue,
            events=ports.events,
            endpoints=ports.endpoints,
            keeper=ports.keeper,
            portal_keys=ports.portal_keys,
            installations=ports.connected.installations,
            probe=ports.probe,
            services=ports.services,
            pipeline=ports.pipeline,
            only=_only(call, query.app),
            user=query.user,
        ),
        _of_installation(call) + CHECKS if whole else OF_APPS,
    )
    return Answer(body=DoctorView(checks=tuple(found)))


def _of_installation(call: Call) -> Table:
    """Return the checks that look at what this edge knows."""
    return (
        ("gateway", lambda _: _gateway(call)),
        (_PORTAL, lambda _: _portal(call)),
        ("connected portals", lambda _: _connected(call)),
    )


def _only(call: Call, slug: str) -> tuple[App, ...] | None:
    """Return the apps that are asked for and seen; None: all. Raises NotFound."""
    if not slug and call.caller.apps is None:
        return None
    seen = tuple(app for app in call.ports.apps.all() if call.caller.sees(app.slug) and slug in ("", app.slug))
    if slug and not seen:
        raise NotFound(f"there is no app {slug!r}", pointer="/query/app", fix="`GET /v1/apps` lists those of this key.")
    return seen


async def _gateway(call: Call) -> list[Check]:
    """Return what the probes say; a store that no gateway serves has no process."""
    ports = call.ports
    condition = ports.pipeline.condition()
    pending, most = await ports.queue.pending(), ports.settings.queue.max_pending
    checks = ports.health.readiness(ports.keeper.health(), pending, most, condition.crashing)
    runs = ports.health.phase is not Phase.STARTING
    found = [check for check in checks if runs or check.name != "process"] + [*ports.health.remarks.values()]
    fine = _FINE | {"queue": f"{pending} deliveries wait; there is room for {most}."}
    return [msgspec.structs.replace(one, cause=one.cause or fine.get(one.name, "")) for one in found]


async def _portal(call: Call) -> list[Check]:
    """Return the audit of our own portal, if anybody uses it."""
    if not await in_use(call):
        return [skipped(_PORTAL, "Nobody uses our own Bitrix24 portal: it has no users, applications or webhooks.")]
    return [
        Check(name=f"{_PORTAL}: {one.name}", status=Status(one.status.value), cause=one.cause, fix=one.fix)
        for one in await findings(call)
    ]


async def _connected(call: Call) -> list[Check]:
    """Return the audit of the portals that we are connected to."""
    return [
        Check(name=one.name, status=Status(one.status.value), cause=one.cause, fix=one.fix)
        for one in await connected_findings(call)
    ]


OPERATIONS = (
    Operation(
        name="doctor.examine",
        method="GET",
        path="/v1/doctor",
        handler=look,
        summary="Say what of this installation works and what does not, with what to do",
        reach=Reach.FILTERED,
        scopes=(Scope.READ,),
        query=DoctorQuery,
        response=DoctorView,
        problems=(NotFound,),
    ),
)
