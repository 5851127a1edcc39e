"""Watching over routes: the breaker, the brake, credentials that fail and come back.

Rule: a hold counts in memory at once, so that nothing more goes out; the store hears of it with the next flush.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import structlog

from wakeline.model.credential import Credential, CredentialState
from wakeline.model.event import EventType
from wakeline.model.outcome import Action, Outcome, OutcomeClass
from wakeline.model.route import Hold, HoldReason, ProviderKind
from wakeline.pipeline import report
from wakeline.pipeline.canary import Canary
from wakeline.pipeline.episode import Episodes
from wakeline.pipeline.parts import Parts
from wakeline.pipeline.route import CHECK_EVERY, RouteTable
from wakeline.pipeline.settle import Settle
from wakeline.pipeline.way import Way, hold_of, identity
from wakeline.wire.outcomes import Refusal, ours

_log = structlog.get_logger()


class Watch:
    """Holds and releases routes."""

    def __init__(self, parts: Parts, table: RouteTable, settle: Settle, canary: Canary) -> None:
        self._parts = parts
        self._table = table
        self._settle = settle
        self._canary = canary
        self._proving: set[tuple[int, int]] = set()
        self.episodes = Episodes(parts, settle)

    def breathing(self, way: Way, accepted: Sequence[int], others: Iterable[tuple[int, Outcome]]) -> None:
        """Tell the breaker whether the provider answers."""
        failures, last = 0, None
        answered = bool(accepted)
        for _, outcome in others:
            if outcome.outcome_class in (OutcomeClass.TRANSIENT, OutcomeClass.UNKNOWN):
                if outcome.action is not Action.REPLAY:
                    failures, last = failures + 1, outcome
            else:
                answered = True
        if answered:
            if way.breaker.answered() and way.hold is not None and way.hold.reason is HoldReason.BREAKER:
                self._release(way)
        elif last is not None and way.breaker.failed(failures, self._parts.clock.monotonic()) and way.hold is None:
            said = f"{last.status} {last.reason}".strip() if last.status else last.cause.rstrip(".")
            outcome = ours(Refusal.BREAKER, detail=f"The last of it: {said}.")
            self._hold(way, hold_of(HoldReason.BREAKER, outcome, self._parts.clock.now()))

    def brake(self, way: Way, outcome: Outcome) -> None:
        """Hold a route of which too many tokens look dead, and call the operator."""
        now = self._parts.clock.now()
        self._hold(way, hold_of(HoldReason.BRAKE, ours(Refusal.BRAKE, detail=f"They said {outcome.reason}."), now))
        app = self._parts.apps.by_id(way.route.app)
        event = report.brake_event(
            EventType.BRAKE_CLOSED, way.route, app, at=now, note=report.braking(way.brake.findings(now))
        )
        self._settle.chore(self._parts.events.append([event]))
        self.episodes.closed(way.route, way.brake)

    def credential_failed(self, way: Way, outcome: Outcome) -> None:
        """Hold what this credential serves; other routes and apps do not notice (promise 3)."""
        credential = way.credential
        if credential is None or (way.hold is not None and way.hold.reason is HoldReason.CREDENTIAL):
            return
        now = self._parts.clock.now()
        if credential.provider is ProviderKind.WEBPUSH:
            self._refused_by_origin(way, credential, outcome, now)
            return
        # A key may be scoped to one environment: the other one goes on.
        scoped = outcome.code == 905
        for other in self._table.ways():
            same = identity(other.credential) == identity(credential)
            if same and (not scoped or other.route.environment is way.route.environment):
                # Apple: after revoking a key or certificate, close all connections that were made with it.
                self._table.retire_sender(other)
                other.check_at = self._parts.clock.monotonic() + max(CHECK_EVERY, outcome.retry_after or 0.0)
                if other.hold is None or other.hold.reason is HoldReason.BREAKER:
                    self._hold(other, hold_of(HoldReason.CREDENTIAL, outcome, now))
        if not scoped:
            self._settle.chore(self._set_state(credential, CredentialState.FAILED, note_of(outcome)))
        app = self._parts.apps.by_id(credential.app)
        event = report.credential_event(EventType.CREDENTIAL_FAILED, credential, app, at=now, outcome=outcome)
        self._settle.chore(self._parts.events.append([event]))

    def _refused_by_origin(self, way: Way, credential: Credential, outcome: Outcome, now: int) -> None:
        """Hold one route to a push service of Web Push: phones choose these, so none may speak for the key everywhere."""
        way.check_at = self._parts.clock.monotonic() + max(CHECK_EVERY, outcome.retry_after or 0.0)
        if way.hold is None or way.hold.reason is HoldReason.BREAKER:
            self._hold(way, hold_of(HoldReason.CREDENTIAL, outcome, now))
        app = self._parts.apps.by_id(credential.app)
        event = report.credential_event(EventType.CREDENTIAL_FAILED, credential, app, at=now, outcome=outcome)
        self._settle.chore(self._parts.events.append([event]))

    def proven(self, way: Way) -> None:
        """Remember that the provider took this credential."""
        credential = way.credential
        known = identity(credential)
        if credential is None or known is None or credential.state is CredentialState.WORKING or known in self._proving:
            return
        self._proving.add(known)
        self._settle.chore(self._set_state(credential, CredentialState.WORKING, ""))

    def refresh(self) -> None:
        """Follow changes of credentials: a new, replaced or working one releases what the old one held."""
        apps = self._table.take_changed()
        if not apps:
            return
        recovered: dict[int, Credential] = {}
        for way, before in self._table.refresh(apps):
            after = way.credential
            held = way.hold is not None and way.hold.reason is HoldReason.CREDENTIAL
            if after is None:
                self._strand(way)
                continue
            swapped = identity(before) != identity(after)
            if after.state is CredentialState.FAILED and not held and way.hold is None:
                outcome = ours(Refusal.CREDENTIAL_ERROR, detail=after.state_note)
                self._hold(way, hold_of(HoldReason.CREDENTIAL, outcome, self._parts.clock.now()))
            elif held and after.state is not CredentialState.FAILED and (swapped or _was_failed(before)):
                self._release(way)
                recovered[after.id] = after
        for credential in recovered.values():
            self._settle.chore(self.tell_recovered(credential))
        self._canary.review(apps)

    def _strand(self, way: Way) -> None:
        """Hold a route that has lost all credentials but one for the other environment."""
        hold = self._table.barrier(way)
        if way.hold is None and hold is not None and self._table.stranded(way) is not None:
            self._hold(way, hold)

    async def release(self, way: Way) -> None:
        """Release a route as its operator asks: what held it is forgotten."""
        hold, now = way.hold, self._parts.clock.now()
        if hold is None:
            return
        way.brake.forget()
        way.breaker.answered()
        await self._table.put_hold(way, None)
        await self.episodes.released(way.route.id)
        app = self._parts.apps.by_id(way.route.app)
        if hold.reason is HoldReason.BRAKE:
            event = report.brake_event(EventType.BRAKE_RELEASED, way.route, app, at=now)
            await self._parts.events.append([event])
        if way.credential is not None and way.credential.state is CredentialState.FAILED:
            await self._set_state(way.credential, CredentialState.UNPROVEN, "")

    async def _set_state(self, credential: Credential, state: CredentialState, note: str) -> None:
        known = self._parts.credentials.get(credential.id)
        try:
            if known is not None and known.revision == credential.revision:
                await self._parts.credentials.set_state(credential.id, state, note)
        finally:
            self._proving.discard((credential.id, credential.revision))

    async def tell_recovered(self, credential: Credential) -> None:
        """Tell that a credential which had failed works."""
        app, now = self._parts.apps.by_id(credential.app), self._parts.clock.now()
        event = report.credential_event(EventType.CREDENTIAL_RECOVERED, credential, app, at=now)
        await self._parts.events.append([event])

    def _hold(self, way: Way, hold: Hold) -> None:
        _log.warning("route.held", route=way.route.id, reason=hold.reason.value, code=hold.code, cause=hold.cause)
        way.hold = hold
        self._settle.chore(self._written(way))

    def _release(self, way: Way) -> None:
        _log.info("route.released", route=way.route.id)
        way.hold = None
        self._settle.chore(self._written(way))

    async def _written(self, way: Way) -> None:
        """Write the hold of this moment: between a change and its chore it may have changed once more."""
        await self._table.put_hold(way, way.hold)


def note_of(outcome: Outcome) -> str:
    """Return what is remembered of why a credential failed: the cause, and what to do about it."""
    return " ".join(part for part in (outcome.cause, outcome.fix) if part)


def _was_failed(credential: Credential | None) -> bool:
    return credential is None or credential.state is CredentialState.FAILED
