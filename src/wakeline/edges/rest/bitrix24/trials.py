"""Trying a rule: what it would make of an event, with what the portal says of the record now. Nothing is sent."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from wakeline.edges.rest.bitrix24 import connected, rules
from wakeline.edges.rest.bitrix24.received import EventName
from wakeline.edges.rest.bitrix24.rules import RuleBody
from wakeline.edges.rest.operations import Answer, Call, Idempotent, Operation, Reach
from wakeline.edges.rest.shapes import Strict, View
from wakeline.model.bitrix24.inbox import ReceivedEvent, identity_of, subject_of
from wakeline.model.bitrix24.rule import Rule
from wakeline.model.errors import InvalidRequest, NotFound, PortalError, PortalUnreachable
from wakeline.model.key import Scope
from wakeline.model.notification import NotificationRequest
from wakeline.wire.bitrix24 import event_data

Number = Annotated[int, msgspec.Meta(ge=1)]
UserNumber = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


class Trial(Strict, frozen=True, kw_only=True):
    """A rule, kept (`id`) or not (`rule`), and an event: a recorded one (`event_id`), or `event` with `data` or `record`.

    `event` absent: the rule's own. `record`: the number of the record that it is about, in place of `data`. `user`: who caused it.
    `installation`: at which connected portal; may be left out if the rule or the recorded event says so, or there is only one.
    """

    id: Number | None = None
    rule: RuleBody | None = None
    event_id: Number | None = None
    event: EventName | None = None
    data: dict[str, Any] | None = None
    record: Number | None = None
    user: UserNumber = 0
    installation: Number | None = None


class TrialView(View, frozen=True, kw_only=True):
    """What would happen. `applies` false, or no `notification`: nothing, for the reason in `cause`. `users` are ours.

    `record` is what the portal says of it now.
    """

    applies: bool
    cause: str
    users: tuple[str, ...]
    notification: NotificationRequest | None
    record: dict[str, Any] | None


async def attempt(call: Call) -> Answer:
    """Try a rule."""
    trial: Trial = call.body
    rule = _rule(call, trial)
    event = await _recorded(call, trial) if trial.event_id is not None else _imagined(call, trial, rule)
    found = await call.ports.connected.portals.attempt(rule, event)
    shown = TrialView(
        applies=found.applies,
        cause=found.cause,
        users=found.users,
        notification=found.request,
        record=found.record,
    )
    return Answer(body=shown)


def _rule(call: Call, trial: Trial) -> Rule:
    if (trial.rule is None) is (trial.id is None):
        raise InvalidRequest(
            "one of `rule` and `id` says which rule is tried", pointer="/rule", fix="Give one of them."
        )
    if trial.rule is None:
        return rules.found(call, str(trial.id))
    try:
        return rules.made(call, trial.rule)
    except InvalidRequest as error:
        raise InvalidRequest(error.detail, pointer=f"/rule{error.pointer}", fix=error.fix) from None


async def _recorded(call: Call, trial: Trial) -> ReceivedEvent:
    for name in ("event", "data", "record", "user", "installation"):
        if getattr(trial, name):
            raise InvalidRequest(
                f"a recorded event says by itself what `{name}` is", pointer=f"/{name}", fix="Leave it out."
            )
    event = await call.ports.connected.inbox.by_id(trial.event_id or 0)
    if event is None:
        raise InvalidRequest(
            f"there is no recorded event {trial.event_id}",
            pointer="/event_id",
            fix="`GET /v1/bitrix24/installations/{installation}/events` lists them; old ones are forgotten.",
        )
    return event


def _imagined(call: Call, trial: Trial, rule: Rule) -> ReceivedEvent:
    name = (trial.event or rule.event).upper()
    if name == connected.ANY_EVENT:
        raise InvalidRequest(
            "the rule is for any event", pointer="/event", fix="Say which is tried, such as ONCRMDEALUPDATE."
        )
    said = _data(trial, name)
    data = event_data.canonical(said)
    subject = subject_of(name, data)
    return ReceivedEvent(
        id=0,
        installation=_installation(call, trial, rule),
        event=name,
        data=data,
        at=call.now,
        received=call.now,
        identity=identity_of(subject, call.now),
        subject=subject,
        record=event_data.record_of(name, said),
        user=trial.user,
    )


def _data(trial: Trial, event: str) -> dict[str, Any]:
    """Return the data of an event as a portal has it; of a task it says what was before and after."""
    if trial.data is not None and trial.record is not None:
        raise InvalidRequest("`record` stands in place of `data`", pointer="/record", fix="Give one of them.")
    if trial.record is None:
        return trial.data or {}
    return {"FIELDS_AFTER" if event.startswith("ONTASK") else "FIELDS": {"ID": str(trial.record)}}


def _installation(call: Call, trial: Trial, rule: Rule) -> int:
    known = call.ports.connected.installations
    number = trial.installation or rule.installation
    if number and known.by_id(number) is not None:
        return number
    if number:
        raise InvalidRequest(
            f"there is no connected portal {number}",
            pointer="/installation",
            fix="`GET /v1/bitrix24/installations` lists them.",
        )
    match known.all():
        case [only]:
            return only.id
        case []:
            cause, fix = "no portal is connected", "Connect one: `wakeline bitrix24 portal connect`."
        case _:
            cause, fix = "several portals are connected", "Say at which the event happens."
    raise InvalidRequest(cause, pointer="/installation", fix=fix)


OPERATIONS = (
    Operation(
        name="bitrix24.rule.try",
        method="POST",
        path="/v1/bitrix24/rules/try",
        handler=attempt,
        summary="Try a rule on an event of a connected Bitrix24 portal; nothing is sent",
        reach=Reach.INSTALLATION,
        scopes=(Scope.ADMIN,),
        request=Trial,
        response=TrialView,
        idempotent=Idempotent.STORED,
        problems=(NotFound, PortalError, PortalUnreachable),
    ),
)
