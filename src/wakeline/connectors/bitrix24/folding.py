"""From waiting events to what is to be done about them, in one go. Pure.

Coalescing: of several waiting updates of one record only the last is worked off, since all of them would show the record as it is
now; what an operator wants once more stays by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from wakeline.connectors.bitrix24 import kinds
from wakeline.connectors.bitrix24.fetching import Wish
from wakeline.connectors.bitrix24.kinds import Change, Subject
from wakeline.connectors.bitrix24.rules import CompiledRule
from wakeline.model.bitrix24.inbox import Origin, ReceivedEvent
from wakeline.model.bitrix24.records import RecordKind
from wakeline.wire.bitrix24.commands import LONGEST


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One event with the rules for it. `folded`: earlier events that it stands for; `wish`: what is to be fetched first."""

    event: ReceivedEvent
    data: dict[str, object]
    rules: tuple[CompiledRule, ...]
    broken: tuple[str, ...] = ()
    subject: Subject | None = None
    wish: Wish | None = None
    folded: tuple[ReceivedEvent, ...] = ()

    @property
    def is_call(self) -> bool:
        """Tell whether it is about a call, which does not wait for what is not known of the caller."""
        return self.event.event in kinds.CALL_EVENTS


def plan(event: ReceivedEvent, rules: Sequence[CompiledRule], broken: Sequence[str], *, mirrored: bool) -> Plan:
    """Return what is to be done about an event; `broken` are causes for which rules cannot be applied."""
    data = data_of(event)
    subject = kinds.caller(data) if event.event in kinds.CALL_EVENTS else kinds.subject(event.event, data)
    return Plan(
        event=event,
        data=data,
        rules=tuple(rules),
        broken=tuple(broken),
        subject=subject,
        wish=None if subject is None else _wish(subject, rules, mirrored=mirrored),
    )


def data_of(event: ReceivedEvent) -> dict[str, object]:
    """Return the data of an event; what is no map is none."""
    try:
        return msgspec.json.decode(event.data or b"{}", type=dict[str, object])
    except (msgspec.DecodeError, RecursionError):
        return {}


def _wish(subject: Subject, rules: Sequence[CompiledRule], *, mirrored: bool) -> Wish | None:
    """Return what rules want to know; nothing of a record that is deleted."""
    if subject.change is Change.DELETE:
        return None
    if not mirrored and not any(_looks_at(subject, rule) for rule in rules):
        return None
    return Wish(subject.kind.record, subject.number, any("responsible" in rule.uses for rule in rules))


def looks_at_record(one: Plan, rule: CompiledRule) -> bool:
    """Tell whether a rule reads the record that an event is about, or who is responsible for it."""
    return one.subject is not None and _looks_at(one.subject, rule)


def _looks_at(subject: Subject, rule: CompiledRule) -> bool:
    return not rule.uses.isdisjoint({"record", "responsible", subject.kind.alias})


def folded(plans: Sequence[Plan]) -> list[Plan]:
    """Return plans with each record's updates in the last of them, in the order of the events that are left."""
    found: list[Plan] = []
    places: dict[tuple[str, int], int] = {}
    earlier: dict[int, list[ReceivedEvent]] = {}
    for one in reversed(plans):
        key = _same(one)
        place = None if key is None else places.get(key)
        if place is not None:
            earlier.setdefault(place, []).append(one.event)
            continue
        if key is not None:
            places[key] = len(found)
        found.append(one)
    for place, events in earlier.items():
        found[place] = msgspec.structs.replace(found[place], folded=tuple(reversed(events)))
    return found[::-1]


def _same(one: Plan) -> tuple[str, int] | None:
    """Return what updates of one record have in common; None: it is no update, or it is wanted by itself."""
    if one.subject is None or one.subject.change is not Change.UPDATE or one.is_call:
        return None
    return None if one.event.origin is Origin.RESENT else (one.event.event, one.subject.number)


def in_one_go(plans: Sequence[Plan]) -> list[Plan]:
    """Return what is worked off together: calls, if there are any, else as many of the first as are fetched for at once."""
    if calls := [one for one in plans if one.is_call]:
        return calls[: LONGEST // 2]
    wanted: set[tuple[RecordKind, int]] = set()
    for count, one in enumerate(plans):
        if one.wish is not None:
            wanted.add((one.wish.record, one.wish.number))
            if len(wanted) > LONGEST:
                return list(plans[:count])
    return list(plans)
