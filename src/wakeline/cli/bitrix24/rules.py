"""`wakeline bitrix24 rule`: which event of a connected portal becomes which push."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter
from msgspec import UNSET
from rich.console import RenderableType

from wakeline.cli.context import Ctx
from wakeline.cli.noun import noun
from wakeline.cli.printing import facts, table
from wakeline.edges.rest.bitrix24.rules import Kind, RuleBody, RuleList, RulePatch, RuleView
from wakeline.model.errors import ConfigError
from wakeline.model.notification import Priority

rule = noun("rule", "Rules: which event of a connected portal becomes which push.")

Expressions = Annotated[list[str], Parameter(consume_multiple=True)]
Pairs = Annotated[list[str] | None, Parameter(consume_multiple=True)]
_COLUMNS = ("number", "name", "event", "portal", "condition", "recipients", "type", "title", "body", "enabled")


@rule.command
async def add(
    *,
    name: str,
    event: str,
    recipients: Expressions,
    portal: int = 0,
    condition: str = "",
    type: Kind = "alert",  # noqa: A002 - the name of the flag
    title: str = "",
    body: str = "",
    image: str = "",
    data: Pairs = None,
    collapse: str = "",
    caller: str = "",
    priority: Priority | None = None,
    ttl: int | None = None,
    disabled: bool = False,
    context: Ctx,
) -> None:
    """Keep a rule; events that come from now on are judged by it. Texts are Jinja templates.

    Parameters
    ----------
    name
        To recognise it by.
    event
        Such as ONCRMDEALUPDATE; * is any event.
    recipients
        Expressions that yield numbers of users of the portal, such as record.ASSIGNED_BY_ID or 7.
    portal
        The number of the connected portal; every one if not given.
    condition
        An expression, such as record.STAGE_ID == "WON"; the rule applies if it is true.
    type
        What kind of push.
    title
        Such as {{ record.TITLE }}.
    body
        Such as {{ record.OPPORTUNITY|money(record.CURRENCY_ID) }}.
    image
        The https address of a picture.
    data
        What goes with the push, name=template.
    collapse
        Pushes with the same text replace each other on a phone.
    caller
        Who rings, for the type call.
    priority
        How urgent it is.
    ttl
        Seconds after which it is of no use.
    disabled
        Keep it, and do not apply it yet.
    """
    new = RuleBody(
        name=name,
        event=event,
        recipients=tuple(recipients),
        installation=portal,
        condition=condition,
        type=type,
        title=title,
        body=body,
        image=image,
        data=_pairs(data),
        collapse=collapse,
        caller=caller,
        priority=priority,
        ttl=ttl,
        enabled=not disabled,
    )
    async with context.gateway() as gateway:
        kept: RuleView = await gateway.call("bitrix24.rule.add", body=new)
    context.printer.result(kept, lambda: _drawn(kept))


@rule.command(name="list")
async def list_(*, context: Ctx) -> None:
    """List the rules."""
    async with context.gateway() as gateway:
        found: RuleList = await gateway.call("bitrix24.rule.list")
    context.printer.result(found, lambda: table(_COLUMNS, [_row(one) for one in found.rules]))


@rule.command
async def show(rule: str, /, *, context: Ctx) -> None:
    """Show a rule.

    Parameters
    ----------
    rule
        Its number or name, from `wakeline bitrix24 rule list`.
    """
    async with context.gateway() as gateway:
        found: RuleView = await gateway.call("bitrix24.rule.show", rule=rule)
    context.printer.result(found, lambda: _drawn(found))


@rule.command
async def change(
    rule: str,
    /,
    *,
    name: str | None = None,
    event: str | None = None,
    recipients: Pairs = None,
    portal: int | None = None,
    condition: str | None = None,
    type: Kind | None = None,  # noqa: A002 - the name of the flag
    title: str | None = None,
    body: str | None = None,
    image: str | None = None,
    data: Pairs = None,
    collapse: str | None = None,
    caller: str | None = None,
    priority: Priority | None = None,
    ttl: int | None = None,
    enabled: Annotated[bool | None, Parameter(negative="--disabled")] = None,
    context: Ctx,
) -> None:
    """Change a rule; what is not given stays.

    Parameters
    ----------
    rule
        Its number or name, from `wakeline bitrix24 rule list`.
    name
        To recognise it by.
    event
        Such as ONCRMDEALUPDATE; * is any event.
    recipients
        Expressions that yield numbers of users of the portal.
    portal
        The number of the connected portal; 0 is every one.
    condition
        An expression; empty: always.
    type
        What kind of push.
    title
        A template.
    body
        A template.
    image
        A template of the https address of a picture.
    data
        What goes with the push, name=template, all of it.
    collapse
        A template; pushes with the same text replace each other on a phone.
    caller
        A template of who rings, for the type call.
    priority
        How urgent it is.
    ttl
        Seconds after which it is of no use.
    enabled
        Whether it is applied.
    """
    given: dict[str, Any] = {
        "name": name,
        "event": event,
        "recipients": None if recipients is None else tuple(recipients),
        "installation": portal,
        "condition": condition,
        "type": type,
        "title": title,
        "body": body,
        "image": image,
        "data": None if data is None else _pairs(data),
        "collapse": collapse,
        "caller": caller,
        "priority": priority,
        "ttl": ttl,
        "enabled": enabled,
    }
    patch = RulePatch(**{field: UNSET if value is None else value for field, value in given.items()})
    async with context.gateway() as gateway:
        kept: RuleView = await gateway.call("bitrix24.rule.change", body=patch, rule=rule)
    context.printer.result(kept, lambda: _drawn(kept))


@rule.command
async def remove(rule: str, /, *, context: Ctx) -> None:
    """Forget a rule.

    Parameters
    ----------
    rule
        Its number or name, from `wakeline bitrix24 rule list`.
    """
    async with context.gateway() as gateway:
        await gateway.call("bitrix24.rule.remove", rule=rule)
    context.printer.result({"removed": rule}, lambda: f"The rule {rule} is forgotten.")


def _pairs(given: list[str] | None) -> dict[str, str]:
    """Return `name=template` pairs. Raises ConfigError (a usage error)."""
    found: dict[str, str] = {}
    for pair in given or ():
        name, equals, template = pair.partition("=")
        if not (name and equals):
            raise ConfigError("--data takes name=template.", fix="Such as --data 'deal={{ record.ID }}'.")
        found[name] = template
    return found


def _row(one: RuleView) -> tuple[object, ...]:
    what = (one.id, one.name, one.event, one.installation or "all", one.condition, one.recipients)
    return (*what, one.type, one.title, one.body, one.enabled)


def _drawn(one: RuleView) -> RenderableType:
    rest = [
        ("image", one.image),
        ("data", [f"{name}={template}" for name, template in one.data.items()]),
        ("collapse", one.collapse),
        ("caller", one.caller),
        ("priority", one.priority.value if one.priority else ""),
        ("ttl", one.ttl),
        ("created", one.created),
    ]
    return facts([*zip(_COLUMNS, _row(one), strict=True), *rest])
