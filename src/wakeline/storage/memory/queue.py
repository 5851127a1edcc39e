"""The queue, in a dictionary of jobs and a set of leases."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from wakeline.model.delivery import DeliveryRow, DeliveryState, Job, JobKind
from wakeline.model.outcome import OutcomeClass
from wakeline.model.route import Lane
from wakeline.ports import AcceptedRun, Cancelled, Due, FanoutStep, LaneDepth, Settlement
from wakeline.storage.memory.books import Account, Books, owners
from wakeline.storage.memory.receipts import Noting


class MemoryQueue:
    """Jobs by due time; every claim looks at all that waits on its route and lane."""

    def __init__(self, books: Books, noting: Noting) -> None:
        self._books = books
        self._noting = noting

    def listen(self, wake: Callable[[int, Lane, int], None]) -> None:
        """Have `wake` called when jobs were put."""
        self._books.wakes.append(wake)

    async def due(self, now: int) -> list[Due]:  # noqa: ARG002 - for adapters whose leases end with time
        """Return when work is due, for each route and lane."""
        return [
            Due(route=depth.route, lane=depth.lane, at=depth.oldest)
            for depth in await self.depth()
            if depth.oldest is not None
        ]

    async def claim(self, route: int, lane: Lane, *, limit: int, now: int) -> list[Job]:
        """Lease due jobs, earliest first."""
        ready = sorted(
            (job.due, job.id) for job in self._free() if (job.route, job.lane) == (route, lane) and job.due <= now
        )
        return self._lease([number for _, number in ready], limit)

    async def claim_expired(self, *, limit: int, now: int) -> list[Job]:
        """Lease jobs whose time has ended."""
        late = sorted((job.expires, job.id) for job in self._free() if job.expires <= now)
        return self._lease([number for _, number in late], limit)

    async def chunks(self, chunks: Sequence[int]) -> dict[int, bytes]:
        """Return the recipients of bulk chunks."""
        books = self._books.chunks
        return {number: books[number].recipients for number in chunks if number in books}

    async def settle(self, settlement: Settlement) -> None:
        """Write a batch of results."""
        books = self._books
        touched = {books.jobs[job].notification for job in settlement.finished if job in books.jobs}
        touched.update(settlement.ended)
        for progress in settlement.progress:
            if progress.job in books.jobs:
                books.shrink(progress.job, progress.remaining, progress.members)
        for number in settlement.finished:
            books.drop_job(number)
        for row in settlement.rows:
            if row.notification in books.accounts:
                books.write(row)
        for run in settlement.accepted:
            touched.update(self._accept(run))
        for result in settlement.bulk:
            books.write_results(result.chunk, result.entries)
        for (notification, state), number in settlement.counts.items():
            books.count(notification, state, number)
        books.events.keep(settlement.events)
        known = [job for job in settlement.again if job.notification in books.accounts]
        stopped = [job for job in known if books.accounts[job.notification].notification.cancelled]
        books.withdraw(stopped, DeliveryState.CANCELLED, books.clock.now())
        books.add_jobs([job for job in known if job not in stopped])
        touched.update(job.notification for job in stopped)
        books.complete(sorted(touched), quiet=settlement.quiet)
        self._noting.catch_up()

    def _accept(self, run: AcceptedRun) -> list[int]:
        """Write deliveries that were accepted; returns the notifications that are complete with that."""
        books, attempt = self._books, run.attempt
        state, accepted = DeliveryState.ACCEPTED, OutcomeClass.ACCEPTED.value
        for key, target in zip(run.notifications, run.targets, strict=True):
            if key in books.accounts:
                number, status, reason = attempt.number, attempt.status, attempt.reason
                books.write(DeliveryRow(key, target, state, 0, status, reason, accepted, "", number, run.at, attempt))
                if run.whole:
                    books.count(key, state, 1)
        return list(run.notifications) if run.whole else []

    async def step(self, step: FanoutStep) -> None:
        """Write one step of a walk."""
        books = self._books
        account = books.accounts.get(step.notification)
        if account is None:
            books.drop_job(step.job)
        elif account.notification.cancelled:
            self._end_walk(account, step.job)
        else:
            self._walk_on(account, step)
        books.complete([step.notification])

    async def release(self, jobs: Sequence[int]) -> None:
        """Give leased jobs back."""
        books = self._books
        books.leased.difference_update(jobs)
        keys = {key for job in jobs if job in books.jobs for key in owners(books.jobs[job])}
        stopped = {key for key in keys if books.accounts[key].notification.cancelled}
        for notification in sorted(stopped):
            await self.cancel(notification, books.clock.now())
        self._noting.catch_up()

    async def cancel(self, notification: int, now: int) -> Cancelled:
        """Take what is not leased out of the queue."""
        books = self._books
        account = books.accounts.get(notification)
        if account is None or account.done is not None:
            return Cancelled(cancelled=0, in_flight=0)
        account.notification = msgspec.structs.replace(account.notification, cancelled=True)
        jobs = [books.jobs[job] for job in books.owed.get(notification, ())]
        waiting = sum(1 if job.members else len(job.recipients) // 8 for job in jobs)
        cancelled = 0
        for job in [job for job in jobs if job.id not in books.leased]:
            if job.members:
                cancelled += books.take_from(job, notification, DeliveryState.CANCELLED, now)
                continue
            books.drop_job(job.id)
            if job.kind is JobKind.FANOUT:
                self._end_walk(account, job.id)
            cancelled += books.withdraw([job], DeliveryState.CANCELLED, now)
        books.complete([notification])
        return Cancelled(cancelled=cancelled, in_flight=waiting - cancelled)

    async def depth(self) -> list[LaneDepth]:
        """Count what waits."""
        lanes: dict[tuple[int, Lane], list[Job]] = {}
        for job in self._books.jobs.values():
            lanes.setdefault((job.route, job.lane), []).append(job)
        return [self._depth(route, lane, jobs) for (route, lane), jobs in sorted(lanes.items())]

    async def pending(self) -> int:
        """Count deliveries waiting or leased."""
        return sum(len(job.recipients) // 8 for job in self._books.jobs.values())

    async def rescue(self) -> int:
        """Forget all leases."""
        forgotten = sorted(self._books.leased)
        await self.release(forgotten)
        return len(forgotten)

    def _free(self) -> list[Job]:
        return [job for job in self._books.jobs.values() if job.id not in self._books.leased]

    def _lease(self, ordered: list[int], limit: int) -> list[Job]:
        claimed: list[Job] = []
        for number in ordered:
            if limit <= 0:
                break
            job = self._books.jobs[number]
            claimed.append(job)
            limit -= len(job.recipients) // 8 or 1
        self._books.leased.update(job.id for job in claimed)
        return claimed

    def _depth(self, route: int, lane: Lane, jobs: list[Job]) -> LaneDepth:
        leased = self._books.leased
        return LaneDepth(
            route=route,
            lane=lane,
            jobs=len(jobs),
            deliveries=sum(len(job.recipients) // 8 for job in jobs),
            leased=sum(job.id in leased for job in jobs),
            oldest=min((job.due for job in jobs if job.id not in leased), default=None),
        )

    def _end_walk(self, account: Account, job: int) -> None:
        self._books.drop_job(job)
        account.notification = msgspec.structs.replace(account.notification, walked=True)

    def _walk_on(self, account: Account, step: FanoutStep) -> None:
        books, notification = self._books, account.notification
        chunks = books.add_chunks(notification.key, step.chunks)
        for row in step.rows:
            books.write(row)
        for result in step.results:
            books.write_results(chunks[-result.chunk - 1] if result.chunk < 0 else result.chunk, result.entries)
        for state, number in step.counts:
            books.count(notification.key, state, number)
        account.notification = msgspec.structs.replace(notification, recipients=notification.recipients + step.found)
        books.events.keep(step.events)
        books.add_jobs(step.jobs, chunks)
        if step.finished:
            self._end_walk(account, step.job)
        elif step.job in books.jobs:
            books.jobs[step.job] = msgspec.structs.replace(books.jobs[step.job], cursor=step.cursor)
