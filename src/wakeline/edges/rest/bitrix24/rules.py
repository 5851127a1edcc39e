"""Rules: which event of a connected portal becomes which push. A rule is judged whole before it is kept."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from wakeline.edges.rest.moments import moment
from wakeline.edges.rest.operations import Answer, Call, Idempotent, Operation, Reach
from wakeline.edges.rest.shapes import PRINTABLE, Strict, View
from wakeline.model.bitrix24.rule import Rule
from wakeline.model.errors import Conflict, InvalidRequest, NotFound
from wakeline.model.key import Scope
from wakeline.model.notification import Priority, PushType

_MAX_TTL = 28 * 86_400

RuleName = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=PRINTABLE)]
EventPattern = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(\*|[A-Za-z][A-Za-z0-9_:.]{0,99})(?!\n)$", description="such as ONCRMDEALUPDATE; `*`: any event"
    ),
]
Text = Annotated[str, msgspec.Meta(max_length=10_000)]
Expression = Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]
Recipients = Annotated[tuple[Expression, ...], msgspec.Meta(min_length=1, max_length=50)]
Data = Annotated[dict[Annotated[str, msgspec.Meta(min_length=1, max_length=100)], Text], msgspec.Meta(max_length=100)]
Kind = Literal["alert", "background", "call"]
"""Push types that a rule can make; the others need what no event has."""
Seconds = Annotated[int, msgspec.Meta(ge=0, le=_MAX_TTL)]


class RuleBody(Strict, frozen=True, kw_only=True):
    """A rule. Texts are Jinja templates; `condition` and each of `recipients` Jinja expressions.

    `recipients` yield numbers of users of the portal (`record.ASSIGNED_BY_ID`, `7`). `installation` 0: of every connected portal.
    `collapse`: pushes with the same text replace each other. `caller`: who rings, for the type `call`. `ttl` in seconds.
    """

    name: RuleName
    event: EventPattern
    recipients: Recipients
    installation: Annotated[int, msgspec.Meta(ge=0)] = 0
    condition: Annotated[str, msgspec.Meta(max_length=2_000)] = ""
    type: Kind = "alert"
    title: Text = ""
    body: Text = ""
    image: Text = ""
    data: Data = msgspec.field(default_factory=dict)
    collapse: Text = ""
    caller: Text = ""
    priority: Priority | None = None
    ttl: Seconds | None = None
    enabled: bool = True


class RulePatch(Strict, frozen=True, kw_only=True):
    """What to change of a rule; what is absent stays."""

    name: RuleName | UnsetType = UNSET
    event: EventPattern | UnsetType = UNSET
    recipients: Recipients | UnsetType = UNSET
    installation: Annotated[int, msgspec.Meta(ge=0)] | UnsetType = UNSET
    condition: Annotated[str, msgspec.Meta(max_length=2_000)] | UnsetType = UNSET
    type: Kind | UnsetType = UNSET
    title: Text | UnsetType = UNSET
    body: Text | UnsetType = UNSET
    image: Text | UnsetType = UNSET
    data: Data | UnsetType = UNSET
    collapse: Text | UnsetType = UNSET
    caller: Text | UnsetType = UNSET
    priority: Priority | UnsetType | None = UNSET
    ttl: Seconds | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET


class RuleView(View, frozen=True, kw_only=True):
    """A rule as it is kept."""

    id: int
    name: str
    event: str
    recipients: tuple[str, ...]
    installation: int
    condition: str
    type: str
    title: str
    body: str
    image: str
    data: dict[str, str]
    collapse: str
    caller: str
    priority: Priority | None
    ttl: int | None
    enabled: bool
    created: datetime


class RuleList(View, frozen=True, kw_only=True):
    """All rules, oldest first."""

    rules: tuple[RuleView, ...]


def view(rule: Rule) -> RuleView:
    """Return a rule as the world sees it."""
    facts = {name: getattr(rule, name) for name in RuleView.__struct_fields__ if name not in ("type", "created")}
    return RuleView(**facts, type=rule.type.value, created=moment(rule.created))


def found(call: Call, wanted: str) -> Rule:
    """Return the rule with this number or name. Raises NotFound."""
    known = call.ports.connected.rules
    by_number = known.by_id(int(wanted)) if wanted.isascii() and wanted.isdigit() and len(wanted) < 18 else None
    rule = by_number or next((one for one in known.all() if one.name == wanted), None)
    if rule is None:
        raise NotFound(f"there is no rule {wanted[:64]!r}", fix="`GET /v1/bitrix24/rules` lists them.")
    return rule


def made(call: Call, body: RuleBody) -> Rule:
    """Return the rule that a body describes, judged. Raises InvalidRequest that names the field and the cause."""
    return judged(call, Rule(id=0, created=call.now, **(_facts(body))))


def judged(call: Call, rule: Rule) -> Rule:
    """Return a rule that can work. Raises InvalidRequest that names the field and the cause."""
    if rule.installation and call.ports.connected.installations.by_id(rule.installation) is None:
        raise InvalidRequest(
            f"there is no connected portal {rule.installation}",
            pointer="/installation",
            fix="`GET /v1/bitrix24/installations` lists them; 0 stands for all.",
        )
    call.ports.connected.portals.check(rule)
    return rule


async def add(call: Call) -> Answer:
    """Keep a rule; events that come from now on are judged by it."""
    rule = await call.ports.connected.rules.create(made(call, call.body))
    call.ports.connected.portals.rules_changed()
    return Answer(status=201, body=view(rule))


async def list_all(call: Call) -> Answer:
    """List the rules."""
    return Answer(body=RuleList(rules=tuple(view(rule) for rule in call.ports.connected.rules.all())))


async def show(call: Call) -> Answer:
    """Show a rule."""
    return Answer(body=view(found(call, call.path["rule"])))


async def change(call: Call) -> Answer:
    """Change a rule."""
    rule = found(call, call.path["rule"])
    changed = judged(call, msgspec.structs.replace(rule, **_facts(call.body)))
    await call.ports.connected.rules.change(changed)
    call.ports.connected.portals.rules_changed()
    return Answer(body=view(changed))


async def remove(call: Call) -> Answer:
    """Forget a rule."""
    await call.ports.connected.rules.delete(found(call, call.path["rule"]).id)
    call.ports.connected.portals.rules_changed()
    return Answer(status=204)


def _facts(body: RuleBody | RulePatch) -> dict[str, Any]:
    """Return what a body says as fields of a rule."""
    given = {name: getattr(body, name) for name in body.__struct_fields__ if getattr(body, name) is not UNSET}
    if "type" in given:
        given["type"] = PushType(given["type"])
    if "event" in given:
        given["event"] = given["event"].upper()
    return given


_ONE = "/v1/bitrix24/rules/{rule}"

OPERATIONS = (
    Operation(
        name="bitrix24.rule.add",
        method="POST",
        path="/v1/bitrix24/rules",
        handler=add,
        summary="Keep a rule that makes pushes of events of connected Bitrix24 portals",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        request=RuleBody,
        response=RuleView,
        status=(201,),
        idempotent=Idempotent.STORED,
        problems=(NotFound,),
    ),
    Operation(
        name="bitrix24.rule.list",
        method="GET",
        path="/v1/bitrix24/rules",
        handler=list_all,
        summary="List the rules for events of connected Bitrix24 portals",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        response=RuleList,
    ),
    Operation(
        name="bitrix24.rule.show",
        method="GET",
        path=_ONE,
        handler=show,
        summary="Show a rule for events of connected Bitrix24 portals",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        response=RuleView,
    ),
    Operation(
        name="bitrix24.rule.change",
        method="PATCH",
        path=_ONE,
        handler=change,
        summary="Change a rule for events of connected Bitrix24 portals",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        request=RulePatch,
        response=RuleView,
        problems=(Conflict,),
    ),
    Operation(
        name="bitrix24.rule.remove",
        method="DELETE",
        path=_ONE,
        handler=remove,
        summary="Forget a rule for events of connected Bitrix24 portals",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        status=(204,),
    ),
)
