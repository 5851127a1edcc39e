"""Webhook endpoints as the world sees them: without their secrets, with how the telling goes."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from wakeline.edges.rest.moments import moment, moment_or_none
from wakeline.edges.rest.operations import Call
from wakeline.edges.rest.shapes import View
from wakeline.model.errors import NotFound
from wakeline.model.event import EventType
from wakeline.model.webhook import Disabled, Endpoint, EndpointHealth, Shape


class Standing(StrEnum):
    """How an endpoint stands."""

    WORKING = "working"
    FAILING = "failing"
    DISABLED = "disabled"


class WebhookHealth(View, frozen=True, kw_only=True):
    """How the telling goes. `failures`: those in a row, the first of them at `failing_since`, the next try at `next_try`.

    `status` and `detail`: the last answer (0: none came, and why); `taken`: when a message was last taken.
    """

    standing: Standing
    failures: int
    failing_since: datetime | None
    next_try: datetime | None
    status: int
    detail: str
    taken: datetime | None


class WebhookView(View, frozen=True, kw_only=True):
    """A webhook endpoint. No `events`: it is told of all; no `apps`: of all apps, and of what belongs to none.

    `disabled`: why it is told nothing; `gone` means that it answered 410.
    """

    id: str
    name: str
    url: str
    events: tuple[EventType, ...]
    apps: tuple[str, ...]
    shape: Shape
    created: datetime
    disabled: Disabled | None
    health: WebhookHealth


class WebhookStatus(WebhookView, frozen=True, kw_only=True):
    """A webhook endpoint and its backlog.

    `waiting`: messages that were set aside, to be tried again; its deliveries list them. `behind`: events of all kinds that came
    after those it was told of or that wait; `oldest`: when the first of them happened that is for it, null if none is.
    """

    waiting: int
    behind: int
    oldest: datetime | None


class WebhookList(View, frozen=True, kw_only=True):
    """The webhook endpoints that a key sees, oldest first."""

    webhooks: tuple[WebhookView, ...]


def found(call: Call) -> Endpoint:
    """Return the endpoint of the path. Raises NotFound, also where the caller may not know that it exists."""
    wanted = call.path["webhook"]
    for one in call.ports.endpoints.all():
        if wanted.lower() in (one.public_id, str(one.id)) and visible(call, one):
            return one
    raise NotFound(f"there is no webhook {wanted[:64]!r}", fix="`GET /v1/webhooks` lists those of this key.")


def visible(call: Call, one: Endpoint) -> bool:
    """Tell whether the caller may know of an endpoint: it is told of nothing but the caller's apps."""
    apps = call.caller.apps
    return apps is None or (bool(one.apps) and apps.issuperset(one.apps))


def view(call: Call, one: Endpoint) -> WebhookView:
    """Return an endpoint as the world sees it."""
    return WebhookView(
        id=one.public_id,
        name=one.name,
        url=one.url,
        events=one.events,
        apps=one.apps,
        shape=one.shape,
        created=moment(one.created),
        disabled=one.disabled,
        health=_health(one, call.ports.endpoints.health(one.id)),
    )


def _health(one: Endpoint, health: EndpointHealth) -> WebhookHealth:
    return WebhookHealth(
        standing=_standing(one, health),
        failures=health.failures,
        failing_since=moment_or_none(health.failing_since),
        next_try=moment_or_none(health.retry_at),
        status=health.status,
        detail=health.detail,
        taken=moment_or_none(health.taken_at),
    )


def _standing(one: Endpoint, health: EndpointHealth) -> Standing:
    if one.disabled is not None:
        return Standing.DISABLED
    return Standing.WORKING if health.failing_since is None else Standing.FAILING
