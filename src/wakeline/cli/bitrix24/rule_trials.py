"""`wakeline bitrix24 rule try`: what a rule would make of an event."""

from __future__ import annotations

import msgspec
from rich.console import RenderableType

from wakeline.cli.bitrix24.rules import rule
from wakeline.cli.bitrix24.writes import json_object
from wakeline.cli.context import Ctx
from wakeline.cli.printing import facts
from wakeline.edges.rest.bitrix24.rules import RuleView
from wakeline.edges.rest.bitrix24.trials import Trial, TrialView


@rule.command(name="try")
async def try_(
    rule: str,
    /,
    *,
    event_id: int | None = None,
    event: str | None = None,
    record: int | None = None,
    data: str | None = None,
    user: int = 0,
    portal: int | None = None,
    context: Ctx,
) -> None:
    """Say what a rule would make of an event, with what the portal says of the record now; nothing is sent.

    Parameters
    ----------
    rule
        Its number or name, from `wakeline bitrix24 rule list`.
    event_id
        A recorded event, from `wakeline bitrix24 portal events`.
    event
        The name of an event that is made up; the rule's own if not given.
    record
        The number of the record that the made-up event is about.
    data
        What comes with the made-up event, a JSON object, in place of --record.
    user
        The number of the portal's user who causes it.
    portal
        The number of the connected portal; needed if there are several and the rule is for all.
    """
    async with context.gateway() as gateway:
        known: RuleView = await gateway.call("bitrix24.rule.show", rule=rule)
        trial = Trial(
            id=known.id,
            event_id=event_id,
            event=event,
            record=record,
            data=None if data is None else json_object(data, "--data"),
            user=user,
            installation=portal,
        )
        found: TrialView = await gateway.call("bitrix24.rule.try", body=trial)
    context.printer.result(found, lambda: _tried(found))


def _tried(found: TrialView) -> RenderableType:
    push = found.notification
    alert = push.alert if push is not None else None
    return facts(
        [
            ("applies", found.applies),
            ("cause", found.cause),
            ("users", found.users),
            ("title", alert.title if alert else ""),
            ("body", alert.body if alert else ""),
            ("push", "" if push is None else msgspec.json.encode(push).decode()),
            ("record", "" if found.record is None else msgspec.json.encode(found.record).decode()),
        ]
    )
