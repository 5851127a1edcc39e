"""One go at the waiting events of an installation: look, fetch, apply, send, settle.

Order, and why: pushes are accepted, then the mirror is kept (a phone that was woken finds it so), then the event is settled.
Whoever dies in between does it all again: a rule that compares with `before` finds it as it was, and what was accepted is known by
its idempotency key (installation, event, rule), so that nothing is sent twice.
What fails for one rule is that rule's; what the portal or the store cannot do now leaves events waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec
import structlog

from wakeline.connectors.bitrix24 import folding, kinds, mirroring
from wakeline.connectors.bitrix24.echoes import Echoes
from wakeline.connectors.bitrix24.fetching import Fetching, Findings, Found
from wakeline.connectors.bitrix24.folding import Plan
from wakeline.connectors.bitrix24.kinds import Change
from wakeline.connectors.bitrix24.mirroring import Mirror
from wakeline.connectors.bitrix24.rules import CompiledRule, Facts, ReadyRules, variables
from wakeline.connectors.bitrix24.sending import Sending, Sent, Verdict
from wakeline.model.bitrix24.inbox import EventState, Origin, ReceivedEvent, Settled
from wakeline.model.bitrix24.installation import Installation
from wakeline.model.bitrix24.records import Fields, RecordKind
from wakeline.model.bitrix24.rule import Rule
from wakeline.model.errors import InvalidRequest, PortalError, PortalUnreachable, WakelineError
from wakeline.model.notification import PushType
from wakeline.ports import Clock
from wakeline.ports.bitrix24_connector import EventInbox, Rules

AT_ONCE = 1_000
"""Events that are looked at in one go."""
CALLER_WAIT = 2.0
"""Seconds that a call waits for what the portal knows of the caller."""
PLANNED, JUDGED = 32, 4
"""Events that are looked at, and to which rules are applied, in one slice: a millisecond."""
RINGS_FOR = 32
"""Seconds after which a call does not ring any more, unless its rule says otherwise."""
LONGEST_PAUSE = 3_600.0
MOST_ATTEMPTS, GIVEN_UP_AFTER = 20, 86_400
"""A record of which the portal answers with a failure of its own is given up after so many attempts and seconds."""
_LONGEST_CAUSE = 500
_NAMELESS = "the portal's users have no names here before its first event or a prefix"

Placed = Callable[[Installation, Mapping[str, object], int], Awaitable[None]]
"""Notes a call that a user began on the portal: the event's data, and when it was raised (Unix ms)."""

_log = structlog.get_logger()


class Went(msgspec.Struct, frozen=True):
    """How a go ended: `settled` events, and the reason why the others have to wait, if they have."""

    settled: int
    trouble: PortalError | None = None


class _Known(msgspec.Struct, frozen=True):
    """What is known when rules are applied."""

    findings: Findings = {}
    before: Mapping[tuple[RecordKind, int], Fields] = {}
    users: Sequence[Fields] = ()


