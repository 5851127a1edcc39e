"""Probes and the state of health, and the metrics.

Rule: `/healthz` says that the loop turns; `/readyz` asks store and queue only, since a provider that is down must not take
us out of a load balancer; whatever is about apps or providers needs a key.
"""

from __future__ import annotations

from collections.abc import Sequence

from wakeline import __version__
from wakeline.edges.rest.credentials import CredentialView, view
from wakeline.edges.rest.operations import Answer, Call, Operation, Reach
from wakeline.edges.rest.routes import RouteView, views
from wakeline.edges.rest.shapes import View
from wakeline.edges.rest.silent_calls import silent_calls
from wakeline.model.app import App
from wakeline.model.credential import CredentialState, Grade
from wakeline.model.key import Scope
from wakeline.observe.health import Check, Status, ready

_UNAVAILABLE = 503


class AliveView(View, frozen=True, kw_only=True):
    """The process is alive."""

    status: Status = Status.OK


class ReadyView(View, frozen=True, kw_only=True):
    """Whether traffic may come, and each check."""

    status: Status
    checks: tuple[Check, ...]


class AppCredential(View, frozen=True, kw_only=True):
    """A credential and the app it belongs to."""

    app: str
    credential: CredentialView


class HealthView(View, frozen=True, kw_only=True):
    """Everything that has a state: `warning` where a route waits or a credential needs attention."""

    status: Status
    version: str
    checks: tuple[Check, ...]
    credentials: tuple[AppCredential, ...]
    routes: tuple[RouteView, ...]


async def alive(_call: Call) -> Answer:
    """Say that the process is alive."""
    return Answer(body=AliveView())


async def readiness(call: Call) -> Answer:
    """Say whether traffic may come."""
    checks = await _checks(call)
    fit = ready(checks)
    body = ReadyView(status=Status.OK if fit else Status.FAILED, checks=tuple(checks))
    return Answer(status=200 if fit else _UNAVAILABLE, body=body)


async def health(call: Call) -> Answer:
    """Say how everything is: store, queue, credentials, routes."""
    apps = [app for app in call.ports.apps.all() if call.caller.sees(app.slug)]
    checks = await _checks(call)
    calls = await _calls(call, apps)
    routes = await views(call)
    credentials = tuple(
        AppCredential(app=app.slug, credential=view(one, call.now))
        for app in apps
        for one in call.ports.credentials.of_app(app.id)
    )
    wrong = (
        bool(calls) or any(route.hold for route in routes) or any(_needs_care(one.credential) for one in credentials)
    )
    fit = ready(checks)
    if call.caller.apps is None:  # they are about the installation
        checks += call.ports.health.remarks.values()
    wrong = wrong or any(check.status is not Status.OK for check in checks)
    status = Status.FAILED if not fit else Status.WARNING if wrong else Status.OK
    shown = HealthView(
        status=status, version=__version__, checks=(*checks, *calls), credentials=credentials, routes=routes
    )
    return Answer(body=shown)


async def _checks(call: Call) -> list[Check]:
    ports = call.ports
    pending = await ports.queue.pending()
    crashing = ports.pipeline.condition().crashing
    return ports.health.readiness(ports.keeper.health(), pending, ports.settings.queue.max_pending, crashing)


async def _calls(call: Call, apps: Sequence[App]) -> list[Check]:
    """Return a warning for each gap through which calls are lost."""
    return [
        Check(name="calls", status=Status.WARNING, cause=f"{app.slug}: {warning}")
        for app in apps
        for warning in await silent_calls(call, app)
    ]


def _needs_care(credential: CredentialView) -> bool:
    return credential.state is CredentialState.FAILED or credential.verdict.grade is not Grade.OK


OPERATIONS = (
    Operation(
        name="health.alive",
        method="GET",
        path="/healthz",
        handler=alive,
        summary="Say that the process is alive",
        reach=Reach.ANYBODY,
        response=AliveView,
    ),
    Operation(
        name="health.ready",
        method="GET",
        path="/readyz",
        handler=readiness,
        summary="Say whether traffic may come: store and queue only",
        reach=Reach.ANYBODY,
        response=ReadyView,
        status=(200, _UNAVAILABLE),
    ),
    Operation(
        name="health.show",
        method="GET",
        path="/v1/health",
        handler=health,
        summary="Say how everything is: store, queue, credentials, routes",
        reach=Reach.FILTERED,
        scopes=(Scope.READ,),
        response=HealthView,
    ),
)
