"""Taking notifications: check, look up, resolve, one commit; then, and only then, the caller hears yes (promise 1).

A batch is taken as one: its look-ups, its commit. What is wrong with one submission is a value beside the others.
Up to 500 named recipients are resolved here, and what cannot be sent is settled here: no credential (901), a limit (914),
a device that is connected. Larger audiences, tags and everyone become one job that walks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from wakeline import ports
from wakeline.model.app import App
from wakeline.model.errors import IdempotencyMismatch, IdempotencyRunning, Overloaded, WakelineError
from wakeline.model.notification import NotificationRequest
from wakeline.model.outcome import Outcome
from wakeline.model.route import Lane
from wakeline.pipeline.draft import Drafting
from wakeline.pipeline.hearing import Heard, Hearing
from wakeline.pipeline.limits import UserLimits
from wakeline.pipeline.meter import Stage
from wakeline.pipeline.parts import Parts
from wakeline.pipeline.preview import Previewing, PreviewResult
from wakeline.pipeline.ready import Ready
from wakeline.pipeline.remembered import Remembered
from wakeline.pipeline.route import RouteTable
from wakeline.pipeline.together import Together, Waiting
from wakeline.ports import IdempotencyKey, Replayed, Reply

RETRY_AFTER = 30.0
"""Seconds after which a caller may ask again when we are full."""


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """A notification that is kept. Either `recipients` (exact) or `estimate` is known; `failures` are its outcomes so far."""

    key: int
    recipients: int | None
    estimate: int | None
    failures: tuple[Outcome, ...] = ()


SLICE = 64
"""Submissions that are drafted in one step of the loop: about a millisecond."""


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """One request: `reply` makes the answer that is kept for repeats of `idempotency`.

    `keeps_unserved`: it is kept, with its failures, even if the app can reach nobody: the caller's protocol has no word for that.
    `heard` is told what became of it, of one that is to one device; where it fails here already, `Taken.failures` say so.
    """

    request: NotificationRequest
    idempotency: IdempotencyKey | None
    reply: Callable[[Taken], Reply]
    request_id: str = ""
    keeps_unserved: bool = False
    heard: Heard | None = None


class Accept:
    """The door of the story."""

    def __init__(
        self, parts: Parts, table: RouteTable, limits: UserLimits, remembered: Remembered, hearing: Hearing
    ) -> None:
        self._parts = parts
        self._hearing = hearing
        self._drafting = Drafting(parts, table, limits, remembered)
        self._previewing = Previewing(parts, table, self._drafting)
        self._together = Together(self._drafts_if_room, self._commit)

    async def accept(self, app: App, submissions: Sequence[Submission]) -> list[Taken | Replayed | WakelineError]:
        """Take a batch in one commit; the answers are in its order. Raises StoreUnavailable for all of it.

        A single submission is taken together with others that come in the same turn of the loop.
        """
        if len(submissions) == 1:
            return [await self._together.take(app, submissions[0])]
        return await self._commit(submissions, await self._drafts_if_room(app, submissions))

    def submit(self, app: App, submission: Submission, waiting: Waiting[Taken | Replayed | WakelineError]) -> None:
        """Take one together with others that come in this turn of the loop; `waiting` is told, and nothing is raised."""
        self._together.submit(app, submission, waiting)

    async def _drafts_if_room(self, app: App, submissions: Sequence[Submission]) -> list[Ready | WakelineError]:
        full = await self._full()
        return await self._drafts(app, submissions) if full is None else [full] * len(submissions)

    async def _drafts(self, app: App, submissions: Sequence[Submission]) -> list[Ready | WakelineError]:
        """Draft a large batch in slices, so that others get the loop between them."""
        drafts: list[Ready | WakelineError] = []
        for first in range(0, len(submissions), SLICE):
            if len(submissions) > SLICE:
                await asyncio.sleep(0)
            part = submissions[first : first + SLICE]
            requests = [(submission.request, submission.request_id) for submission in part]
            unserved = frozenset(place for place, submission in enumerate(part) if submission.keeps_unserved)
            drafts += await self._drafting.drafts(app, requests, unserved=unserved)
        return drafts

    async def preview(self, app: App, request: NotificationRequest) -> PreviewResult:
        """Return what a notification would become; nothing leaves and nothing is kept. Raises what `accept` would answer."""
        return await self._previewing.preview(app, request)

    async def _full(self) -> Overloaded | None:
        """Say early that there is no room (promise 7)."""
        health = self._parts.keeper.health()
        if health.low_disk or not health.writable:
            cause = "The disk is nearly full" if health.low_disk else f"The store cannot be written: {health.detail}"
            return Overloaded(cause, fix="Free space where the store lives.", retry_after=RETRY_AFTER)
        most = self._parts.settings.queue.max_pending
        pending = await self._parts.queue.pending()
        if pending < most:
            return None
        return Overloaded(
            f"{pending} deliveries wait, and [queue] max_pending is {most}",
            fix="Wait; `wakeline route list` shows what is held.",
            retry_after=RETRY_AFTER,
        )

    async def _commit(
        self, submissions: Sequence[Submission], drafts: list[Ready | WakelineError]
    ) -> list[Taken | Replayed | WakelineError]:
        answers: list[Taken | Replayed | WakelineError] = []
        admissions: list[ports.Admission] = []
        kept: list[tuple[int, Ready]] = []
        for submission, ready in zip(submissions, drafts, strict=True):
            if isinstance(ready, Ready):
                taken = _taken(ready)
                admissions.append(_admission(ready, submission, taken))
                if submission.heard is not None:
                    self._hearing.listen(taken.key, submission.heard)
                kept.append((len(answers), ready))
                answers.append(taken)
            else:
                answers.append(ready)
        if not admissions:
            return answers
        try:
            verdicts = await self._parts.acceptance.accept(admissions)
        except WakelineError:
            for _, ready in kept:
                self._drafting.refund(ready.charges)
                self._hearing.forget(ready.notification.key)
            raise
        self._tell(answers, kept, verdicts)
        return answers

    def _tell(
        self,
        answers: list[Taken | Replayed | WakelineError],
        kept: list[tuple[int, Ready]],
        verdicts: list[ports.Committed | ports.Replayed | ports.Mismatch | ports.Running],
    ) -> None:
        """Count what was taken, and put the answers to what was not in their places."""
        counts: dict[Lane, int] = {}
        since: dict[Lane, int] = {}
        for (place, ready), verdict in zip(kept, verdicts, strict=True):
            if isinstance(verdict, ports.Committed):
                notification = ready.notification
                deliveries = notification.recipients if ready.estimate is None else ready.estimate
                counts[notification.lane] = counts.get(notification.lane, 0) + deliveries
                since.setdefault(notification.lane, notification.created)
            else:
                self._drafting.refund(ready.charges)
                self._hearing.forget(ready.notification.key)
                answers[place] = _repeated(verdict)
        now = self._parts.clock.now()
        for lane, deliveries in counts.items():
            name = lane.name.lower()
            self._parts.meter.accepted(name, deliveries)
            self._parts.meter.passed(Stage.COMMIT, name, max(0, now - since[lane]) / 1000)


def _repeated(verdict: ports.Replayed | ports.Mismatch | ports.Running) -> Replayed | WakelineError:
    """Return the answer to a request whose idempotency key was used before."""
    match verdict:
        case ports.Replayed():
            return verdict
        case ports.Mismatch():
            return IdempotencyMismatch("This Idempotency-Key was used with another body", fix="Use a new key.")
        case ports.Running():
            return IdempotencyRunning("The first request with this Idempotency-Key is still at work", retry_after=1.0)


def _taken(ready: Ready) -> Taken:
    notification, estimate = ready.notification, ready.estimate
    return Taken(
        key=notification.key,
        recipients=notification.recipients if estimate is None else None,
        estimate=estimate,
        failures=ready.failures,
    )


def _admission(ready: Ready, submission: Submission, taken: Taken) -> ports.Admission:
    return ports.Admission(
        notification=ready.notification,
        single=ready.single,
        jobs=ready.jobs,
        rows=ready.rows,
        events=ready.events,
        idempotency=submission.idempotency,
        reply=submission.reply(taken) if submission.idempotency is not None else None,
    )
