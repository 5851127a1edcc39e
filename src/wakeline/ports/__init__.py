"""The interfaces between the story and the world: small, one per need, values only.

Rule: what is asynchronous here may touch a disk or a network; what is not must return at once.
The conformance suites under tests/conformance are the definition; adapters satisfy them by shape (`typing.Protocol`).
Times are Unix milliseconds unless said otherwise. One long file on purpose: whoever writes an adapter reads it once,
from top to bottom, in the order in which a push meets them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from wakeline.model.app import App, AppSettings
from wakeline.model.brake import BrakeEpisode
from wakeline.model.credential import Credential, CredentialSecret, CredentialState
from wakeline.model.delivery import Attempt, Delivery, DeliveryRow, DeliveryState, Job, NewJob
from wakeline.model.device import (
    Address,
    Candidate,
    Crowd,
    Device,
    DeviceClaim,
    Evidence,
    Recipient,
    TargetChange,
    TargetClaim,
    TargetKind,
    TargetState,
)
from wakeline.model.event import Event, EventType
from wakeline.model.key import ApiKey
from wakeline.model.notification import Counts, Notification
from wakeline.model.outcome import Outcome
from wakeline.model.route import Environment, Hold, Lane, ProviderKind, Route

# --- clock and ids ---------------------------------------------------------------------------------------------------


class Clock(Protocol):
    """Two clocks: the wall for what people read and providers check, the monotonic one for waits."""

    def now(self) -> int:
        """Return the Unix time in milliseconds."""

    def monotonic(self) -> float:
        """Return seconds that never jump (the event loop's clock)."""

    async def sleep(self, seconds: float) -> None:
        """Wait; a fake clock returns when it is told to."""


class Ids(Protocol):
    """Maker of notification keys (`model.ids`): unique in a store, growing, also when the wall clock goes back."""

    def next(self) -> int:
        """Return a new key."""


# --- accepting -------------------------------------------------------------------------------------------------------


class IdempotencyKey(msgspec.Struct, frozen=True, kw_only=True):
    """What makes a POST repeatable: the caller's key in the scope of (API key, path); `fingerprint` is a digest of the body."""

    scope: str
    key: str
    fingerprint: bytes


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer as it was, or will be, given. `secret`: it bore a secret and is never replayed; `resource` names it then."""

    status: int
    body: bytes
    secret: bool = False
    resource: str = ""


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """The same request was served before: this was its answer."""

    reply: Reply


class Mismatch(msgspec.Struct, frozen=True):
    """The Idempotency-Key was used with another body."""


class Running(msgspec.Struct, frozen=True):
    """The first request with this Idempotency-Key is still at work."""


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a bulk notification's ledger: at most 500 packed recipients, of one route."""

    recipients: bytes
    route: int


class Single(NamedTuple):
    """The only delivery of a notification: its route, and its recipient, packed."""

    route: int
    recipient: int


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """One notification with all that is kept with it in one commit.

    `rows` are deliveries that are final already (no credential, payload refused, limited). `chunks` belong to bulk; a job
    refers to the n-th of them by `chunk=-(n+1)`, and the store puts the row id in its place.
    `single`, in place of jobs, is all there is to do for a notification that has one recipient and waits for nothing: those of
    one batch that go the same way share a job, a parcel.
    `reply` is what the caller gets, and what a repeated `idempotency` key gets again.
    """

    notification: Notification
    single: Single | None = None
    jobs: tuple[NewJob, ...] = ()
    rows: tuple[DeliveryRow, ...] = ()
    chunks: tuple[Chunk, ...] = ()
    events: tuple[Event, ...] = ()
    idempotency: IdempotencyKey | None = None
    reply: Reply | None = None


class Committed(msgspec.Struct, frozen=True):
    """It is on disk."""


class Acceptance(Protocol):
    """Notification + idempotency key + jobs, in one commit (promise 1)."""

    async def accept(self, admissions: Sequence[Admission]) -> list[Committed | Replayed | Mismatch | Running]:
        """Keep all of them or, raising StoreUnavailable, or NotFound for a deleted app, none; returns when they are on disk.

        Calls that arrive while a commit runs share the next one. Twins of an idempotency key share one result.
        Queued `held` jobs of the same (app, collapse_key) are superseded by a new one with that key.
        """


class Idempotency(Protocol):
    """Repeatable POSTs that are not notifications (24 h)."""

    async def begin(self, key: IdempotencyKey, now: int) -> Committed | Replayed | Mismatch | Running:
        """Claim the key (Committed: go on), or say what became of its first use."""

    async def finish(self, key: IdempotencyKey, reply: Reply, now: int) -> None:
        """Keep the answer for repeats."""

    async def abandon(self, key: IdempotencyKey) -> None:
        """Forget a key whose request failed on our side."""

    async def prune(self, before: int) -> int:
        """Forget keys first used before that time; returns how many."""


# --- queue and ledger ------------------------------------------------------------------------------------------------


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


# --- the registry ----------------------------------------------------------------------------------------------------


class TargetVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer says about a target: written in batches, idempotent, and only if it still holds.

    `unless_confirmed_after`: do nothing if the app confirmed the token after this time (a 410's timestamp).
    """

    target: int
    state: TargetState
    reason: str
    at: int
    evidence: Evidence | None = None
    unless_confirmed_after: int | None = None
    environment: Environment | None = None


class DevicePage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of devices by row id; `cursor` continues (None: the end)."""

    devices: tuple[Device, ...]
    cursor: int | None


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """A token that was registered with another device and has moved."""

    target: int
    kind: TargetKind
    from_device: str
    to_device: str


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """What a registration did."""

    device: Device
    created: bool
    moved: tuple[Moved, ...] = ()


class StaleTarget(msgspec.Struct, frozen=True, kw_only=True):
    """An active target that nobody vouched for in a long time: neither its app nor an operator since `seen` (Unix ms)."""

    target: int
    device: int
    seen: int


class StalePage(msgspec.Struct, frozen=True, kw_only=True):
    """What of some devices is stale; `cursor` continues (None: the end)."""

    targets: tuple[StaleTarget, ...]
    cursor: int | None


class VoipPlace(NamedTuple):
    """An environment and topic with which VoIP targets are registered."""

    environment: Environment
    topic: str


class Sweep(NamedTuple):
    """What a step over the devices of an app found: crowds by address, and the row id of the last device (0: there is none)."""

    crowds: list[tuple[Address, Crowd]]
    last: int


class Devices(Protocol):
    """The registry, in a database of its own."""

    @property
    def version(self) -> int:
        """Grow with every committed write after which `recipients` may say something else of targets that were there.

        Devices and targets that are new do not count: their ids were nobody's. It has grown before whoever wrote hears of
        the commit, and says nothing across restarts.
        """

    async def put(self, claims: Sequence[DeviceClaim]) -> list[Registered]:
        """Upsert devices by (app, device_id).

        A token that belonged to another device of the app moves; a registered token is active and confirmed again;
        a change of users raises the generation; targets not named any more are removed. All claims are kept, or none.

        An import (`confirmed` is given) removes targets of the kinds that it names only, and changes nothing that the app said
        later than that.
        """

    async def take_in(self, claims: Sequence[DeviceClaim]) -> None:
        """Upsert devices as `put` does, one after the other, for who brings thousands and asks for no more than that they are kept.

        Everybody else's writes go first. When it raises, some of them may be kept.
        """

    async def put_target(self, app: int, device_id: str, claim: TargetClaim, at: int) -> Registered:
        """Upsert one target alone. Raises NotFound for an unknown device."""

    async def get(self, app: int, device_id: str) -> Device | None:
        """Return a device with all its targets."""

    async def by_id(self, device: int) -> Device | None:
        """Return a device by its row id."""

    async def by_target(self, app: int, kind: TargetKind, value: str) -> Device | None:
        """Return the device that owns this token."""

    async def by_endpoint(self, app: int, endpoint: str) -> Device | None:
        """Return the device that owns the Web Push subscription at this endpoint, whatever its keys."""

    async def by_target_id(self, target: int) -> Device | None:
        """Return the device that owns the target with this row id."""

    async def by_target_ids(self, targets: Sequence[int]) -> dict[int, Device]:
        """Return the devices that own these targets, by target, in as few queries as possible; unknown ones are left out."""

    async def find(
        self,
        app: int,
        *,
        user: str | None = None,
        state: TargetState | None = None,
        cursor: int = 0,
        limit: int = 50,
    ) -> DevicePage:
        """List devices by row id. `state` is that of the device: as good as its best target; one without targets has none."""

    async def delete(self, app: int, device_id: str) -> bool:
        """Forget a device and its targets."""

    async def erase_user(self, app: int, user: str, at: int) -> int:
        """Forget a user and every device that is only theirs; returns devices touched.

        `at`, Unix ms: since then the others hold the rest of them, and are not shown what was sent before.
        """

    async def restore(
        self,
        app: int,
        *,
        device_id: str | None = None,
        since: int = 0,
        until: int | None = None,
        route: int | None = None,
        proven: bool = True,
        reason: str = "restored",
        at: int,
    ) -> int:
        """Make quarantined and retired targets active again: of one device, or all that fell in a time range. Returns how many.

        `route`: only those whose evidence is an answer given on that route; `proven=False`: not those whose evidence is proof
        (`Evidence.proof`). History says `reason`.
        """

    async def set_presence(self, app: int, device_id: str, connected_until: int) -> None:
        """Say that the device is connected until then. Raises NotFound."""

    async def ensure_raw(self, app: int, claims: Sequence[TargetClaim], at: int) -> list[Candidate]:
        """Return a candidate for each raw token, registering unknown ones under a device of their own (a hash of the token)."""

    async def candidates_of_users(self, app: int, users: Sequence[str]) -> list[Candidate]:
        """Return the active targets of all devices of these users (one query, covering index)."""

    async def candidates_of_devices(self, app: int, device_ids: Sequence[str]) -> list[Candidate]:
        """Return the active targets of these devices."""

    async def walk(self, app: int, *, tags: Sequence[str], after: int, limit: int) -> list[Candidate]:
        """Return the active targets of the next `limit` devices after that row id, in device order; no tags: all registered."""

    async def sweep(self, app: int, *, kinds: Collection[TargetKind], after: int, limit: int, locales: bool) -> Sweep:
        """Return the active targets of these kinds of the next `limit` registered devices after that row id, in columns.

        A device may have several. `locales`: whether somebody reads them.
        """

    async def count(self, app: int, *, tags: Sequence[str]) -> int:
        """Estimate how many devices a walk will meet."""

    async def recipients(self, targets: Sequence[int]) -> list[Recipient]:
        """Return what sending needs of these targets, in the order asked for; unknown ones are left out."""

    async def judge(self, verdicts: Sequence[TargetVerdict]) -> list[TargetVerdict]:
        """Apply what answers said; returns those that changed something."""

    async def bump_badges(self, devices: Sequence[int], notification: int, *, again: bool = False) -> dict[int, int]:
        """Count each device's badge up by one for a notification and return the new numbers.

        The notification that was last counted for a device is not counted twice; one that is tried `again` is not counted.
        """

    async def app_counts(self, app: int) -> dict[TargetState, int]:
        """Count targets by state."""

    async def voip_places(self, app: int, *, limit: int = 20) -> list[VoipPlace]:
        """Return where the active VoIP targets of an app are, sorted; cheap, however many there are of them."""

    async def stale(self, app: int, *, before: int, cursor: int = 0, limit: int = 500) -> StalePage:
        """Look at the next `limit` devices and return their active targets that were last vouched for before that time.

        Whatever says that the app is alive counts: a registration, a connection, a target put back by an operator. Devices
        behind raw tokens are left out: nobody ever registers them again.
        """

    async def history(self, device: int, *, limit: int = 50) -> list[TargetChange]:
        """Return what became of this device's targets, newest first."""

    async def prune(self, before: int) -> int:
        """Forget history older than that; returns how many steps."""


class Apps(Protocol):
    """Apps, by slug and by id. Reads are from memory: every request asks."""

    async def create(self, slug: str, name: str, at: int) -> App:
        """Raises Conflict if the slug exists."""

    def get(self, slug: str) -> App | None:
        """Return an app by its slug."""

    def by_id(self, app: int) -> App | None:
        """Return an app by its row id."""

    def all(self) -> list[App]:
        """Return all apps by slug."""

    async def update(
        self,
        app: int,
        *,
        name: str | None = None,
        settings: AppSettings | None = None,
        paused: bool | None = None,
    ) -> App:
        """Change what is given. Raises NotFound."""

    async def delete(self, app: int) -> None:
        """Forget the app with its credentials, routes, queue and devices."""

    def listen(self, changed: Callable[[int], None]) -> None:
        """Have `changed(app id)` called after an app was changed: what a pause held back waits for that."""


class NewCredential(msgspec.Struct, frozen=True, kw_only=True):
    """A credential that was inspected and found usable: `facts.id` is 0 until it is kept."""

    facts: Credential
    secret: CredentialSecret


class Credentials(Protocol):
    """Credentials: facts readable, secrets sealed."""

    async def create(self, new: NewCredential, at: int) -> Credential:
        """Seal and keep it."""

    async def replace(self, credential: int, new: NewCredential, at: int) -> Credential:
        """Put new content in place of the old, same id, next revision; state becomes `unproven`.

        The last content that was `working` is kept as the former one, until `revert` or `forget_former`.
        """

    def former(self, credential: int) -> Credential | None:
        """Return the content that worked before the last replacement, while it is kept; from memory."""

    async def revert(self, credential: int, note: str) -> Credential:
        """Put the former content back, next revision, state `working` with this note. Raises NotFound if none is kept."""

    async def forget_former(self, credential: int) -> None:
        """Forget the former content, facts and secret."""

    def of_app(self, app: int) -> list[Credential]:
        """Return an app's credentials, oldest first, from memory."""

    def get(self, credential: int) -> Credential | None:
        """Return one by id, from memory."""

    def all(self) -> list[Credential]:
        """Return all, from memory."""

    async def secret(self, credential: int, *, former: bool = False) -> CredentialSecret:
        """Open the sealed half, or that of the former content. Raises NotFound, SecretError."""

    async def set_state(self, credential: int, state: CredentialState, note: str) -> None:
        """Remember what the provider thought of it."""

    async def delete(self, credential: int) -> None:
        """Forget it."""

    def listen(self, changed: Callable[[int], None]) -> None:
        """Have `changed(app id)` called after a credential of that app was created, replaced, judged or deleted."""


class Routes(Protocol):
    """Routes and the holds on them; small, in memory, written through."""

    async def ensure(self, app: int, provider: ProviderKind, environment: Environment, topic: str) -> Route:
        """Return the route, making it at its first use."""

    def get(self, route: int) -> Route | None:
        """Return a route by id."""

    def all(self) -> list[Route]:
        """Return all routes."""

    async def hold(self, route: int, hold: Hold | None) -> Route:
        """Hold it, or (None) release it; survives restarts."""


class Brakes(Protocol):
    """Brake episodes; few, in memory, written through."""

    async def keep(self, episode: BrakeEpisode) -> BrakeEpisode:
        """Keep a new episode; its id is given by the store. Raises NotFound for a deleted app."""

    async def change(self, episode: BrakeEpisode) -> None:
        """Write what became of it. Raises NotFound."""

    def get(self, episode: int) -> BrakeEpisode | None:
        """Return one by id."""

    def all(self) -> list[BrakeEpisode]:
        """Return all, the newest first."""

    async def prune(self, before: int) -> int:
        """Forget released ones that closed before that time; returns how many."""


class ApiKeys(Protocol):
    """API keys, by digest. Reads are from memory."""

    async def create(self, key: ApiKey) -> ApiKey:
        """Keep a key; its id is given by the store."""

    def by_digest(self, digest: bytes) -> ApiKey | None:
        """Return the key with this SHA-256 digest."""

    def all(self) -> list[ApiKey]:
        """Return all keys."""

    async def revoke(self, key: int, at: int) -> ApiKey:
        """Make it useless. Raises NotFound."""

    async def touch(self, used: Mapping[int, int]) -> None:
        """Write when keys were last used (batched, at most once a minute)."""


RESTORED_AT = "restored_at"
BACKED_UP_AT = "backed_up_at"
HOLD_NEW_ROUTES = "hold_new_routes"


class Settings(Protocol):
    """Small facts of the installation (restored backup, ids of this store) by name.

    `RESTORED_AT` is the time (Unix ms) at which a backup was restored, `BACKED_UP_AT` that of the newest backup. While
    `HOLD_NEW_ROUTES` is set, `Routes.ensure` holds what it makes, so that nothing leaves a restored store before the operator
    releases it.
    """

    async def get(self, name: str) -> str | None:
        """Return a value, or None."""

    async def set(self, name: str, value: str | None) -> None:
        """Keep a value; None forgets it."""


class Secrets(Protocol):
    """Sealing with the master key (AES-256-GCM). `context` is the additional data: row id + kind + app."""

    def seal(self, secret: bytes, context: str) -> bytes:
        """Return the sealed form."""

    def open(self, sealed: bytes, context: str) -> bytes:
        """Return the secret. Raises SecretError."""

    def derive(self, purpose: str) -> bytes:
        """Return 32 bytes for another purpose (signing device tokens and cursors), stable for this master key."""

    def accepted(self, purpose: str) -> tuple[bytes, ...]:
        """Return `derive(purpose)`, and what it was under the master keys before, whose signatures still count."""

    @property
    def key_id(self) -> str:
        """Return the name of the master key that seals; it tells nothing of the key."""

    def knows(self, key_id: str) -> bool:
        """Tell whether the master key of this name is held, as the current one or a former one."""

    def is_current(self, sealed: bytes) -> bool:
        """Tell whether a value is sealed with the current master key."""


class Rotated(msgspec.Struct, frozen=True, kw_only=True):
    """What a change of the master key did: the names of the new key and of the former ones kept, and how much was sealed anew."""

    key: str
    former: tuple[str, ...]
    resealed: int


class MasterKey(Protocol):
    """The master key as something that can be changed while it is used."""

    async def rotate(self, new_key: bytes | None = None, *, revoke_old: bool = False) -> Rotated:
        """Seal everything with a new key (`new_key`, else one that is made); on disk on return.

        The former key still opens, and what was signed with it still counts, unless `revoke_old`. Raises Conflict where the
        key cannot be changed here, StoreUnavailable; whatever is raised, nothing that was sealed is lost.
        """


class StoreHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How the store is: `wal_bytes` of all write-ahead logs, `disk_free` bytes where it lives, seconds of the last commit."""

    writable: bool
    detail: str = ""
    disk_free: int = 0
    wal_bytes: int = 0
    last_commit_seconds: float = 0.0
    low_disk: bool = False


class StoreKeeper(Protocol):
    """Housekeeping of the store itself."""

    def health(self) -> StoreHealth:
        """Return how it is; cheap, from memory and one statvfs."""

    async def checkpoint(self) -> None:
        """Fold the write-ahead logs into their databases."""


# --- ways out --------------------------------------------------------------------------------------------------------


class Shipment(msgspec.Struct, kw_only=True, eq=False):
    """A batch on its way: one notification to recipients of one route, at most what `Sender.room` allowed.

    `parcel` names the notification of each recipient where they are many; `notification` is the first of them then.
    `deadline` is on the monotonic clock (seconds); `badges` maps device row ids to their new badge if content asks for "+1".
    `on_results(shipment, accepted, others)` is called once or several times, on the loop thread, with positions in
    `recipients`; each position is reported exactly once. Accepted ones that follow each other are a range.
    """

    route: Route
    lane: Lane
    notification: Notification
    recipients: Sequence[Recipient]
    deadline: float
    on_results: Callable[[Shipment, Sequence[int], list[tuple[int, Outcome]]], None]
    badges: dict[int, int] = msgspec.field(default_factory=dict)
    attempt: int = 1
    started: float = 0.0
    parcel: Sequence[Notification] = ()

    def notification_of(self, position: int) -> Notification:
        """Return the notification that a recipient gets."""
        return self.parcel[position] if self.parcel else self.notification


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What would be sent to one recipient: authorization redacted, token masked."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: str
    size: int
    limit: int
    warnings: tuple[str, ...] = ()


class SenderStats(msgspec.Struct, frozen=True, kw_only=True):
    """How a sender's connections are. `last_goaway`: the reason that the server gave when it last ended one."""

    connections: int = 0
    in_flight: int = 0
    queued: int = 0
    last_failure: str = ""
    last_goaway: str = ""


class Sender(Protocol):
    """A route with its credential: what the dispatcher speaks to."""

    def room(self, *, call: bool = False) -> int:
        """Return how many requests may be handed over now; calls may use the reserved tenth."""

    def send(self, shipment: Shipment) -> None:
        """Take a shipment; never blocks, never raises for what a provider might say. If it raises, it sent nothing of it."""

    async def check(self) -> Outcome:
        """Ask the provider something that reaches nobody, on a connection of its own, and say what was learnt."""

    def stats(self) -> SenderStats:
        """Return how its connections are."""

    async def close(self, *, drain: float) -> None:
        """Finish what is in flight within `drain` seconds, then close."""


class Provider(Protocol):
    """One push service."""

    kind: ProviderKind

    def open(self, route: Route, credential: Credential, secret: CredentialSecret, wake: Callable[[], None]) -> Sender:
        """Return a sender; senders of one origin and credential share connections. `wake` is called when room appears."""

    def preview(
        self, notification: Notification, route: Route, credential: Credential, recipient: Recipient, now: int
    ) -> Preview:
        """Return what `send` would write; pure."""

    def size(self, notification: Notification) -> tuple[int, int, str]:
        """Return (bytes of the longest variant, limit, JSON Pointer of the field to shorten if it is too long); pure.

        Of what surely fits, the bytes may be more than it has: they are counted exactly only where that decides.

        Raises InvalidRequest for what the service would refuse whatever its size (reserved keys, bad headers).
        """


class HttpAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class HttpClient(Protocol):
    """Plain HTTPS for slow paths (OAuth tokens, webhooks), behind the outbound guard."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> HttpAnswer:
        """POST without following redirects. Raises TransportError; `timeout` in seconds."""
