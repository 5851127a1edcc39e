"""A rule: judged when it is made, applied to an event, turned into a notification's request. What a rule may use says the package.

A rule that cannot be worked out raises InvalidRequest, which names the field; one that does not apply is an outcome.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping

import msgspec

from wakeline.connectors.bitrix24 import kinds
from wakeline.connectors.bitrix24.rules import templates
from wakeline.connectors.bitrix24.rules.templates import Compiled
from wakeline.model.bitrix24.installation import Installation
from wakeline.model.bitrix24.rule import Rule
from wakeline.model.errors import InvalidRequest
from wakeline.model.notification import Alert, Audience, Call, NotificationRequest, PushType

MOST_RECIPIENTS = 500
"""Users of one event: as many as a notification takes by name."""
TITLE, BODY, VALUE, URL = 300, 4_000, 1_000, 1_024
"""Characters. A longer title or body is cut, as a phone would; a longer value of anything else is refused."""
_COLLAPSE = 64
"""Bytes of a collapse id, as Apple has it; a longer one is told by its digest."""
_CALL_ID = 128

_EVENT = re.compile(r"\*|[A-Z][A-Z0-9_:\\.]{1,127}")
_TEXTS = ("title", "body", "image", "collapse", "caller")
_SAID: dict[PushType, tuple[str, ...]] = {
    PushType.ALERT: ("title", "body", "image", "collapse"),
    PushType.BACKGROUND: ("collapse",),
    PushType.CALL: ("caller", "collapse"),
}
"""The texts that a push of each type has, of the types that a rule sends."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule makes of an event; without a request the `cause` says why there is none."""

    applies: bool
    cause: str = ""
    users: tuple[str, ...] = ()
    request: NotificationRequest | None = None


class CompiledRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that is ready; `uses` are the variables that it reads."""

    rule: Rule
    texts: dict[str, Compiled]
    data: dict[str, Compiled]
    recipients: tuple[Compiled, ...]
    condition: Compiled | None
    uses: frozenset[str]

    def apply(self, variables: Mapping[str, object], installation: Installation, call_id: str) -> Outcome:
        """Return what the rule makes of an event. Raises InvalidRequest, which names the field."""
        if self.condition is not None and not _worked_out("condition", self.condition, variables):
            return Outcome(applies=False, cause="the condition is not met")
        numbers = self._numbers(variables)
        users = tuple(dict.fromkeys(installation.user(number) for number in numbers))
        if not users:
            return Outcome(applies=True, cause="the recipients are nobody")
        request = self._request(users, variables, call_id)
        nothing = self.rule.type is PushType.ALERT and request.alert is None
        if nothing:
            return Outcome(applies=True, cause="title and body are empty", users=users)
        return Outcome(applies=True, users=users, request=request)

    def _numbers(self, variables: Mapping[str, object]) -> list[int]:
        found: dict[int, None] = {}
        for place, recipients in enumerate(self.recipients):
            value = _worked_out(f"recipients/{place}", recipients, variables)
            found |= dict.fromkeys(_users_in(value, place))
        if len(found) > MOST_RECIPIENTS:
            raise _wrong("recipients", f"{len(found)} users, and {MOST_RECIPIENTS} are the most")
        return list(found)

    def _request(self, users: tuple[str, ...], variables: Mapping[str, object], call_id: str) -> NotificationRequest:
        rule = self.rule
        said = {name: self._text(name, variables) for name in self.texts}
        data = {name: _whole(f"data/{name}", text, variables, VALUE) for name, text in self.data.items()}
        request = NotificationRequest(
            to=Audience(users=users),
            type=rule.type,
            data=data,
            priority=rule.priority,
            ttl=rule.ttl,
            collapse_id=_collapse(said["collapse"]),
        )
        match rule.type:
            case PushType.CALL:
                call = Call(id=call_id[:_CALL_ID], caller=said["caller"])
                return msgspec.structs.replace(request, call=call)
            case PushType.BACKGROUND:
                return request
            case _:
                is_empty = not said["title"] and not said["body"]
                alert = None if is_empty else Alert(title=said["title"], body=said["body"], image=said["image"])
                return msgspec.structs.replace(request, alert=alert, truncate=True)

    def _text(self, name: str, variables: Mapping[str, object]) -> str:
        text = self.texts[name]
        match name:
            case "title" | "caller":
                return _cut(name, text, variables, TITLE)
            case "body":
                return _cut(name, text, variables, BODY)
            case "image":
                return _whole(name, text, variables, URL)
            case _:
                return _whole(name, text, variables, VALUE)


def compiled(rule: Rule) -> CompiledRule:
    """Return a rule that is ready. Raises InvalidRequest, which names the field, the cause and the place."""
    _check(rule)
    condition = None
    if rule.condition.strip():
        condition = _judged("condition", templates.expression, rule.condition)
    recipients = tuple(
        _judged(f"recipients/{place}", templates.expression, source) for place, source in enumerate(rule.recipients)
    )
    judged = {name: _judged(name, templates.template, getattr(rule, name)) for name in _TEXTS}
    texts = {name: judged[name] for name in _SAID[rule.type]}
    data = {name: _judged(f"data/{name}", templates.template, source) for name, source in rule.data.items()}
    everything = (*recipients, *texts.values(), *data.values(), *([condition] if condition else []))
    uses = frozenset[str]().union(*(one.uses for one in everything))
    return CompiledRule(rule=rule, texts=texts, data=data, recipients=recipients, condition=condition, uses=uses)


def _check(rule: Rule) -> None:
    """Judge what is no template."""
    if _EVENT.fullmatch(rule.event) is None:
        raise _wrong("event", "a name such as ONCRMDEALUPDATE, or * for any", fix="Write the event's name in capitals.")
    if not rule.recipients:
        raise _wrong("recipients", "nobody is to be told", fix="Say who, such as record.ASSIGNED_BY_ID.")
    if rule.type not in _SAID:
        raise _wrong("type", f"a rule sends {', '.join(sorted(_SAID))}")
    if rule.type is PushType.ALERT and not rule.title.strip() and not rule.body.strip():
        raise _wrong("title", "an alert needs a title or a body")
    if rule.type is PushType.CALL and not rule.caller.strip():
        raise _wrong("caller", "a call needs a caller", fix="Say who calls, such as {{ call.PHONE_NUMBER }}.")


def _judged(field: str, compile_: templates.Compile, source: str) -> Compiled:
    try:
        return compile_(source)
    except InvalidRequest as error:
        raise _wrong(field, error.detail, fix=error.fix) from error


def _worked_out(field: str, expression: Compiled, variables: Mapping[str, object]) -> object:
    try:
        return expression.value(variables)
    except InvalidRequest as error:
        raise _wrong(field, error.detail, fix=error.fix) from error


def _cut(field: str, text: Compiled, variables: Mapping[str, object], most: int) -> str:
    try:
        return text.text(variables, most)
    except InvalidRequest as error:
        raise _wrong(field, error.detail, fix=error.fix) from error


def _whole(field: str, text: Compiled, variables: Mapping[str, object], most: int) -> str:
    said = _cut(field, text, variables, most + 1)
    if len(said) > most:
        raise _wrong(field, f"more than {most} characters")
    return said


def _wrong(field: str, why: str, *, fix: str = "") -> InvalidRequest:
    return InvalidRequest(f"{field}: {why}", pointer=f"/{field}", fix=fix)


def _users_in(value: object, place: int) -> Iterator[int]:
    """Yield the numbers that an expression yields: one, a list, a user or a list of them; nobody for none, empty and 0."""
    match value:
        case None | "" | "0" | 0 | False:
            return
        case Mapping():
            yield from _users_in(value.get("ID", value.get("id")), place)
        case list() | tuple():
            for one in value:
                yield from _users_in(one, place)
        case _:
            number = int(value) if isinstance(value, float) and value.is_integer() else kinds.number_of(value)
            if number <= 0:
                raise _wrong(f"recipients/{place}", f"{value!s:.60} is no number of a user")
            yield number


def _collapse(said: str) -> str:
    encoded = said.encode()
    return said if len(encoded) <= _COLLAPSE else hashlib.sha256(encoded).hexdigest()
