"""Taking notifications: check, look up, resolve, one commit; then, and only then, the caller hears yes (promise 1).

A batch is taken as one: its look-ups, its commit. What is wrong with one submission is a value beside the others.
Up to 500 named recipients are resolved here, and what cannot be sent is settled here: no credential (901), a limit (914),
a device that is connected. Larger audiences, tags and everyone become one job that walks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from wakeline import ports
from wakeline.model.app import App
from wakeline.model.delivery import NewJob
from wakeline.model.errors import IdempotencyMismatch, IdempotencyRunning, Overloaded, WakelineError
from wakeline.model.notification import Notification, NotificationRequest
from wakeline.model.outcome import Outcome
from wakeline.model.route import Lane
from wakeline.pipeline.claim import COUNT_UP
from wakeline.pipeline.draft import Draft, Drafting, Ready
from wakeline.pipeline.limits import UserLimits
from wakeline.pipeline.parts import Parts
from wakeline.pipeline.preview import Previewing, PreviewResult
from wakeline.pipeline.resolve import Wait, fanout_job, jobs_of
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


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """One request: `reply` makes the answer that is kept for repeats of `idempotency`."""

    request: NotificationRequest
    idempotency: IdempotencyKey | None
    reply: Callable[[Taken], Reply]
    request_id: str = ""


class Accept:
    """The door of the story."""

    def __init__(self, parts: Parts, table: RouteTable, limits: UserLimits) -> None:
        self._parts = parts
        self._drafting = Drafting(parts, table, limits)
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
        requests = [(submission.request, submission.request_id) for submission in submissions]
        return await self._drafting.drafts(app, requests)

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
        for submission, draft in zip(submissions, drafts, strict=True):
            if isinstance(draft, Ready):
                taken = _taken(draft.draft)
                admissions.append(_admission(draft, submission, taken))
                answers.append(taken)
            else:
                answers.append(draft)
        if not admissions:
            return answers
        kept = [ready.draft for ready in drafts if isinstance(ready, Ready)]
        try:
            verdicts = iter(zip(await self._parts.acceptance.accept(admissions), kept, strict=True))
        except WakelineError:
            for one in kept:
                self._drafting.refund(one)
            raise
        return [self._answer(*next(verdicts), answer) if isinstance(answer, Taken) else answer for answer in answers]

    def _answer(
        self,
        verdict: ports.Committed | ports.Replayed | ports.Mismatch | ports.Running,
        draft: Draft,
        taken: Taken,
    ) -> Taken | Replayed | WakelineError:
        if isinstance(verdict, ports.Committed):
            self._parts.meter.accepted(draft.terms.lane.name.lower(), taken.recipients or taken.estimate or 0)
            return taken
        self._drafting.refund(draft)
        match verdict:
            case ports.Replayed():
                return verdict
            case ports.Mismatch():
                return IdempotencyMismatch("This Idempotency-Key was used with another body", fix="Use a new key.")
            case ports.Running():
                return IdempotencyRunning(
                    "The first request with this Idempotency-Key is still at work", retry_after=1.0
                )


def _taken(draft: Draft) -> Taken:
    exact = draft.estimate is None
    return Taken(
        key=draft.key,
        recipients=draft.recipients if exact else None,
        estimate=draft.estimate,
        failures=tuple(draft.failures),
    )


def _admission(ready: Ready, submission: Submission, taken: Taken) -> ports.Admission:
    draft, notification = ready.draft, ready.notification
    single = _single(notification, draft)
    jobs: list[NewJob] = []
    if draft.terms.walked:
        jobs = [fanout_job(notification)]
    elif single is None:
        jobs = jobs_of(notification, draft.waiting)
    return ports.Admission(
        notification=notification,
        single=single,
        jobs=tuple(jobs),
        rows=tuple(draft.rows),
        events=tuple(draft.events),
        idempotency=submission.idempotency,
        reply=submission.reply(taken) if submission.idempotency is not None else None,
    )


def _single(notification: Notification, draft: Draft) -> ports.Single | None:
    """Return the only delivery of a notification that waits for nothing and is like its neighbours; None for any other.

    Calls go alone: each is to be cancelled, and written, at once. What counts badges up counts them in its own load.
    """
    if len(draft.waiting) != 1 or draft.rows or notification.lane is Lane.CALL or draft.terms.walked:
        return None
    alert = notification.content.alert
    [((route, wait), recipients)] = draft.waiting.items()
    waits = notification.due > notification.created or wait != Wait(notification.due)
    if len(recipients) != 1 or waits or (alert is not None and alert.badge == COUNT_UP):
        return None
    return ports.Single(route, recipients[0])