class Drain:
    """Works off events."""

    def __init__(
        self,
        *,
        clock: Clock,
        inbox: EventInbox,
        rules: Rules,
        fetching: Fetching,
        mirror: Mirror,
        sending: Sending,
        placed: Placed,
    ) -> None:
        self._clock = clock
        self._inbox = inbox
        self._rules = ReadyRules(rules)
        self._fetching = fetching
        self._mirror = mirror
        self._sending = sending
        self._placed = placed
        self._echoes = Echoes()

    async def go(self, installation: Installation, *, aside: bool = False) -> Went:
        """Work off some of the events that are due, calls first. Raises StoreUnavailable; events wait then as before.

        `aside`: the portal cannot be asked now, and only calls are worked off.
        """
        events = await self._inbox.waiting(installation.id, now=self._clock.now(), limit=AT_ONCE)
        plans = folding.in_one_go(await self._plans(installation, events))
        if not plans or (aside and not plans[0].is_call):
            return Went(0)
        known, trouble = (_Known(), None) if aside else await self._known(installation, plans)
        later = {one.event.id: why for one in plans if (why := _awaited(one, known, trouble)) is not None}
        settled = [
            each
            for one in plans
            if (why := later.get(one.event.id)) is not None
            for each in self._later(one, why, own=trouble is None)
        ]
        plans = [one for one in plans if one.event.id not in later]
        verdicts = await self._applied(installation, plans, known)
        if installation.mirror:
            await self._reflect([one for one, verdict in zip(plans, verdicts, strict=True) if not verdict.due], known)
        settled += [each for one, verdict in zip(plans, verdicts, strict=True) for each in _settled(one, verdict)]
        await self._inbox.settle(settled)
        return Went(len(settled), trouble)

    async def _plans(self, installation: Installation, events: Sequence[ReceivedEvent]) -> list[Plan]:
        rules = {name: self._rules.of(installation.id, name) for name in {event.event for event in events}}
        plans: list[Plan] = []
        for event in events:
            plans.append(folding.plan(event, *rules[event.event], mirrored=installation.mirror))
            await _let_others_in(len(plans), PLANNED)
        return folding.folded(plans)

    # --- what is known

    async def _known(self, installation: Installation, plans: Sequence[Plan]) -> tuple[_Known, PortalError | None]:
        """Return what is known of the records, and why the portal cannot be asked, if it cannot."""
        before = await self._mirror.known(plans) if installation.mirror else {}
        users: list[Fields] = []
        try:
            async with asyncio.timeout(CALLER_WAIT if plans[0].is_call else None):
                findings = await self._fetching.fetch(installation.id, [each.wish for each in plans if each.wish])
                if installation.mirror:
                    users = await self._fetching.users(installation.id, mirroring.new_users(plans))
        except PortalError as error:
            return _Known(before=before), error
        except TimeoutError:
            _log.info("bitrix24.caller_unknown", installation=installation.id)
            return _Known(before=before), None
        return _Known(findings, before, users), None

    async def _reflect(self, plans: Sequence[Plan], known: _Known) -> None:
        """Have our own portal show what these events tell of."""
        theirs = {(one.wish.record, one.wish.number) for one in plans if one.wish is not None}
        findings = {place: found for place, found in known.findings.items() if place in theirs}
        await self._mirror.keep(plans, findings, known.users)
        await self._mirror.tell(plans)

    def _later(self, one: Plan, trouble: PortalError, *, own: bool) -> list[Settled]:
        """Have an event wait until it is worth asking again, and the earlier ones that it stands for.

        `own`: the portal answers, but for this record. That is tried less and less often, and given up in the end.
        """
        now, attempts = self._clock.now(), one.event.attempts + 1
        growing = min(2.0 ** min(attempts, 12), LONGEST_PAUSE) if own else 0.0
        due = now + round(1000 * max(trouble.retry_after or 0.0, growing))
        is_broken = own and isinstance(trouble, PortalUnreachable) and trouble.doubtful
        is_over = is_broken and attempts > MOST_ATTEMPTS and now - one.event.received > 1000 * GIVEN_UP_AFTER
        state = EventState.FAILED if is_over else EventState.WAITING
        cause = trouble.detail[:_LONGEST_CAUSE]
        return [Settled(id=event.id, state=state, due=due, cause=cause) for event in (*one.folded, one.event)]

    # --- what rules make of it

    async def _applied(self, installation: Installation, plans: Sequence[Plan], known: _Known) -> list[Verdict]:
        verdicts: list[Verdict] = []
        for one in plans:
            verdicts.append(await self._guarded(installation, one, known))
            await _let_others_in(len(verdicts), JUDGED)
        return await self._sending.send(installation, verdicts)

    async def _guarded(self, installation: Installation, one: Plan, known: _Known) -> Verdict:
        """Return what is to be sent for an event; a defect of ours is one event's failure, and not the end of all."""
        try:
            return await self._judged(installation, one, known)
        except WakelineError:
            raise
        except Exception as error:  # noqa: BLE001 - logged; whatever it is, it would come back with each try
            _log.exception("bitrix24.event_failed", installation=installation.id, event_id=one.event.id)
            return Verdict(event=one.event, failures=(f"a defect of the gateway: {type(error).__name__}",))

    async def _judged(self, installation: Installation, one: Plan, known: _Known) -> Verdict:
        """Return what is to be sent for an event."""
        verdict = Verdict(event=one.event, failures=one.broken)
        if one.event.event == kinds.CALL_PLACED:
            await self._placed(installation, one.data, one.event.at)
        if not one.rules:
            return verdict
        found = _found(one, known.findings)
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


async def _let_others_in(count: int, size: int) -> None:
    """Give the loop to others after each slice: a call that comes in now does not wait for a backlog of events."""
    if count % size == 0:
        await asyncio.sleep(0)


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


def _awaited(one: Plan, known: _Known, trouble: PortalError | None) -> PortalError | None:
    """Return why an event has to wait for the portal, if it has; a call waits for nothing."""
    if one.is_call:
        return None
    if trouble is not None:
        return trouble if one.wish is not None or one.event.event == mirroring.USER_ADDED else None
    return _found(one, known.findings).trouble


def _found(one: Plan, findings: Findings) -> Found:
    return Found() if one.wish is None else findings.get((one.wish.record, one.wish.number), Found())


def _settled(one: Plan, verdict: Verdict) -> list[Settled]:
    """Return what became of an event, and of those that it stood for."""
    if verdict.due:
        events = [*one.folded, one.event]
        cause = "; ".join(verdict.failures)[:_LONGEST_CAUSE]
        return [Settled(id=event.id, state=EventState.WAITING, due=verdict.due, cause=cause) for event in events]
    folded_into = f"one with event {one.event.id}, which is later"
    earlier = [Settled(id=event.id, state=EventState.DONE, cause=folded_into) for event in one.folded]
    state = EventState.FAILED if verdict.failures else EventState.DONE
    causes = verdict.failures or (() if verdict.notifications else verdict.causes)
    cause = "; ".join(causes) or ("" if verdict.notifications else "no rule is for it")
    done = Settled(id=one.event.id, state=state, cause=cause[:_LONGEST_CAUSE], notifications=verdict.notifications)
    return [*earlier, done]
