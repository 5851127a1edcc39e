"""The queue of jobs, the ledger of what became of them, and the journal of events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import NamedTuple, Protocol

import msgspec

from wakeline.model.delivery import Attempt, Delivery, DeliveryRow, DeliveryState, Job, NewJob
from wakeline.model.event import Event, EventType
from wakeline.model.notification import Counts, Notification
from wakeline.model.route import Lane
from wakeline.ports.accepting import Chunk


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """Work waiting on a route and lane: when its first job is due."""

    route: int
    lane: Lane
    at: int


class JobProgress(msgspec.Struct, frozen=True, kw_only=True):
    """A leased job of which some recipients are settled: what remains, packed; of a parcel, its `members` too."""

    job: int
    remaining: bytes
    members: bytes = b""


class BulkResult(msgspec.Struct, frozen=True, kw_only=True):
    """Results inside a bulk chunk: (first position in the chunk, 8 bytes for each from there on, as `model.delivery.BULK_ENTRY`).

    A job that was partly settled before a crash, or retried, holds fewer recipients than its chunk: `Queue.chunks` tells.
    """

    chunk: int
    entries: tuple[tuple[int, bytes], ...]


class FanoutStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a walk over devices: the jobs and chunks it made, committed together with its cursor.

    `job` is the fan-out job; `cursor` the device row id reached; `finished`: nobody is left. `found` counts deliveries made.
    `jobs` refer to `chunks` as in `Admission`, and so does `results` by a negative `chunk`: `rows` and `results` are deliveries
    that are final already (no credential ...); `counts` must count them.
    """

    job: int
    notification: int
    cursor: int
    finished: bool
    found: int
    jobs: tuple[NewJob, ...] = ()
    chunks: tuple[Chunk, ...] = ()
    rows: tuple[DeliveryRow, ...] = ()
    results: tuple[BulkResult, ...] = ()
    counts: tuple[tuple[DeliveryState, int], ...] = ()
    events: tuple[Event, ...] = ()


class AcceptedRun(NamedTuple):
    """Deliveries that were accepted at once and in the same attempt: two columns of equal length, and what they share.

    `whole`: each is the only delivery of its notification and came from a parcel, so that the run counts and completes them.
    """

    notifications: Sequence[int]
    targets: Sequence[int]
    attempt: Attempt
    at: int
    whole: bool = False


class Settlement(msgspec.Struct, kw_only=True):
    """What a batch of answers changes, in one commit. `counts`: (notification, state) -> how many more in a written state.

    Waiting states (queued, scheduled, held, sending) are derived from jobs and must not be counted here.
    `accepted` are rows that differ in little. `ended` are the notifications of parcels whose delivery ended otherwise: no job
    of theirs does. `quiet`: nobody listens, and the completion of a notification with one delivery, which was accepted, is no
    event.
    """

    finished: list[int] = msgspec.field(default_factory=list)
    progress: list[JobProgress] = msgspec.field(default_factory=list)
    again: list[NewJob] = msgspec.field(default_factory=list)
    rows: list[DeliveryRow] = msgspec.field(default_factory=list)
    accepted: list[AcceptedRun] = msgspec.field(default_factory=list)
    ended: list[int] = msgspec.field(default_factory=list)
    bulk: list[BulkResult] = msgspec.field(default_factory=list)
    counts: dict[tuple[int, DeliveryState], int] = msgspec.field(default_factory=dict)
    events: list[Event] = msgspec.field(default_factory=list)
    quiet: bool = False

    @property
    def empty(self) -> bool:
        """Tell whether there is nothing to write."""
        return not (
            self.finished or self.progress or self.again or self.rows or self.accepted or self.bulk or self.events
        )


class LaneDepth(msgspec.Struct, frozen=True, kw_only=True):
    """How much waits: jobs and deliveries of one route and lane; `oldest` is the earliest due time (None: nothing)."""

    route: int
    lane: Lane
    jobs: int
    deliveries: int
    leased: int
    oldest: int | None


class Cancelled(msgspec.Struct, frozen=True, kw_only=True):
    """What a cancel reached: deliveries taken out of the queue, and how many were already at a provider."""

    cancelled: int
    in_flight: int


