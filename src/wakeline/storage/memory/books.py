"""What queue, ledger and acceptance share: notifications, jobs, leases, rows and chunks, and the changes that keep them true."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from wakeline.model.delivery import Attempt, DeliveryRow, DeliveryState, Job, JobKind, NewJob, unpack, unpack_all
from wakeline.model.event import Event
from wakeline.model.notification import Notification
from wakeline.model.receipt import Receipt
from wakeline.model.route import Lane
from wakeline.ports import Chunk, Clock
from wakeline.storage import bulk, notices
from wakeline.storage.content import without_content
from wakeline.storage.memory.devices import MemoryDevices
from wakeline.storage.memory.events import MemoryEvents
from wakeline.storage.memory.registers import MemoryApps, MemoryRoutes
from wakeline.storage.waiting import LIMITED, Waiting, is_written, waiting


class Account(msgspec.Struct):
    """A notification with what was counted of it; `done` in Unix ms once nothing of it waits."""

    notification: Notification
    written: dict[DeliveryState, int] = {}
    done: int | None = None


class Line(msgspec.Struct):
    """A delivery's row with its attempts."""

    row: DeliveryRow
    attempts: tuple[Attempt, ...] = ()


class ChunkBook(msgspec.Struct):
    """A chunk of a bulk notification."""

    notification: int
    route: int
    recipients: bytes
    results: bytes


