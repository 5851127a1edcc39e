"""The webhooks themselves: made, listed, changed, forgotten, their secrets rotated."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from msgspec import UNSET

from wakeline.cli.context import Ctx
from wakeline.cli.noun import noun
from wakeline.cli.printing import facts, table
from wakeline.edges.rest.webhooks.endpoints import MadeWebhook, NewWebhook, WebhookPatch
from wakeline.edges.rest.webhooks.secrets import RotatedView, Rotation
from wakeline.edges.rest.webhooks.views import WebhookList, WebhookStatus, WebhookView
from wakeline.model.errors import ConfigError
from wakeline.model.event import EventType
from wakeline.model.webhook import Shape

app = noun("webhook", "Programs that are told of events.")

Events = Annotated[
    list[str] | None,
    Parameter(
        name="--event",
        consume_multiple=True,
        help="The types it is told of, such as push.failed; may be given several times.",
    ),
]
Apps = Annotated[
    list[str] | None,
    Parameter(
        name="--app", consume_multiple=True, help="The apps whose events it is told of; may be given several times."
    ),
]

_COLUMNS = ("webhook", "name", "url", "events", "apps", "shape", "standing", "failing since", "last answer")


def _types(names: list[str] | None) -> tuple[EventType, ...]:
    """Return types of events by their names. Raises ConfigError (a usage error)."""
    unknown = [name for name in names or () if name not in frozenset(EventType)]
    if unknown:
        raise ConfigError(f"There is no type of event {', '.join(unknown)}.", fix=f"Use {', '.join(EventType)}.")
    return tuple(EventType(name) for name in names or ())


def said(status: int, detail: str) -> str:
    """Return an answer as a column shows it."""
    return " ".join(part for part in (str(status or ""), detail) if part)


def _row(one: WebhookView) -> tuple[object, ...]:
    what = (one.id, one.name, one.url, one.events or "all", one.apps or "all", one.shape)
    health = one.health
    standing = health.standing if one.disabled is None else f"{health.standing} ({one.disabled})"
    return (*what, standing, health.failing_since, said(health.status, health.detail))


def _facts(one: WebhookView) -> list[tuple[str, object]]:
    health = one.health
    return [
        *zip(_COLUMNS, _row(one), strict=True),
        ("failures in a row", health.failures or None),
        ("next try", health.next_try),
        ("last taken", health.taken),
        ("created", one.created),
    ]


@app.command
async def create(
    url: str,
    /,
    *,
    event: Events = None,
    app: Apps = None,
    shape: Shape = Shape.STANDARD,
    name: str = "",
    secret: str = "",
    context: Ctx,
) -> None:
    """Have a program told of events from now on; its signing secret is shown this once.

    Parameters
    ----------
    url
        Where the events are posted to.
    shape
        How a message is written: as Standard Webhooks say, or in mesibo's envelope.
    name
        To recognise it by.
    secret
        A signing secret you have, whsec_...; one is made if it is left out.
    """
    new = NewWebhook(url=url, events=_types(event), apps=tuple(app or ()), shape=shape, name=name, secret=secret)
    async with context.gateway() as gateway:
        made: MadeWebhook = await gateway.call("webhook.create", body=new)
    context.printer.result(
        made,
        lambda: facts([*_facts(made), ("secret", made.secret), ("", "Keep the secret now: it is not shown again.")]),
    )


@app.command(name="list")
async def list_(*, context: Ctx) -> None:
    """List webhooks and how each fares."""
    async with context.gateway() as gateway:
        found: WebhookList = await gateway.call("webhook.list")
    context.printer.result(found, lambda: table(_COLUMNS, [_row(one) for one in found.webhooks]))


@app.command
async def show(webhook: str, /, *, context: Ctx) -> None:
    """Show a webhook, how it fares and what it was not told yet.

    Parameters
    ----------
    webhook
        Its id, from `wakeline webhook list`.
    """
    async with context.gateway() as gateway:
        one: WebhookStatus = await gateway.call("webhook.show", webhook=webhook)
    context.printer.result(
        one,
        lambda: facts(
            [
                *_facts(one),
                ("waiting", one.waiting or None),
                ("behind", one.behind or None),
                ("oldest untold", one.oldest),
            ]
        ),
    )


@app.command
async def update(
    webhook: str,
    /,
    *,
    url: str | None = None,
    event: Events = None,
    all_events: bool = False,
    app: Apps = None,
    all_apps: bool = False,
    shape: Shape | None = None,
    name: str | None = None,
    disabled: Annotated[bool | None, Parameter(negative="--enabled")] = None,
    resume: Annotated[bool, Parameter(negative="")] = False,
    context: Ctx,
) -> None:
    """Change a webhook; what is not given stays. One that is enabled is told of what happens next, or goes on.

    Parameters
    ----------
    webhook
        Its id, from `wakeline webhook list`.
    url
        Where the events are posted to.
    all_events
        Tell it of events of every type.
    all_apps
        Tell it of events of every app, and of those that belong to none.
    shape
        How a message is written.
    name
        To recognise it by.
    disabled
        Tell it nothing until it is enabled again.
    resume
        With --enabled: tell it what it missed meanwhile first.
    """
    patch = WebhookPatch(
        url=UNSET if url is None else url,
        events=() if all_events else _types(event) or UNSET,
        apps=() if all_apps else tuple(app) if app else UNSET,
        shape=UNSET if shape is None else shape,
        name=UNSET if name is None else name,
        disabled=UNSET if disabled is None else disabled,
        resume=resume,
    )
    async with context.gateway() as gateway:
        changed: WebhookView = await gateway.call("webhook.change", body=patch, webhook=webhook)
    context.printer.result(changed, lambda: facts(_facts(changed)))


@app.command
async def delete(webhook: str, /, *, context: Ctx) -> None:
    """Forget a webhook with its deliveries.

    Parameters
    ----------
    webhook
        Its id, from `wakeline webhook list`.
    """
    async with context.gateway() as gateway:
        await gateway.call("webhook.delete", webhook=webhook)
    context.printer.result({"deleted": webhook}, lambda: f"The webhook {webhook} is deleted.")


@app.command
async def rotate(webhook: str, /, *, overlap: int = Rotation().overlap, secret: str = "", context: Ctx) -> None:
    """Change the signing secret; the new one is shown this once.

    Parameters
    ----------
    webhook
        Its id, from `wakeline webhook list`.
    overlap
        Seconds for which messages are signed with the former one as well.
    secret
        A signing secret you have, whsec_...; one is made if it is left out.
    """
    body = Rotation(overlap=overlap, secret=secret)
    async with context.gateway() as gateway:
        made: RotatedView = await gateway.call("webhook.rotate", body=body, webhook=webhook)
    context.printer.result(
        made, lambda: facts([("secret", made.secret), ("the former one signs until", made.former_until)])
    )
