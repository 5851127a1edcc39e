"""What a webhook was told: trying it out, its deliveries, telling it again."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from rich.console import RenderableType

from wakeline.cli.context import Ctx
from wakeline.cli.moments import utc
from wakeline.cli.printing import facts, table
from wakeline.cli.webhook.endpoints import app, said
from wakeline.edges.rest.webhooks.deliveries import Replay, ReplayView, TriedView, WebhookDelivery, WebhookDeliveryList

_DELIVERIES = ("message", "type", "app", "device", "state", "tries", "answer", "ms", "changed", "next try")


@app.command
async def test(webhook: str, /, *, context: Ctx) -> int:
    """Send a test event now and say what the program answered; exit code 1 if it did not take it.

    Parameters
    ----------
    webhook
        Its id, from `wakeline webhook list`.
    """
    async with context.gateway() as gateway:
        tried: TriedView = await gateway.call("webhook.test", webhook=webhook)
    context.printer.result(
        tried,
        lambda: facts([("taken", tried.taken), ("answer", said(tried.status, tried.detail)), ("ms", tried.duration)]),
    )
    return 0 if tried.taken else 1


@app.command
async def deliveries(
    webhook: str,
    /,
    *,
    state: Literal["waiting", "taken", "given_up"] | None = None,
    limit: int = 50,
    cursor: str | None = None,
    context: Ctx,
) -> None:
    """List what a webhook was told and what it answered, the newest first.

    Parameters
    ----------
    webhook
        Its id, from `wakeline webhook list`.
    state
        Only those in this state.
    limit
        How many at most, up to 500.
    cursor
        Go on where a list ended: its `next_cursor`.
    """
    query = {"state": state, "limit": limit, "cursor": cursor}
    async with context.gateway() as gateway:
        found: WebhookDeliveryList = await gateway.call("webhook.deliveries", query=query, webhook=webhook)
    context.printer.result(found, lambda: _deliveries(found, context))


def _deliveries(found: WebhookDeliveryList, context: Ctx) -> RenderableType:
    if found.next_cursor is not None:
        context.printer.remark(f"There are more: --cursor {found.next_cursor}")
    return table(_DELIVERIES, [_delivery_row(one) for one in found.deliveries])


def _delivery_row(one: WebhookDelivery) -> tuple[object, ...]:
    what = (one.id, one.type, one.app, one.device, one.state, one.tries)
    return (*what, said(one.status, one.detail), one.duration, one.changed, one.next_try)


@app.command
async def replay(
    webhook: str,
    /,
    *messages: str,
    since: datetime | None = None,
    until: datetime | None = None,
    context: Ctx,
) -> None:
    """Tell a webhook again, under the ids it knows: some messages, or all of a range of time.

    Parameters
    ----------
    webhook
        Its id, from `wakeline webhook list`.
    messages
        Their ids, from `wakeline webhook deliveries`.
    since
        Instead: all events from this time on, such as 2026-11-20T08:00; UTC unless it says otherwise.
    until
        Until this time.
    """
    body = Replay(ids=messages, since=utc(since), until=utc(until))
    async with context.gateway() as gateway:
        told: ReplayView = await gateway.call("webhook.replay", body=body, webhook=webhook)
    context.printer.result(told, lambda: f"Messages that are told again: {told.messages}.")