class Books:
    """The shared state; each method is one change that leaves it consistent."""

    def __init__(
        self, clock: Clock, events: MemoryEvents, devices: MemoryDevices, apps: MemoryApps, routes: MemoryRoutes
    ) -> None:
        self.clock = clock
        self.events = events
        self.devices = devices
        self.apps = apps
        self.routes = routes
        self.accounts: dict[int, Account] = {}
        self.jobs: dict[int, Job] = {}
        self.owed: dict[int, dict[int, None]] = {}
        """The jobs of each notification that has any, in order: looking through all jobs would make long queues slow."""
        self.leased: set[int] = set()
        self.lines: dict[int, dict[int, Line]] = {}
        self.chunks: dict[int, ChunkBook] = {}
        self.early: dict[int, dict[int, Receipt]] = {}
        """By notification and target: what devices said of deliveries that are being sent."""
        self.wakes: list[Callable[[int, Lane, int], None]] = []
        self._last_job = 0
        self._last_chunk = 0

    def add_chunks(self, notification: int, chunks: Iterable[Chunk]) -> list[int]:
        """Keep chunks and return their ids."""
        ids = []
        for chunk in chunks:
            self._last_chunk += 1
            self.chunks[self._last_chunk] = ChunkBook(
                notification, chunk.route, chunk.recipients, bulk.blank(chunk.recipients)
            )
            ids.append(self._last_chunk)
        return ids

    def add_jobs(self, jobs: Iterable[NewJob], chunks: Sequence[int] = ()) -> None:
        """Queue jobs and tell the listeners once a route and lane."""
        woken: dict[tuple[int, Lane], int] = {}
        for job in jobs:
            self._last_job += 1
            values = msgspec.structs.asdict(job)
            values["chunk"] = chunks[-job.chunk - 1] if job.chunk < 0 else job.chunk
            self.jobs[self._last_job] = Job(id=self._last_job, **values)
            for key in owners(job):
                self.owed.setdefault(key, {})[self._last_job] = None
            place = job.route, job.lane
            woken[place] = min(job.due, woken.get(place, job.due))
        for (route, lane), due in woken.items():
            for wake in self.wakes:
                wake(route, lane, due)

    def write(self, row: DeliveryRow) -> None:
        """Upsert a row; its attempt is appended, and a provider's id once known stays."""
        lines = self.lines.setdefault(row.notification, {})
        line = lines.get(row.target)
        attempts = line.attempts if line else ()
        if line is not None and not row.provider_id:
            row = row._replace(provider_id=line.row.provider_id)
        lines[row.target] = Line(row, attempts if row.attempt is None else (*attempts, row.attempt))

    def write_results(self, chunk: int, entries: Iterable[tuple[int, bytes]]) -> None:
        """Write entries of a bulk chunk."""
        if chunk in self.chunks:
            self.chunks[chunk].results = bulk.patched(self.chunks[chunk].results, entries)

    def count(self, notification: int, state: DeliveryState, number: int) -> None:
        """Count deliveries in a written state."""
        if not is_written(state):
            raise ValueError(f"Deliveries {state.value} are derived, never counted")
        account = self.accounts.get(notification)
        if account is not None:
            account.written[state] = account.written.get(state, 0) + number

    def drop_job(self, job: int) -> None:
        """End a job and its lease."""
        known = self.jobs.pop(job, None)
        self.leased.discard(job)
        for key in owners(known) if known is not None else ():
            self._disown(key, job)

    def _disown(self, notification: int, job: int) -> None:
        left = self.owed[notification]
        del left[job]
        if not left:
            del self.owed[notification]

    def shrink(self, job: int, recipients: bytes, members: bytes) -> None:
        """Keep what remains of a job."""
        known = self.jobs[job]
        for key in set(owners(known)) - set(unpack_all(members)) if members else ():
            self._disown(key, job)
        self.jobs[job] = msgspec.structs.replace(known, recipients=recipients, members=members)

    def take_from(self, parcel: Job, notification: int, state: DeliveryState, at: int) -> int:
        """Take one notification out of a parcel; returns how many deliveries that were."""
        part, left = parcel.alone(notification), parcel.without(notification)
        if left.members:
            self.shrink(parcel.id, left.recipients, left.members)
        else:
            self.drop_job(parcel.id)
        return self.withdraw([part], state, at) if part is not None else 0

    def withdraw(self, jobs: Sequence[NewJob], state: DeliveryState, at: int) -> int:
        """Write the deliveries of jobs that leave the queue unsent; returns how many."""
        events: list[Event] = []
        for job in jobs:
            recipients = unpack_all(job.recipients)
            self.count(job.notification, state, len(recipients))
            if job.chunk:
                self._withdraw_bulk(job, state, at)
            else:
                events += [self._withdraw_one(job, unpack(recipient)[0], state, at) for recipient in recipients]
        self.events.keep(events)
        return sum(len(job.recipients) // 8 for job in jobs)

    def _withdraw_one(self, job: NewJob, target: int, state: DeliveryState, at: int) -> Event:
        tries = job.attempt - 1
        self.write(notices.withdrawn_row(job.notification, target, state, tries=tries, at=at))
        whose = self.devices.whose(target)
        slug = self.slug(job.app)
        return notices.withdrawn(
            job.notification, target, state, app=slug, device=whose.device_id, kind=whose.kind, tries=tries, at=at
        )

    def _withdraw_bulk(self, job: NewJob, state: DeliveryState, at: int) -> None:
        chunk = self.chunks.get(job.chunk)
        if chunk is not None:
            created = self.accounts[job.notification].notification.created
            entry = bulk.entry(state, tries=job.attempt - 1, code=0, at=at, created=created)
            places = bulk.positions(chunk.recipients, job.recipients)
            self.write_results(job.chunk, [(place, entry) for place in places])

    def supersede(self, app: int, collapse_key: str) -> None:
        """Take limited jobs with this key out of the queue: a newer push says the same better."""
        former = [
            job
            for job in self.jobs.values()
            if job.code == LIMITED and job.collapse_key == collapse_key and job.app == app and job.id not in self.leased
        ]
        for job in former:
            self.drop_job(job.id)
        self.withdraw(former, DeliveryState.SUPERSEDED, self.clock.now())
        self.complete({job.notification for job in former})

    def complete(self, notifications: Iterable[int], *, quiet: bool = False) -> None:
        """Complete those of which everything was walked and nothing waits; `quiet` as in `Settlement`."""
        for key in sorted(notifications):
            account = self.accounts.get(key)
            if account is None or account.done is not None or key in self.owed or not account.notification.walked:
                continue
            app = self.apps.by_id(account.notification.app)
            account.done = self.clock.now()
            if app is not None and not app.settings.keep_content:
                account.notification = without_content(account.notification)
            slug = app.slug if app else ""
            if not (quiet and account.written == {DeliveryState.ACCEPTED: 1}):
                self.events.keep([notices.completed(key, slug, account.written, account.done)])

    def slug(self, app: int) -> str:
        """Return an app's slug; empty when it is forgotten."""
        found = self.apps.by_id(app)
        return found.slug if found else ""

    def waiting(self, job: Job, now: int) -> Waiting:
        """Derive the state of a job's deliveries."""
        route = self.routes.get(job.route)
        app = self.apps.by_id(job.app)
        return waiting(
            job,
            leased=job.id in self.leased,
            hold=route.hold if route else None,
            paused=app is not None and app.paused,
            now=now,
        )

    def jobs_of(self, notification: int) -> list[Job]:
        """Return a notification's jobs that send; of a parcel, its part."""
        jobs = [self.jobs[number] for number in self.owed.get(notification, ())]
        parts = [job.alone(notification) if job.members else job for job in jobs if job.kind is JobKind.SEND]
        return [part for part in parts if part is not None]

    def forget(self, notification: int) -> None:
        """Forget a notification with all that belongs to it."""
        self.accounts.pop(notification, None)
        self.early.pop(notification, None)
        self.lines.pop(notification, None)
        self.chunks = {number: chunk for number, chunk in self.chunks.items() if chunk.notification != notification}
        for job in list(self.owed.get(notification, ())):
            known = self.jobs[job]
            left = known.without(notification) if known.members else known
            if known.members and left.members:
                self.shrink(job, left.recipients, left.members)
            else:
                self.drop_job(job)

    def forget_app(self, app: int) -> None:
        """Forget what an app sent and what it still has queued."""
        for key in [key for key, account in self.accounts.items() if account.notification.app == app]:
            self.forget(key)


def owners(job: NewJob) -> list[int]:
    """Return the notifications that a job belongs to."""
    return unpack_all(job.members) if job.members else [job.notification]