class Queue(Protocol):
    """Durable jobs. Leases live in memory: the process that owns the store is the only one that claims."""

    def listen(self, wake: Callable[[int, Lane, int], None]) -> None:
        """Have `wake(route, lane, due)` called after a commit that put jobs there (on the loop thread)."""

    async def due(self, now: int) -> list[Due]:
        """Return, for each (route, lane) with waiting unleased jobs, when the first is due; fan-out jobs are on route 0."""

    async def claim(self, route: int, lane: Lane, *, limit: int, now: int) -> list[Job]:
        """Lease due jobs of this route and lane, earliest first, up to about `limit` deliveries; never the same job twice."""

    async def claim_expired(self, *, limit: int, now: int) -> list[Job]:
        """Lease jobs whose `expires` is at or before `now`, on any route, held or not."""

    async def chunks(self, chunks: Sequence[int]) -> dict[int, bytes]:
        """Return the packed recipients of bulk chunks: a retry needs the positions of what remains of them."""

    async def settle(self, settlement: Settlement) -> None:
        """Write a batch of results; durable on return. Finished jobs end, progressed ones stay leased.

        `again` for a cancelled notification is written as cancelled. A notification of which no job remains is completed.
        """

    async def step(self, step: FanoutStep) -> None:
        """Write one step of a fan-out. Its job stays leased until it is finished or released, so that nobody walks twice.

        A step of a cancelled notification makes nothing and ends the walk.
        """

    async def release(self, jobs: Sequence[int]) -> None:
        """Give leased jobs back unsent (drain, hold); they are due at once, or cancelled if their notification was."""

    async def cancel(self, notification: int, now: int) -> Cancelled:
        """Take what is not leased out of the queue, write it as cancelled, mark the notification cancelled."""

    async def depth(self) -> list[LaneDepth]:
        """Count what waits."""

    async def pending(self) -> int:
        """Return the number of deliveries waiting or leased (kept in memory, exact after start)."""

    async def rescue(self) -> int:
        """Forget all leases (start after a crash): their jobs are due again. Returns how many."""


class DeliveryPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of deliveries, by target row id (bulk: in the order of the walk); `cursor` continues, opaque (None: the end)."""

    deliveries: tuple[Delivery, ...]
    cursor: int | None


class Ledger(Protocol):
    """What happened: notifications, deliveries, attempts; bounded by retention."""

    async def notification(self, key: int) -> Notification | None:
        """Return a notification, or None."""

    async def notifications(self, keys: Sequence[int]) -> dict[int, Notification]:
        """Return those that exist, for dispatch (cached by the adapter)."""

    async def counts(self, key: int, now: int) -> Counts:
        """Count deliveries by state; what is not written yet (queued, scheduled, held) is derived from its jobs and holds."""

    async def deliveries(
        self, key: int, *, now: int, state: DeliveryState | None = None, cursor: int = 0, limit: int = 50
    ) -> DeliveryPage:
        """Return deliveries with their attempts: rows, bulk entries and what still waits in jobs, as one list."""

    async def delivery(self, key: int, target: int, now: int) -> Delivery | None:
        """Return one delivery, or None."""

    async def recent(self, app: int, *, device: int | None = None, limit: int = 20) -> list[Delivery]:
        """Return the newest deliveries written for an app or one of its devices, for explain and the doctor.

        Of an app, what is older than its newest 5,000 notifications may be left out: these may all be waiting.
        """

    async def broadcasts(self, app: int, *, limit: int = 20) -> list[Notification]:
        """Return the newest broadcasts of an app, newest first, for the doctor."""

    async def prune(self, before: int, limit: int) -> int:
        """Delete notifications that are done and older than `before`, with all that belongs to them; returns how many."""

    async def newest(self) -> int:
        """Return the largest key of a notification kept (0: none), above which new keys begin after a start."""


class Events(Protocol):
    """The journal of events and its live feed."""

    async def append(self, events: Sequence[Event]) -> None:
        """Keep events that do not belong to a settlement; durable on return."""

    async def read(
        self,
        *,
        after: int,
        types: frozenset[EventType] | None = None,
        apps: frozenset[str] | None = None,
        limit: int = 500,
    ) -> list[Event]:
        """Return events with `seq` above `after`, oldest first."""

    async def last(self) -> int:
        """Return the newest `seq` (0: none)."""

    def follow(self) -> AsyncIterator[None]:
        """Yield whenever something was appended; a slow follower misses wake-ups, never events (it reads by `seq`)."""

    def followed(self) -> bool:
        """Tell whether anybody follows at this moment, or did since this was last asked."""

    def listen(self, appended: Callable[[], None]) -> None:
        """Have `appended()` called after a commit with events (on the loop thread); who listens does not count as a follower."""

    async def prune(self, before: int) -> int:
        """Delete events older than `before`; returns how many."""
