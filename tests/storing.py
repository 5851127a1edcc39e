"""What tests of the stores are made of: a clock that is told, and builders that fill in what a test does not care about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wakeline.config import Storage
from wakeline.model.app import App
from wakeline.model.delivery import Attempt, DeliveryRow, DeliveryState, Job, JobKind, NewJob, pack, pack_all
from wakeline.model.device import Device, DeviceClaim, TargetClaim, TargetKind
from wakeline.model.notification import Alert, Audience, Content, Notification, PushType
from wakeline.model.route import Environment, Lane, ProviderKind, Route
from wakeline.ports import Admission, Chunk, IdempotencyKey, Reply, Settlement
from wakeline.storage.memory import MemoryStore
from wakeline.storage.sealing import Sealer
from wakeline.storage.sqlite import SqliteStore

Store = MemoryStore | SqliteStore

NOW = 1_790_000_000_000
HOUR = 3_600_000
DAY = 24 * HOUR


class ToldClock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> int:
        return self.time

    def monotonic(self) -> float:
        return self.time / 1000

    async def sleep(self, seconds: float) -> None:
        self.time += round(seconds * 1000)


def sqlite_store(folder: Path, clock: ToldClock | None = None, settings: Storage | None = None) -> SqliteStore:
    return SqliteStore(
        folder / "wakeline.db",
        clock=clock or ToldClock(),
        secrets=Sealer(b"m" * 32),
        settings=settings or Storage(ballast=0, low_disk=0),
    )


async def some_app(store: Store, slug: str = "acme-chat") -> App:
    return store.apps.get(slug) or await store.apps.create(slug, slug.title(), NOW)


async def some_route(store: Store, topic: str = "") -> Route:
    app = await some_app(store)
    return await store.routes.ensure(app.id, ProviderKind.APNS, Environment.PRODUCTION, topic)


def claim(
    app: App,
    device_id: str = "phone",
    *,
    users: Sequence[str] = ("alice",),
    tokens: Sequence[str] = ("aa",),
    kind: TargetKind = TargetKind.APNS,
    at: int = NOW,
    tags: Sequence[str] = (),
    limit: int = 0,
    confirmed: int | None = None,
) -> DeviceClaim:
    return DeviceClaim(
        app=app.id,
        device_id=device_id,
        users=tuple(users),
        targets=tuple(TargetClaim(kind=kind, value=token) for token in tokens),
        at=at,
        tags=tuple(tags),
        max_devices_per_user=limit,
        confirmed=confirmed,
    )


async def some_device(store: Store, device_id: str = "phone", value: str = "aa", user: str = "alice") -> Device:
    app = await some_app(store)
    (registered,) = await store.devices.put([claim(app, device_id, users=(user,), tokens=(value,))])
    return registered.device


def job(
    key: int,
    route: int,
    targets: Sequence[int] = (1,),
    *,
    lane: Lane = Lane.ALERT,
    due: int = NOW,
    expires: int = NOW + HOUR,
    chunk: int = 0,
    attempt: int = 1,
    code: int = 0,
    collapse_key: str = "",
    app: int = 1,
) -> NewJob:
    return NewJob(
        notification=key,
        app=app,
        route=route,
        lane=lane,
        due=due,
        expires=expires,
        recipients=pack_all([pack(target, 1) for target in targets]),
        chunk=chunk,
        attempt=attempt,
        code=code,
        collapse_key=collapse_key,
    )


def notification(
    key: int, *, app: int = 1, recipients: int = 1, bulk: bool = False, walked: bool = True
) -> Notification:
    return Notification(
        key=key,
        app=app,
        content=Content(type=PushType.ALERT, alert=Alert(title="Hello", body=f"number {key}")),
        lane=Lane.BULK if bulk else Lane.ALERT,
        due=NOW,
        expires=NOW + HOUR,
        created=NOW,
        bulk=bulk,
        audience=None if walked else Audience(everyone=True),
        recipients=recipients,
        walked=walked,
        request_id=f"req-{key}",
    )


def admission(
    key: int,
    *jobs: NewJob,
    rows: Sequence[DeliveryRow] = (),
    idempotency: IdempotencyKey | None = None,
    reply: Reply | None = None,
    app: int = 1,
) -> Admission:
    recipients = sum(len(job.recipients) // 8 for job in jobs) + len(rows)
    return Admission(
        notification=notification(key, app=app, recipients=recipients),
        jobs=jobs,
        rows=tuple(rows),
        idempotency=idempotency,
        reply=reply,
    )


def bulk_admission(key: int, route: int, *parts: Sequence[int]) -> Admission:
    packed = [pack_all([pack(target, 1) for target in part]) for part in parts]
    return Admission(
        notification=notification(key, recipients=sum(map(len, parts)), bulk=True),
        chunks=tuple(Chunk(recipients=recipients, route=route) for recipients in packed),
        jobs=tuple(job(key, route, part, lane=Lane.BULK, chunk=-(place + 1)) for place, part in enumerate(parts)),
    )


def walk_admission(key: int) -> Admission:
    walk = NewJob(notification=key, app=1, route=0, lane=Lane.BULK, due=NOW, expires=NOW + HOUR, kind=JobKind.FANOUT)
    return Admission(notification=notification(key, recipients=0, bulk=True, walked=False), jobs=(walk,))


def row(
    key: int, target: int, state: DeliveryState = DeliveryState.ACCEPTED, *, tries: int = 1, attempt: bool = True
) -> DeliveryRow:
    made = Attempt(number=tries, at=NOW, duration=12, status=200, outcome_class="accepted") if attempt else None
    return DeliveryRow(key, target, state, 0, 200, "", "accepted", f"id-{target}", tries, NOW, made)


def accepted(*jobs: Job) -> Settlement:
    """Return the settlement of jobs whose recipients were all accepted."""
    settlement = Settlement(finished=[job.id for job in jobs])
    for claimed in jobs:
        targets = [
            int.from_bytes(claimed.recipients[start : start + 8], "little") >> 16
            for start in range(0, len(claimed.recipients), 8)
        ]
        settlement.rows += [row(claimed.notification, target) for target in targets]
        key = claimed.notification, DeliveryState.ACCEPTED
        settlement.counts[key] = settlement.counts.get(key, 0) + len(targets)
    return settlement
