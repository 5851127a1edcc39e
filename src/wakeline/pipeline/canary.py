"""Changes on trial at run time: who gets a canary, what its answer leads to, and how a trial ends.

A change of a credential, a topic or the APNs environment is tried by an app's first deliveries after it (`trial`), while
what stood before serves all others (`standing`): so nobody waits but the canaries, and these for one more answer. A good
change is put in force; a worse one is taken back, its canaries go out again as before, and one sentence says what was wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import msgspec
import structlog

from wakeline.model.app import ApnsEnvironment, App
from wakeline.model.credential import Credential, CredentialState
from wakeline.model.errors import WakelineError
from wakeline.model.outcome import Action, Outcome, OutcomeClass
from wakeline.model.route import HoldReason
from wakeline.pipeline import report
from wakeline.pipeline import taken_back as words
from wakeline.pipeline.flight import Answer, Flight
from wakeline.pipeline.load import HOP, Load
from wakeline.pipeline.parts import Parts
from wakeline.pipeline.route import RouteTable
from wakeline.pipeline.settle import Settle
from wakeline.pipeline.standing import aside_fact_of, fact_of
from wakeline.pipeline.trial import Push, Sign, Trial, Verdict
from wakeline.pipeline.way import Candidate, Way, facing, identity
from wakeline.ports import Sender
from wakeline.wire.outcomes import Refusal, ours

_log = structlog.get_logger()

STOPS = (Action.HOLD, Action.RENEW, Action.RECONNECT)
"""What a push service answers to a credential that it does not take."""

_DOUBTS = (OutcomeClass.TOKEN_DEAD, OutcomeClass.TOKEN_DOUBTFUL, OutcomeClass.MISMATCH)


class Slot(NamedTuple):
    """Room for canaries: by which sender, how many."""

    candidate: Candidate
    sender: Sender
    limit: int


class Canary:
    """The trials of all apps."""

    def __init__(self, parts: Parts, table: RouteTable, settle: Settle) -> None:
        self._parts = parts
        self._table = table
        self._settle = settle
        self._trials: dict[int, Trial] = {}
        self._signatures: dict[int, tuple[object, ...]] = {}

    # --- beginning

    def review(self, apps: Collection[int]) -> None:
        """Begin, go on with or end the trials of apps that changed."""
        for before in self._table.standing.set_aside():
            self._settle.chore(self._parts.facts.set(fact_of(before.app), before.environment.value))
        for number in apps:
            app = self._parts.apps.by_id(number)
            if app is None:
                self._drop(number)
                continue
            self._review(app)
            aside = self._table.standing.aside_to_keep(number)
            if aside is not None:
                self._settle.chore(self._parts.facts.set(aside_fact_of(number), aside or None))

    def _review(self, app: App) -> None:
        standing = self._table.standing
        ways = [way for way in self._table.ways() if way.route.app == app.id]
        found = {
            way.route.id: candidate
            for way in ways
            if way.credential is not None
            and (candidate := standing.candidate(app, facing(way.route), way.route, way.credential)) is not None
        }
        changed = bool(standing.changes(app.id)) or standing.environment_before(app) is not None
        if not found or not changed:
            self._drop(app.id)
            if changed and not self._unused(app, ways):
                self._settle.chore(self._trust(app.id))
            return
        if any(_broken(way) for way in ways if way.route.id in found):
            self.insist(app.id)  # what was there before does not work: there is nothing to go back to
            return
        signature = app.settings.apns_environment, *(identity(one) for one in standing.changes(app.id))
        known = self._trials.get(app.id)
        if known is None or self._signatures.get(app.id) != signature:
            # What was learnt so far was learnt of another change.
            self._drop(app.id)
            known = self._trials[app.id] = Trial()
            self._signatures[app.id] = signature
            _log.info("canary.begins", app=app.slug, changes=self._named(app))
        for way in ways:
            there = found.get(way.route.id)
            if way.candidate is None and there is not None:
                way.candidate = Candidate(known, *there)

    def _unused(self, app: App, ways: Sequence[Way]) -> bool:
        """Tell whether a change waits for its first route: until one is made, only a live check can speak against it."""
        used = {way.route.provider for way in ways}
        return any(one.provider not in used for one in self._table.standing.changes(app.id))

    # --- sending

    async def slot(self, way: Way, load: Load, *, call: bool = False) -> Slot | None:
        """Return room for canaries of a load, or None. Calls go one at a time: they cannot wait."""
        candidate = way.candidate
        if candidate is None or way.breaker.open or load.job.code == HOP:
            return None  # a probe has to show that the service is back, which a canary's answer does not
        candidate.trial.give_up(self._parts.clock.monotonic())
        if not candidate.trial.wanted:
            return None
        if (call and candidate.trial.in_flight) or not candidate.trial.untried(
            _pushes(load, load.ready[load.next :][:1])[0]
        ):
            return None
        sender = await self._sender(way, candidate)
        room = sender.room(call=call) if sender is not None else 0
        if sender is None or room <= 0:
            return None
        return Slot(candidate, sender, min(room, 1 if call else candidate.trial.wanted))

    async def _sender(self, way: Way, candidate: Candidate) -> Sender | None:
        try:
            return await self._table.sender_of(candidate)
        except WakelineError as error:
            outcome = ours(Refusal.CREDENTIAL_ERROR, detail=error.detail)
            self._undo(way.route.app, outcome, words.refused)
            return None

    def sent(self, flight: Flight) -> None:
        """Note that canaries are on their way."""
        if flight.trial is not None:
            flight.trial.hand(_pushes(flight.load, flight.indexes))

    # --- answers

    def accepted(self, flight: Flight, indexes: Sequence[int]) -> None:
        """Count what was accepted: of canaries, or of what goes out as before the change."""
        trial, candidate = flight.trial, flight.way.candidate
        if trial is not None:
            trial.took(len(indexes))
        elif candidate is not None:
            trial = candidate.trial
            for push in _pushes(flight.load, indexes):
                if trial.waits_for(push):
                    trial.second(push, accepted=True, at=self._parts.clock.monotonic())
        if trial is not None:
            self._judge(flight.way.route.app, trial)

    def refused(self, answer: Answer) -> bool:
        """Take another answer than plain acceptance; returns True if the push is to go out again as before the change."""
        outcome, trial = answer.outcome, answer.flight.trial
        push = _pushes(answer.flight.load, (answer.number,))[0]
        if trial is None:
            self._second(answer, push)
            return False
        again, now = True, self._parts.clock.monotonic()
        if outcome.action in STOPS:
            trial.doubt(push, Sign.DOUBT, outcome.reason, outcome.cause, now)
            trial.forget(push)
            self._refute(answer.flight, trial, outcome)
        elif outcome.outcome_class in _DOUBTS:
            trial.doubt(push, Sign.DOUBT, outcome.reason, outcome.cause, now)
        elif outcome.outcome_class in (OutcomeClass.TRANSIENT, OutcomeClass.UNKNOWN):
            trial.doubt(push, Sign.LAPSE, outcome.reason, outcome.cause, now)
        else:
            again = False
            if outcome.accepted:
                trial.took(1)
            else:
                trial.neutral()
        self._judge(answer.flight.way.route.app, trial)
        return again

    def _second(self, answer: Answer, push: Push) -> None:
        candidate, outcome, now = answer.flight.way.candidate, answer.outcome, self._parts.clock.monotonic()
        if candidate is None or not candidate.trial.waits_for(push):
            return
        if outcome.accepted:
            candidate.trial.second(push, accepted=True, at=now)
        elif outcome.outcome_class in _DOUBTS:
            candidate.trial.second(push, accepted=False, at=now)
        else:
            candidate.trial.undecided(push, final=outcome.action not in (Action.RETRY, Action.REPLAY))
        self._judge(answer.flight.way.route.app, candidate.trial)

    def _judge(self, app: int, trial: Trial) -> None:
        if trial.over:
            return
        trial.give_up(self._parts.clock.monotonic())
        match trial.verdict:
            case Verdict.GOOD:
                _log.info("canary.passed", app=app, accepted=trial.accepted)
                self.insist(app)
            case Verdict.WORSE:
                outcome = msgspec.structs.replace(
                    ours(Refusal.CREDENTIAL_ERROR), reason=trial.reason, cause=trial.cause
                )
                lost = trial.worse + trial.lapses
                self._undo(app, outcome, partial(words.lost, lost, lost + trial.accepted))
            case Verdict.OPEN:
                pass

    # --- ending

    def refuted(self, credential: Credential, outcome: Outcome) -> bool:
        """Take back a credential on trial that its push service does not take; False if it is not on trial."""
        if self._change(credential.app, identity(credential)) is None:
            return False
        self._undo(credential.app, outcome, words.refused, credential)
        return True

    def _refute(self, flight: Flight, trial: Trial, outcome: Outcome) -> None:
        app = flight.way.route.app
        if not trial.over:
            self._undo(app, outcome, words.refused, self._change(app, identity(flight.credential)))

    def _change(self, app: int, wanted: tuple[int, int] | None) -> Credential | None:
        """Return the credential on trial of this identity, or None."""
        return next((one for one in self._table.standing.changes(app) if identity(one) == wanted), None)

    def insist(self, app: int) -> None:
        """Let an app's changes stand: they proved good, nothing is left to go back to, or their operator says so."""
        trial = self._trials.pop(app, None)
        if trial is not None:
            trial.over = True
        for way in self._table.ways():
            if way.route.app == app and way.candidate is not None:
                self._table.settle_candidate(way)
        self._settle.chore(self._trust(app))

    def _drop(self, app: int) -> None:
        trial = self._trials.pop(app, None)
        if trial is not None:
            trial.over = True
        for way in self._table.ways():
            if way.route.app == app:
                self._table.drop_candidate(way)

    async def _trust(self, number: int) -> None:
        app = self._parts.apps.by_id(number)
        if app is not None:
            with self._again_if_it_fails(number):
                await self._trusted(app)

    async def _trusted(self, app: App) -> None:
        standing = self._table.standing
        moved = standing.environment_before(app) is not None
        for credential in standing.trust(app):
            await self._parts.credentials.forget_former(credential)
        if moved:
            await self._parts.facts.set(fact_of(app.id), None)
        self._table.changed(app.id)

    def _undo(
        self, number: int, outcome: Outcome, said: Callable[[str, Outcome], str], only: Credential | None = None
    ) -> None:
        """Take an app's changes back, or only that of a credential: then what else is on trial is tried anew."""
        app = self._parts.apps.by_id(number)
        if app is None:
            return
        changes = self._table.standing.changes(number) if only is None else [only]
        sentence = said(self._named(app) if only is None else words.named(changes, None), outcome)
        self._drop(number)
        _log.warning("canary.taken_back", app=app.slug, reason=outcome.reason, detail=sentence)
        tried = app.settings.apns_environment if only is None else None
        self._settle.chore(self._back(app, changes, tried, outcome, sentence))

    def _named(self, app: App) -> str:
        moved = self._table.standing.environment_before(app) is not None
        return words.named(self._table.standing.changes(app.id), app.settings.apns_environment if moved else None)

    async def _back(
        self,
        app: App,
        changes: Sequence[Credential],
        tried: ApnsEnvironment | None,
        outcome: Outcome,
        sentence: str,
    ) -> None:
        """Put back what was before, but nothing that was changed once more since."""
        with self._again_if_it_fails(app.id):
            now = self._parts.apps.by_id(app.id)
            if now is not None and now.settings.apns_environment is tried:
                await self._environment_back(now)
            for credential in changes:
                if identity(self._parts.credentials.get(credential.id)) == identity(credential):
                    await self._credential_back(credential.id, sentence)
        self._table.standing.settle(changes)
        self._table.changed(app.id)
        event = report.taken_back(app, changes, outcome, sentence, self._parts.clock.now())
        await self._parts.events.append([event])

    async def _environment_back(self, app: App) -> None:
        before = self._table.standing.environment_before(app)
        if before is not None:
            settings = msgspec.structs.replace(app.settings, apns_environment=before)
            await self._parts.apps.update(app.id, settings=settings)
            await self._parts.facts.set(fact_of(app.id), None)

    async def _credential_back(self, credential: int, sentence: str) -> None:
        if not self._table.standing.is_aside(credential) and self._parts.credentials.former(credential) is not None:
            await self._parts.credentials.revert(credential, sentence)
        else:
            await self._parts.credentials.forget_former(credential)
            await self._parts.credentials.set_state(credential, CredentialState.FAILED, sentence)

    @contextmanager
    def _again_if_it_fails(self, app: int) -> Iterator[None]:
        """Have an app's changes reviewed anew in a while if the end of their trial cannot be written."""
        try:
            yield
        except WakelineError:
            self._table.changed_later(app)
            raise


def _broken(way: Way) -> bool:
    return way.hold is not None and way.hold.reason is HoldReason.CREDENTIAL


def _pushes(load: Load, indexes: Sequence[int]) -> list[Push]:
    return [(load.key(index), load.packed[index] >> 16) for index in indexes]
