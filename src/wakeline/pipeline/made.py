"""What one step of a walk makes: jobs with their bulk chunks, and the results of those whom no credential serves. Pure."""

from __future__ import annotations

from wakeline.model.delivery import BULK_ENTRY, STATE_NUMBERS, DeliveryState, Job, NewJob
from wakeline.model.notification import Notification
from wakeline.pipeline.resolve import FANOUT_ROUTE
from wakeline.ports import BulkResult, Chunk, FanoutStep

_NO_CREDENTIAL = 901


class Made:
    """A step being put together for a fan-out job; `now` in Unix ms."""

    def __init__(self, notification: Notification, job: Job, now: int) -> None:
        self.jobs: list[NewJob] = []
        self._job = job
        self._chunks: list[Chunk] = []
        self._results: list[BulkResult] = []
        self._found = 0
        self._unserved = 0
        seconds = max(0, now - notification.created) // 1000
        self._refused = BULK_ENTRY.pack(STATE_NUMBERS[DeliveryState.FAILED], 0, _NO_CREDENTIAL, seconds)

    def put(self, route: int, due: int, recipients: bytes) -> NewJob:
        """Make a job for packed recipients, not more than a job holds."""
        job = NewJob(
            notification=self._job.notification,
            app=self._job.app,
            route=route,
            lane=self._job.lane,
            due=due,
            expires=self._job.expires,
            recipients=recipients,
            chunk=self._chunk(recipients, route),
        )
        self.jobs.append(job)
        return job

    def refuse(self, recipients: bytes) -> None:
        """Note that no credential serves these."""
        count = len(recipients) // 8
        self._unserved += count
        chunk = self._chunk(recipients, FANOUT_ROUTE)
        self._results.append(BulkResult(chunk=chunk, entries=((0, self._refused * count),)))

    def _chunk(self, recipients: bytes, route: int) -> int:
        """Make a chunk and return how a job or a result refers to it."""
        self._found += len(recipients) // 8
        self._chunks.append(Chunk(recipients=recipients, route=route))
        return -len(self._chunks)

    def step(self, cursor: int, *, finished: bool) -> FanoutStep:
        """Return it as it is committed."""
        return FanoutStep(
            job=self._job.id,
            notification=self._job.notification,
            cursor=cursor,
            finished=finished,
            found=self._found,
            jobs=tuple(self.jobs),
            chunks=tuple(self._chunks),
            counts=((DeliveryState.FAILED, self._unserved),) if self._unserved else (),
            results=tuple(self._results),
        )
