"""What the rules make of one event: requests to be sent, reasons why nothing is, and failures, each of one rule alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec
import structlog

from wakeline.connectors.bitrix24 import folding, kinds
from wakeline.connectors.bitrix24.echoes import Echoes
from wakeline.connectors.bitrix24.fetching import Findings, Found
from wakeline.connectors.bitrix24.folding import Plan
from wakeline.connectors.bitrix24.kinds import Change
from wakeline.connectors.bitrix24.rules import CompiledRule, Facts, variables
from wakeline.connectors.bitrix24.sending import Sent, Verdict
from wakeline.model.bitrix24.inbox import Origin, ReceivedEvent
from wakeline.model.bitrix24.installation import Installation
from wakeline.model.bitrix24.records import Fields, RecordKind
from wakeline.model.bitrix24.rule import Rule
from wakeline.model.errors import InvalidRequest, WakelineError
from wakeline.model.notification import PushType
from wakeline.ports import Clock

RINGS_FOR = 32
"""Seconds after which a call does not ring any more, unless its rule says otherwise."""
_NAMELESS = "the portal's users have no names here before its first event or a prefix"

Placed = Callable[[Installation, Mapping[str, object], int], Awaitable[None]]
"""Notes a call that a user began on the portal: the event's data, and when it was raised (Unix ms)."""

_log = structlog.get_logger()


class Known(msgspec.Struct, frozen=True):
    """What is known when rules are applied."""

    findings: Findings = {}
    before: Mapping[tuple[RecordKind, int], Fields] = {}
    users: Sequence[Fields] = ()


class Judging:
    """Applies rules. `placed` is told of calls that users begin."""

    def __init__(self, clock: Clock, placed: Placed) -> None:
        self._clock = clock
        self._placed = placed
        self._echoes = Echoes()

    async def verdict(self, installation: Installation, one: Plan, known: Known) -> Verdict:
        """Return what is to be sent for an event; a defect of ours is one event's failure, and not the end of all."""
        try:
            return await self._judged(installation, one, known)
        except WakelineError:
            raise
        except Exception as error:  # noqa: BLE001 - logged; whatever it is, it would come back with each try
            _log.exception("bitrix24.event_failed", installation=installation.id, event_id=one.event.id)
            return Verdict(event=one.event, failures=(f"a defect of the gateway: {type(error).__name__}",))

    async def _judged(self, installation: Installation, one: Plan, known: Known) -> Verdict:
        """Return what is to be sent for an event."""
        verdict = Verdict(event=one.event, failures=one.broken)
        if one.event.event == kinds.CALL_PLACED:
            await self._placed(installation, one.data, one.event.at)
        if not one.rules:
            return verdict
        found = found_of(one, known.findings)
        if echoed := self._echoes.of(one, found):
            return msgspec.structs.replace(verdict, causes=(f"nothing has changed since event {echoed}",))
        rules = one.rules
        if (found.refused or found.gone) and not one.is_call:
            # Rules that do not look at the record do not miss it.
            rules = tuple(rule for rule in rules if not folding.looks_at_record(one, rule))
            missed = "" if len(rules) == len(one.rules) else found.refused
            failures = (*one.broken, missed) if missed else one.broken
            verdict = msgspec.structs.replace(verdict, failures=failures, causes=("the record is gone",))
        try:
            said = variables(facts(installation, one, found, known.before))
        except InvalidRequest as error:
            return msgspec.structs.replace(verdict, failures=(*one.broken, error.detail))
        for rule in rules:
            if found.unnamed and "responsible" in rule.uses:
                failures = (*verdict.failures, f"{rule.rule.name}: {found.unnamed}")
                verdict = msgspec.structs.replace(verdict, failures=failures)
            else:
                verdict = self._with(verdict, rule, said, installation, one)
        return verdict

    def _with(
        self, verdict: Verdict, rule: CompiledRule, said: Mapping[str, object], installation: Installation, one: Plan
    ) -> Verdict:
        """Return a verdict with what one more rule makes of the event."""
        name = rule.rule.name
        if self._is_late(rule.rule, one.event):
            return msgspec.structs.replace(verdict, causes=(*verdict.causes, f"{name}: it came too late"))
        try:
            outcome = rule.apply(said, installation, call_id(one.event, one.data))
        except InvalidRequest as error:
            _log.warning("bitrix24.rule_failed", installation=installation.id, event_id=one.event.id, rule=rule.rule.id)
            return msgspec.structs.replace(verdict, failures=(*verdict.failures, f"{name}: {error.detail}"))
        if outcome.request is None:
            return msgspec.structs.replace(verdict, causes=(*verdict.causes, f"{name}: {outcome.cause}"))
        if not installation.names_users:
            return msgspec.structs.replace(verdict, failures=(*verdict.failures, f"{name}: {_NAMELESS}"))
        sent = Sent(rule=rule.rule.id, name=name, request=outcome.request)
        return msgspec.structs.replace(verdict, sent=(*verdict.sent, sent))

    def _is_late(self, rule: Rule, event: ReceivedEvent) -> bool:
        """Tell whether what the rule sends is worth nothing any more: nobody answers a call that rang minutes ago."""
        if event.origin is Origin.RESENT:
            return False
        is_call = rule.type is PushType.CALL
        most = rule.ttl if rule.ttl is not None else RINGS_FOR if is_call else None
        if is_call and event.origin is not Origin.POSTED:
            return True
        return most is not None and self._clock.now() - event.received > 1000 * max(most, RINGS_FOR)


def facts(
    installation: Installation, one: Plan, found: Found, before: Mapping[tuple[RecordKind, int], Fields]
) -> Facts:
    """Return what is known of an event."""
    subject = one.subject
    place = None if subject is None else (subject.kind.record, subject.number)
    record = None if found.record is None else found.record.fields
    was = None if place is None else before.get(place)
    if record is None and subject is not None and subject.change is Change.DELETE:
        # All that is left of it.
        record = was or {"ID": str(subject.number)}
    return Facts(
        event=one.event.event,
        data=one.data,
        installation=installation,
        user=one.event.user,
        kind=None if subject is None or record is None else subject.kind.record,
        record=record,
        before=was,
        responsible=found.responsible,
    )


def call_id(event: ReceivedEvent, data: Mapping[str, object]) -> str:
    """Return the id of the call that a rule rings for: the portal's own, else one of the event's."""
    said = data.get("CALL_ID")
    return said if isinstance(said, str) and said else f"{event.installation}-{event.identity.hex()}"


def found_of(one: Plan, findings: Findings) -> Found:
    """Return what the portal said of the record of an event; nothing if it was not asked."""
    return Found() if one.wish is None else findings.get((one.wish.record, one.wish.number), Found())
