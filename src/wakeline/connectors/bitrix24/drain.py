"""One go at the waiting events of an installation: look, fetch, apply, send, settle.

Order, and why: pushes are accepted, then the mirror is kept (a phone that was woken finds it so), then the event is settled.
Whoever dies in between does it all again: a rule that compares with `before` finds it as it was, and what was accepted is known by
its idempotency key (installation, event, rule), so that nothing is sent twice.
What fails for one rule is that rule's; what the portal or the store cannot do now leaves events waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import structlog

from wakeline.connectors.bitrix24 import folding, mirroring
from wakeline.connectors.bitrix24.fetching import Fetching
from wakeline.connectors.bitrix24.folding import Plan
from wakeline.connectors.bitrix24.judging import Judging, Known, Placed, found_of
from wakeline.connectors.bitrix24.mirroring import Mirror
from wakeline.connectors.bitrix24.rules import ReadyRules
from wakeline.connectors.bitrix24.sending import Sending, Verdict
from wakeline.model.bitrix24.inbox import EventState, ReceivedEvent, Settled
from wakeline.model.bitrix24.installation import Installation
from wakeline.model.bitrix24.records import Fields
from wakeline.model.errors import PortalError, PortalUnreachable
from wakeline.ports import Clock
from wakeline.ports.bitrix24_connector import EventInbox, Installations, Rules

AT_ONCE = 1_000
"""Events that are looked at in one go."""
CALLER_WAIT = 2.0
"""Seconds that a call waits for what the portal knows of the caller."""
PLANNED, JUDGED = 32, 4
"""Events that are looked at, and to which rules are applied, in one slice: a millisecond."""
LONGEST_PAUSE = 3_600.0
MOST_ATTEMPTS, GIVEN_UP_AFTER = 20, 86_400
"""A record of which the portal answers with a failure of its own is given up after so many attempts and seconds."""
_LONGEST_CAUSE = 500

_log = structlog.get_logger()


class Went(msgspec.Struct, frozen=True):
    """How a go ended: `settled` events, and the reason why the others have to wait, if they have."""

    settled: int
    trouble: PortalError | None = None


class Drain:
    """Works off events."""

    def __init__(
        self,
        *,
        clock: Clock,
        installations: Installations,
        inbox: EventInbox,
        rules: Rules,
        fetching: Fetching,
        mirror: Mirror,
        sending: Sending,
        placed: Placed,
    ) -> None:
        self._clock = clock
        self._installations = installations
        self._inbox = inbox
        self._rules = ReadyRules(rules)
        self._fetching = fetching
        self._mirror = mirror
        self._sending = sending
        self._judging = Judging(clock, placed)

    async def go(self, installation: Installation, *, aside: bool = False) -> Went:
        """Work off some of the events that are due, calls first. Raises StoreUnavailable; events wait then as before.

        `aside`: the portal cannot be asked now, and only calls are worked off.
        """
        events = await self._inbox.waiting(installation.id, now=self._clock.now(), limit=AT_ONCE)
        plans = folding.in_one_go(await self._plans(installation, events))
        if not plans or (aside and not plans[0].is_call):
            return Went(0)
        known, trouble = (Known(), None) if aside else await self._known(installation, plans)
        latest = self._installations.by_id(installation.id)
        if latest is None:
            return Went(0)
        # The portal may have taken a minute for its answer.
        installation = latest
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

    async def _known(self, installation: Installation, plans: Sequence[Plan]) -> tuple[Known, PortalError | None]:
        """Return what is known of the records, and why the portal cannot be asked, if it cannot."""
        before = await self._mirror.known(plans) if installation.mirror else {}
        users: list[Fields] = []
        try:
            async with asyncio.timeout(CALLER_WAIT if plans[0].is_call else None):
                findings = await self._fetching.fetch(installation.id, [each.wish for each in plans if each.wish])
                if installation.mirror:
                    users = await self._fetching.users(installation.id, mirroring.new_users(plans))
        except PortalError as error:
            return Known(before=before), error
        except TimeoutError:
            _log.info("bitrix24.caller_unknown", installation=installation.id)
            return Known(before=before), None
        return Known(findings, before, users), None

    async def _reflect(self, plans: Sequence[Plan], known: Known) -> None:
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

    async def _applied(self, installation: Installation, plans: Sequence[Plan], known: Known) -> list[Verdict]:
        verdicts: list[Verdict] = []
        for one in plans:
            verdicts.append(await self._judging.verdict(installation, one, known))
            await _let_others_in(len(verdicts), JUDGED)
        return await self._sending.send(installation, verdicts)


async def _let_others_in(count: int, size: int) -> None:
    """Give the loop to others after each slice: a call that comes in now does not wait for a backlog of events."""
    if count % size == 0:
        await asyncio.sleep(0)


def _awaited(one: Plan, known: Known, trouble: PortalError | None) -> PortalError | None:
    """Return why an event has to wait for the portal, if it has; a call waits for nothing."""
    if one.is_call:
        return None
    if trouble is not None:
        return trouble if one.wish is not None or one.event.event == mirroring.USER_ADDED else None
    return found_of(one, known.findings).trouble


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
