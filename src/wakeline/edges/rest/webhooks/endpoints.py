"""Webhook endpoints: make, list, change, forget.

A URL is judged as far as no look-up is needed, so that what `[webhooks]` forbids is said at once and not by failing deliveries.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from wakeline.edges.rest.moments import moment_or_none
from wakeline.edges.rest.operations import Answer, Call, Idempotent, Operation, Reach
from wakeline.edges.rest.shapes import Name, Slug, Strict
from wakeline.edges.rest.webhooks import secrets
from wakeline.edges.rest.webhooks.secrets import SecretText
from wakeline.edges.rest.webhooks.views import (
    WebhookList,
    WebhookStatus,
    WebhookView,
    found,
    view,
    visible,
)
from wakeline.model.errors import AddressRefused, InvalidRequest
from wakeline.model.event import EventType
from wakeline.model.key import Scope
from wakeline.model.webhook import Disabled, Endpoint, Shape
from wakeline.wire.standard_webhooks import secret_text

Url = Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
Slugs = Annotated[tuple[Slug, ...], msgspec.Meta(max_length=100)]


class NewWebhook(Strict, frozen=True, kw_only=True):
    """An endpoint to be made. No `events`: it is told of all; no `apps`: of all that the key sees.

    `secret`: `whsec_` and 24 to 64 bytes in base64; one is made if it is left out.
    """

    url: Url
    events: tuple[EventType, ...] = ()
    apps: Slugs = ()
    shape: Shape = Shape.STANDARD
    name: Name = ""
    secret: SecretText = ""


class WebhookPatch(Strict, frozen=True, kw_only=True):
    """What to change of an endpoint; what is absent stays.

    One that is enabled again is told of what happens from then on; with `resume`, of what it missed first.
    """

    url: Url | UnsetType = UNSET
    events: tuple[EventType, ...] | UnsetType = UNSET
    apps: Slugs | UnsetType = UNSET
    shape: Shape | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET
    resume: bool = False


class MadeWebhook(WebhookView, frozen=True, kw_only=True):
    """A new endpoint. `secret` is what its messages are signed with, shown this once."""

    secret: str


async def create(call: Call) -> Answer:
    """Make an endpoint; it is told of what happens from now on."""
    new: NewWebhook = call.body
    endpoint = Endpoint(
        url=_url(call, new.url),
        events=_events(new.events),
        apps=_apps(call, new.apps),
        shape=new.shape,
        name=new.name,
        created=call.now,
    )
    secret = secrets.given_or_new(new.secret)
    made = await call.ports.endpoints.create(endpoint, secret, cursor=await call.ports.events.last())
    shown = MadeWebhook(**msgspec.structs.asdict(view(call, made)), secret=secret_text(secret))
    return Answer(status=201, body=shown, secret=True, resource=made.public_id)


async def list_all(call: Call) -> Answer:
    """List the endpoints that this key sees."""
    seen = (one for one in call.ports.endpoints.all() if visible(call, one))
    return Answer(body=WebhookList(webhooks=tuple(view(call, one) for one in seen)))


async def show(call: Call) -> Answer:
    """Show an endpoint and its backlog."""
    one, events = found(call), call.ports.events
    cursor, newest = call.ports.endpoints.health(one.id).cursor, await events.last()
    types, apps = frozenset(one.events) or None, frozenset(one.apps) or None
    # A month of events is not searched for what one that is disabled will not be told.
    untold = await events.read(after=cursor, types=types, apps=apps, limit=1) if one.disabled is None else []
    status = WebhookStatus(
        **msgspec.structs.asdict(view(call, one)),
        waiting=(await call.ports.endpoints.waiting_counts()).get(one.id, 0),
        behind=max(0, newest - cursor) if untold else 0,
        oldest=moment_or_none(untold[0].at) if untold else None,
    )
    return Answer(body=status)


async def change(call: Call) -> Answer:
    """Change an endpoint, disable it or enable it again."""
    one, patch = found(call), call.body
    if patch.resume and patch.disabled is not False:
        raise InvalidRequest(
            "only one that is enabled goes on from where it stopped",
            pointer="/resume",
            fix='Enable it at once: `"disabled": false`, on the command line `--enabled`.',
        )
    changed = msgspec.structs.replace(one, **_given(call, patch))
    if changed != one:
        await call.ports.endpoints.change(changed)
    if patch.disabled is True and one.disabled is None:
        await call.ports.pipeline.webhooks.disable(changed, Disabled.OPERATOR)
    elif patch.disabled is False and one.disabled is not None:
        await call.ports.pipeline.webhooks.enable(changed, resume=patch.resume)
    return Answer(body=view(call, found(call)))


async def delete(call: Call) -> Answer:
    """Forget an endpoint with its deliveries."""
    await call.ports.endpoints.delete(found(call).id)
    return Answer(status=204)


def _given(call: Call, patch: WebhookPatch) -> dict[str, object]:
    """Return the fields that a patch changes, judged as those of a new endpoint are."""
    given: dict[str, object] = {}
    if patch.url is not UNSET:
        given["url"] = _url(call, patch.url)
    if patch.events is not UNSET:
        given["events"] = _events(patch.events)
    if patch.apps is not UNSET:
        given["apps"] = _apps(call, patch.apps)
    if patch.shape is not UNSET:
        given["shape"] = patch.shape
    if patch.name is not UNSET:
        given["name"] = patch.name
    return given


def _url(call: Call, url: str) -> str:
    try:
        call.ports.judge_webhook(url, call.ports.settings.webhooks)
    except AddressRefused as error:
        raise AddressRefused(error.detail, pointer="/url", fix=error.fix) from None
    return url


def _events(given: tuple[EventType, ...]) -> tuple[EventType, ...]:
    if EventType.WEBHOOK_TEST in given:
        raise InvalidRequest(
            f"`{EventType.WEBHOOK_TEST}` is sent when it is asked for, whatever an endpoint is told of",
            pointer=f"/events/{given.index(EventType.WEBHOOK_TEST)}",
            fix="Leave it out.",
        )
    return tuple(dict.fromkeys(given))


def _apps(call: Call, given: tuple[str, ...]) -> tuple[str, ...]:
    """Return the apps of an endpoint; to a key that is bound to apps, none are its own. Raises InvalidRequest."""
    for at, slug in enumerate(given):
        if call.ports.apps.get(slug) is None or not call.caller.sees(slug):
            raise InvalidRequest(f"there is no app {slug!r}", pointer=f"/apps/{at}", fix="Make the app first.")
    return tuple(dict.fromkeys(given)) or tuple(sorted(call.caller.apps or ()))


_ALL = "/v1/webhooks"
_ONE = f"{_ALL}/{{webhook}}"

OPERATIONS = (
    Operation(
        name="webhook.create",
        method="POST",
        path=_ALL,
        handler=create,
        summary="Have a program of yours told of events; its signing secret is shown once",
        reach=Reach.FILTERED,
        scopes=(Scope.ADMIN,),
        request=NewWebhook,
        response=MadeWebhook,
        status=(201,),
        idempotent=Idempotent.STORED,
        problems=(AddressRefused,),
    ),
    Operation(
        name="webhook.list",
        method="GET",
        path=_ALL,
        handler=list_all,
        summary="List webhooks and how each fares",
        reach=Reach.FILTERED,
        scopes=(Scope.EVENTS,),
        response=WebhookList,
    ),
    Operation(
        name="webhook.show",
        method="GET",
        path=_ONE,
        handler=show,
        summary="Show a webhook, how it fares and what it was not told yet",
        reach=Reach.FILTERED,
        scopes=(Scope.EVENTS,),
        response=WebhookStatus,
    ),
    Operation(
        name="webhook.change",
        method="PATCH",
        path=_ONE,
        handler=change,
        summary="Change a webhook, disable it or enable it again",
        reach=Reach.FILTERED,
        scopes=(Scope.ADMIN,),
        request=WebhookPatch,
        response=WebhookView,
        problems=(AddressRefused,),
    ),
    Operation(
        name="webhook.delete",
        method="DELETE",
        path=_ONE,
        handler=delete,
        summary="Forget a webhook with its deliveries",
        reach=Reach.FILTERED,
        scopes=(Scope.ADMIN,),
        status=(204,),
    ),
)
