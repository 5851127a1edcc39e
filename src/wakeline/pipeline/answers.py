"""What an answer does: to the delivery, to its token, to its route (DESIGN 5.3, 5.4).

One rule for each action of the table of outcomes; what follows is handed to `settle`. Everything here happens at once and
in memory, on the loop thread: what needs the store becomes a chore of the next flush.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import structlog

from wakeline.model.delivery import Attempt, DeliveryState
from wakeline.model.notification import OnUnknown
from wakeline.model.outcome import Action, Outcome, OutcomeClass
from wakeline.model.route import ProviderKind
from wakeline.pipeline import push_log, retry, verdicts
from wakeline.pipeline.canary import Canary
from wakeline.pipeline.exchange import Recorder, Sent, of_answer
from wakeline.pipeline.flight import Answer, Flight, attempt_of, chosen, doubtful
from wakeline.pipeline.load import HOP, Load
from wakeline.pipeline.parts import Parts
from wakeline.pipeline.route import RouteTable
from wakeline.pipeline.settle import Settle
from wakeline.pipeline.watch import Watch
from wakeline.pipeline.way import Way, identity
from wakeline.ports import Shipment
from wakeline.wire.outcomes import Refusal, apns, ours

_log = structlog.get_logger()

_PAUSE_AFTER = 3
"""Throttled answers in a row after which the whole route waits: one alone may concern one device only."""

Plans = dict[tuple[str, int, float | None, OnUnknown], retry.RetryAt | retry.GiveUp]
"""What follows, for each (reason, status, Retry-After, policy) in one shipment."""

_ACCEPTED = OutcomeClass.ACCEPTED.value
_TAKEN = apns(200, "")


class Answers:
    """Judges what comes back."""

    def __init__(
        self, parts: Parts, table: RouteTable, settle: Settle, watch: Watch, canary: Canary, recorder: Recorder
    ) -> None:
        self._parts = parts
        self._recorder = recorder
        self._table = table
        self._settle = settle
        self._watch = watch
        self._canary = canary

    def sent(self, flight: Flight) -> None:
        """Note that canaries are on their way."""
        self._canary.sent(flight)

    def on_results(
        self, flight: Flight, shipment: Shipment, accepted: Sequence[int], others: list[tuple[int, Outcome]]
    ) -> None:
        """Take answers; positions count the recipients of the shipment."""
        now, provider = self._parts.clock.now(), flight.way.route.provider.value
        taken = self._parts.clock.monotonic() - shipment.started
        self._parts.meter.sent(provider, taken)
        if flight.trial is None:
            self._watch.breathing(flight.way, accepted, others)
        if accepted:
            self._accepted(flight, shipment, accepted, now, taken)
        if others:
            self._others(flight, shipment, others, now, taken)

    def _others(
        self, flight: Flight, shipment: Shipment, others: list[tuple[int, Outcome]], now: int, taken: float
    ) -> None:
        plans: Plans = {}
        provider = flight.way.route.provider.value
        sent = self._recorded(flight, shipment)
        for place, said in others:
            outcome = msgspec.structs.replace(said, body="") if said.body else said
            flight.way.last = outcome
            self._parts.meter.answered(provider, outcome.outcome_class.value, 1)
            made = attempt_of(flight.load, outcome, now, taken)
            exchange = of_answer(sent, said) if sent is not None else None
            self._safely(Answer(flight, flight.indexes[place], outcome, made, now, exchange), plans)

    def _recorded(self, flight: Flight, shipment: Shipment) -> Sent | None:
        """Return what to record of refusals in a shipment, or None."""
        if flight.credential is None or not self._recorder.failures(shipment.notification.app):
            return None
        return Sent(shipment.route, flight.credential)

    def _safely(self, answer: Answer, plans: Plans) -> None:
        """Judge one answer; a defect in that ends this delivery, for nobody would ever settle it otherwise."""
        try:
            self._other(answer, plans)
        except Exception:  # noqa: BLE001 - whatever it is, the other answers are to be judged
            _log.exception("answer.cannot_be_judged", route=answer.flight.way.route.id, target=answer.target)
            self._final(answer._replace(outcome=ours(Refusal.DEFECT)), DeliveryState.FAILED)

    def _accepted(self, flight: Flight, shipment: Shipment, accepted: Sequence[int], now: int, taken: float) -> None:
        indexes = flight.indexes
        if len(accepted) < len(indexes):
            indexes = chosen(indexes, accepted)
        load, way = flight.load, flight.way
        duration = round(taken * 1000)
        attempt = Attempt(
            number=load.job.attempt, at=now - duration, duration=duration, status=200, outcome_class=_ACCEPTED
        )
        sent = None
        if flight.credential is not None and self._recorder.successes(load.job.app):
            sent = Sent(shipment.route, flight.credential)
        count = self._settle.accepted(load, indexes, at=now, attempt=attempt, sent=sent)
        self._parts.meter.answered(way.route.provider.value, _ACCEPTED, count)
        self._good(flight, indexes, count, now)
        if way.candidate is not None or flight.trial is not None:
            self._canary.accepted(flight, indexes)
        for index in indexes if load.job.code == HOP else ():
            self._correct(way, load, index, now)
        if self._parts.settings.logs.push:
            push_log.answered(flight, indexes, _TAKEN, self._slug(flight))

    def _good(self, flight: Flight, indexes: Sequence[int], count: int, now: int) -> None:
        """Remember that the route's tokens and credential are sound; what a canary shows is the canary's."""
        if flight.trial is not None:
            return
        flight.way.brake.good(count, now)
        packed = flight.load.packed
        flight.way.accepted.note(packed[indexes[0]] >> 16, packed[indexes[-1]] >> 16, now)
        flight.way.throttled = 0
        if identity(flight.way.credential) == identity(flight.credential):
            self._watch.proven(flight.way)

    def _correct(self, way: Way, load: Load, index: int, now: int) -> None:
        """The other environment took it: that is where the token lives."""
        self._settle.verdict(verdicts.corrected(load.packed[index] >> 16, way.route.environment, now))

    def _other(self, answer: Answer, plans: Plans) -> None:
        outcome = answer.outcome
        if self._parts.settings.logs.push:
            push_log.answered(answer.flight, (answer.number,), outcome, self._slug(answer.flight))
        on_trial = answer.flight.trial is not None or answer.flight.way.candidate is not None
        if on_trial and self._canary.refused(answer) and self._may_repeat(answer):
            self._wait(answer)
            return
        match outcome.action:
            case Action.DONE:
                self._done(answer)
            case Action.HOLD | Action.RENEW | Action.RECONNECT:
                self._credential(answer)
            case Action.OTHER_ENVIRONMENT | Action.QUARANTINE | Action.RETIRE:
                self._token(answer)
            case Action.FAIL:
                if not self._braked(answer):
                    self._final(answer, DeliveryState.FAILED)
            case Action.RETRY | Action.REPLAY:
                self._pace(answer.flight.way, outcome)
                policy = answer.flight.load.notification_of(answer.number).content.on_unknown
                key = outcome.reason, outcome.status, outcome.retry_after, policy
                if key not in plans:
                    plans[key] = self._plan(answer)
                self._again(answer, plans[key])

    def _done(self, answer: Answer) -> None:
        """Accepted, with something to keep: FCM names each message."""
        self._good(answer.flight, (answer.number,), 1, answer.now)
        debugged = answer.sent is not None and self._recorder.successes(answer.flight.load.job.app)
        self._final(answer if debugged or answer.sent is None else answer._replace(sent=None), DeliveryState.ACCEPTED)
        if answer.hops:
            self._correct(answer.flight.way, answer.flight.load, answer.number, answer.now)

    def _credential(self, answer: Answer) -> None:
        """A broken credential burns nothing: the route is held and the delivery waits; a call cannot wait."""
        swapped = identity(answer.flight.way.credential) != identity(answer.flight.credential)
        if not swapped and answer.flight.way.candidate is not None:
            # What stood before the change is broken itself: there is nothing to go back to.
            self._canary.insist(answer.flight.way.route.app)
            swapped = True
        if not swapped:
            self._watch.credential_failed(answer.flight.way, answer.outcome)
        if answer.calls and not swapped:
            self._final(answer, DeliveryState.FAILED)
        else:
            self._wait(answer)

    def _token(self, answer: Answer) -> None:
        """A token is dead or in doubt. The brake is asked first: what it stops is not held against the token."""
        if self._braked(answer):
            return
        if answer.outcome.action is Action.OTHER_ENVIRONMENT and not answer.hops:
            self._settle.chore(self._hop(answer))
        else:
            self._doubted(answer)

    def _doubted(self, answer: Answer) -> None:
        """Fail the delivery and have a verdict reached; it is the route of the registered environment that must be sound."""
        self._final(answer, DeliveryState.FAILED)
        way = answer.flight.way
        home = self._table.counterpart(way) if answer.hops else way
        accepted_at = home.accepted.of_another(answer.target) if home is not None else None
        route = (home or way).route.id
        self._settle.doubt(
            answer.flight.load, answer.number, answer.outcome, at=answer.now, accepted_at=accepted_at, route=route
        )

    def _braked(self, answer: Answer) -> bool:
        """Count an answer about a token; if the brake is closed, doubt waits (a call fails) and True is returned."""
        if not (self._home_braked(answer) if answer.hops else self._counted(answer)):
            return False
        if answer.calls:
            self._final(answer, DeliveryState.FAILED)
        else:
            self._wait(answer)
        return True

    def _counted(self, answer: Answer) -> bool:
        """Count an answer in the window of its route; tell whether it is doubt and the brake is closed."""
        way, outcome = answer.flight.way, answer.outcome
        if outcome.outcome_class is OutcomeClass.MISMATCH and way.route.provider is ProviderKind.WEBPUSH:
            return (
                False  # no doubt: each browser knows the key that it subscribed with, and no setting makes it another
            )
        if doubtful(outcome):
            if not way.braked and way.brake.doubtful(answer.target, outcome.reason, answer.now):
                self._watch.brake(way, outcome)
            return way.braked
        if outcome.outcome_class is not OutcomeClass.TOKEN_DEAD:
            way.brake.good(1, answer.now)
        elif way.brake.gone(answer.target, outcome.reason, answer.now):
            self._watch.episodes.dying(way.route, way.brake, outcome)
        return False

    def _home_braked(self, answer: Answer) -> bool:
        """Tell whether an answer doubts a token whose own route is braked; nothing it says is about the route that was tried."""
        home = self._table.counterpart(answer.flight.way)
        return home is not None and home.braked and doubtful(answer.outcome)

    async def _hop(self, answer: Answer) -> None:
        """Try the other environment once, at most one a second a route; if it cannot be tried, the doubt stands."""
        way, job = answer.flight.way, answer.flight.load.job
        try:
            other = await self._table.elsewhere(way)
        except Exception:  # noqa: BLE001 - then the doubt stands
            _log.exception("route.cannot_be_made", beside=way.route.id)
            other = None
        monotonic = self._parts.clock.monotonic()
        wait = max(0.0, way.next_hop - monotonic)
        at = answer.now + round(1000 * wait)
        if other is None or other.hold is not None or at >= job.expires or (answer.calls and at > answer.now):
            self._doubted(answer)
            return
        way.next_hop = monotonic + wait + 1.0
        self._put(answer, due=at, attempt=job.attempt + 1, made=answer.made, route=other.route.id, code=HOP)

    def _wait(self, answer: Answer) -> None:
        """Put a delivery back as it was: this attempt does not count."""
        self._put(
            answer,
            due=answer.now,
            attempt=answer.flight.load.job.attempt,
            made=answer.made,
            state=DeliveryState.HELD,
            code=HOP if answer.hops else 0,
        )

    def _plan(self, answer: Answer) -> retry.RetryAt | retry.GiveUp:
        """Decide once for all deliveries of a shipment that got the same answer, so that they stay one job."""
        way, job = answer.flight.way, answer.flight.load.job
        if answer.calls and way.breaker.open:
            return retry.GiveUp()
        return retry.decide(
            answer.outcome,
            provider=way.route.provider,
            lane=job.lane,
            attempt=job.attempt,
            now=answer.now,
            expires=job.expires,
            on_unknown=answer.flight.load.notification_of(answer.number).content.on_unknown,
            entropy=self._parts.entropy(),
            silent=way.breaker.open,
        )

    def _may_repeat(self, answer: Answer) -> bool:
        """Tell whether a push may be sent again at once; what was perhaps taken, only as its policy says."""
        unknown = answer.outcome.outcome_class is OutcomeClass.UNKNOWN
        return not unknown or not isinstance(self._plan(answer), retry.GiveUp)

    def _pace(self, way: Way, outcome: Outcome) -> None:
        """Let the route rest if its provider asks for it. A 429 of Apple's concerns one device, and a single one may."""
        if way.route.provider is ProviderKind.APNS or outcome.retry_after is None:
            return
        if outcome.outcome_class is OutcomeClass.THROTTLED:
            way.throttled += 1
        if way.throttled >= _PAUSE_AFTER or outcome.outcome_class is OutcomeClass.TRANSIENT:
            now = self._parts.clock.monotonic()
            way.paused_until = max(way.paused_until, now + outcome.retry_after)
            if way.ramp is not None:
                way.ramp.refused(now, way.paused_until)

    def _again(self, answer: Answer, plan: retry.RetryAt | retry.GiveUp) -> None:
        if isinstance(plan, retry.GiveUp):
            self._final(answer._replace(outcome=retry.last_word(answer.outcome, plan)), DeliveryState.FAILED)
            return
        way = answer.flight.way
        if answer.outcome.outcome_class is OutcomeClass.THROTTLED:
            monotonic = round(1000 * self._parts.clock.monotonic())
            way.rests.note(answer.target, monotonic + plan.at - answer.now, monotonic)
        self._parts.meter.retried(way.route.provider.value, 1)
        self._put(
            answer,
            due=plan.at,
            attempt=answer.flight.load.job.attempt + 1,
            made=msgspec.structs.replace(answer.made, retry_at=plan.at),
            code=HOP if answer.hops else answer.outcome.code,
        )

    def _put(
        self,
        answer: Answer,
        *,
        due: int,
        attempt: int,
        made: Attempt,
        code: int,
        state: DeliveryState = DeliveryState.QUEUED,
        route: int | None = None,
    ) -> None:
        self._settle.again(
            answer.flight.load,
            answer.number,
            due=due,
            attempt=attempt,
            outcome=answer.outcome,
            made=made,
            state=state,
            route=route,
            code=code,
            at=answer.now,
        )

    def _final(self, answer: Answer, state: DeliveryState) -> None:
        self._settle.final(
            answer.flight.load,
            answer.number,
            state,
            answer.outcome,
            at=answer.now,
            attempt=answer.made,
            sent=answer.sent,
        )

    def _slug(self, flight: Flight) -> str:
        app = self._parts.apps.by_id(flight.load.job.app)
        return app.slug if app is not None else ""
