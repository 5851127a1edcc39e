"""`wakeline bitrix24 webhook`: incoming webhooks, shown once when they are made."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from wakeline.cli.bitrix24.lists import words
from wakeline.cli.context import Ctx
from wakeline.cli.noun import noun
from wakeline.cli.printing import facts, table
from wakeline.edges.rest.bitrix24.webhooks import (
    IncomingWebhookList,
    IncomingWebhookView,
    MadeIncomingWebhook,
    NewIncomingWebhook,
)

webhook = noun("webhook", "Incoming webhooks: addresses by which servers call methods.")


def _row(one: IncomingWebhookView) -> tuple[object, ...]:
    return (one.id, one.user, one.scopes, one.name, one.created, one.last_used)


@webhook.command
async def create(
    *,
    user: int,
    scope: Annotated[list[str], Parameter(consume_multiple=True)],
    admin: bool = False,
    name: str = "",
    context: Ctx,
) -> None:
    """Make an incoming webhook; its address is shown this once, and a method's name follows it.

    Parameters
    ----------
    user
        In whose name it works; made if absent.
    scope
        What it may use, such as crm,pull.
    admin
        Make the user an administrator.
    name
        To recognise it by.
    """
    new = NewIncomingWebhook(user=user, scopes=words(scope), admin=admin, name=name)
    async with context.gateway() as gateway:
        made: MadeIncomingWebhook = await gateway.call("bitrix24.webhook.create", body=new)
    context.printer.result(
        {"url": made.url},
        lambda: facts(
            [
                ("url", made.url),
                ("id", made.id),
                ("user", made.user),
                ("scopes", made.scopes),
                ("", "Keep it now: it is not shown again."),
            ]
        ),
    )


@webhook.command(name="list")
async def list_(*, context: Ctx) -> None:
    """List incoming webhooks; their codes are not kept."""
    async with context.gateway() as gateway:
        found: IncomingWebhookList = await gateway.call("bitrix24.webhook.list")
    columns = ("id", "user", "scopes", "name", "created", "last used")
    context.printer.result(found, lambda: table(columns, [_row(one) for one in found.webhooks]))


@webhook.command
async def delete(webhook: int, /, *, context: Ctx) -> None:
    """Make an incoming webhook useless, at once.

    Parameters
    ----------
    webhook
        Its number, from `wakeline bitrix24 webhook list`.
    """
    async with context.gateway() as gateway:
        await gateway.call("bitrix24.webhook.delete", webhook=str(webhook))
    context.printer.result({"deleted": webhook}, lambda: f"The webhook {webhook} is useless now.")
