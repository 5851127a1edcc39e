"""From claimed jobs to loads: everything that sending needs, fetched in few queries, and everything checked once more.

What was true at acceptance is not enough: the notification may be cancelled or late, the device may have another user, the
token may have died. What must not go is settled here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import structlog

from wakeline.model.delivery import DeliveryState, Job, JobKind, unpack_all
from wakeline.model.device import Recipient
from wakeline.model.errors import WakelineError
from wakeline.model.moments import worded
from wakeline.model.notification import Content, Notification
from wakeline.model.outcome import Outcome
from wakeline.pipeline.load import LIMITED, Load, Refused, check, check_again, load_of
from wakeline.pipeline.parts import Parts
from wakeline.pipeline.remembered import Remembered
from wakeline.pipeline.route import RouteTable
from wakeline.pipeline.settle import Settle
from wakeline.pipeline.terms import COUNT_UP
from wakeline.wire.outcomes import Refusal, ours, refusal_of_hold

_log = structlog.get_logger()

_BADGES_KEPT = 10_000


class Claims:
    """Makes loads."""

    def __init__(self, parts: Parts, table: RouteTable, settle: Settle, remembered: Remembered) -> None:
        self._parts = parts
        self._remembered = remembered
        self._table = table
        self._settle = settle
        self._badges: dict[tuple[int, int], int] = {}

    async def loads(self, jobs: Sequence[Job]) -> list[Load]:
        """Return loads for leased jobs, unchecked; a job of which none can be made is settled as failed.

        Raises StoreUnavailable; then nothing was settled.
        """
        sends = [job for job in jobs if job.kind is JobKind.SEND]
        if not sends:
            return []
        try:
            return await self._loads(sends)
        except WakelineError:
            raise
        except Exception:  # noqa: BLE001 - one of them is to blame, and the others must not wait for ever
            return [load for job in sends for load in await self._one_load(job)]

    async def _loads(self, sends: Sequence[Job]) -> list[Load]:
        keys = {key for job in sends for key in (unpack_all(job.members) if job.members else (job.notification,))}
        known = await self._parts.ledger.notifications(list(keys))
        wanted = [job.chunk for job in sends if job.chunk and not self._remembered.knows(job)]
        chunks = await self._parts.queue.chunks(wanted) if wanted else {}
        loads = (load_of(job, known, chunks.get(job.chunk)) for job in sends)
        return [load for load in loads if load is not None]

    async def _one_load(self, job: Job) -> list[Load]:
        try:
            return await self._loads([job])
        except WakelineError:
            raise
        except Exception:  # noqa: BLE001 - whatever it is, nobody else would end this job
            _log.exception("job.unreadable", job=job.id, notification=job.notification)
            if job.members:
                return await self._readable(job)
            packed = unpack_all(job.recipients)
            load = Load(job, _nameless(job, job.notification), packed, range(len(packed)))
            self.end_all(load, DeliveryState.FAILED, ours(Refusal.DEFECT))
            return [load]

    async def _readable(self, job: Job) -> list[Load]:
        """Return the load of a parcel; those of its notifications that cannot be read fail alone."""
        known: dict[int, Notification] = {}
        unreadable: set[int] = set()
        for key in unpack_all(job.members):
            try:
                known.update(await self._parts.ledger.notifications([key]))
            except WakelineError:
                raise
            except Exception:  # noqa: BLE001 - the same, and the others are to be sent
                _log.exception("notification.unreadable", job=job.id, notification=key)
                known[key] = _nameless(job, key)
                unreadable.add(key)
        load = load_of(job, known, None)
        if load is None:
            return []
        broken = [index for index, key in enumerate(load.keys) if key in unreadable]
        self.end(load, broken, DeliveryState.FAILED, ours(Refusal.DEFECT))
        return [load]

    async def check(self, loads: Sequence[Load]) -> list[Load]:
        """Fill in recipients as they are now, settle those that must not get it, return the loads that may go.

        Raises StoreUnavailable; then some of them may be settled in part.
        """
        alive = [load for load in loads if not load.finished and not self._over(load)]
        known = {load.job.id: crowd for load in alive if (crowd := self._remembered.take(load.job)) is not None}
        targets = {packed >> 16 for load in alive if load.job.id not in known for packed in load.packed}
        found = await self._found(list(targets)) if targets else {}
        now = self._parts.clock.monotonic()
        for load in alive:
            load.checked = load.claimed = now
            if (crowd := known.get(load.job.id)) is not None:
                load.recipients, load.ready = crowd, range(len(crowd))
            else:
                self._refuse(load, check(load, found))
            await self._count_badges(load)
        return [load for load in alive if load.unsent]

    async def check_again(self, load: Load) -> None:
        """Look once more at what of a load has waited for room: users and tokens may have changed since it was claimed."""
        targets = [load.packed[index] >> 16 for index in load.ready[load.next :]]
        found = await self._found(targets)
        load.checked = self._parts.clock.monotonic()
        self._refuse(load, check_again(load, found))

    async def _found(self, targets: Sequence[int]) -> dict[int, Recipient]:
        found = self._remembered.singles(targets)
        missing = [target for target in targets if target not in found] if len(found) < len(targets) else []
        if missing:
            found.update((recipient.target, recipient) for recipient in await self._parts.devices.recipients(missing))
        return found

    def _refuse(self, load: Load, refused: Iterable[Refused]) -> None:
        for number, outcome in refused:
            skipped = outcome.reason == Refusal.USER_CHANGED
            self.end(load, (number,), DeliveryState.SKIPPED if skipped else DeliveryState.FAILED, outcome)

    async def _stop_if_cancelled(self, load: Load) -> None:
        """End a load that was cancelled while its badges were written: it stands on no shelf yet, where a cancel would find it."""
        key = load.notification.key
        known = (await self._parts.ledger.notifications([key])).get(key)
        if known is None or known.cancelled:
            load.drop()
            self.end_all(load, DeliveryState.CANCELLED, ours(Refusal.CANCELLED))

    def end(self, load: Load, numbers: Iterable[int], state: DeliveryState, outcome: Outcome) -> None:
        """Settle recipients for which no request was made."""
        now = self._parts.clock.now()
        for number in numbers:
            self._settle.final(load, number, state, outcome, at=now)

    def end_all(self, load: Load, state: DeliveryState, outcome: Outcome) -> None:
        """Settle a whole load for which no request was made."""
        self.end(load, range(len(load.packed)), state, outcome)

    def _over(self, load: Load) -> bool:
        """Settle what of a load is cancelled or late; tell whether that was all of it."""
        if load.members:
            stopped = [index for index, member in enumerate(load.members) if member.cancelled]
            self.end(load, stopped, DeliveryState.CANCELLED, ours(Refusal.CANCELLED))
            if load.finished:
                return True
        elif load.notification.cancelled:
            self.end_all(load, DeliveryState.CANCELLED, ours(Refusal.CANCELLED))
            return True
        if load.job.expires <= self._parts.clock.now():
            self.end_all(load, DeliveryState.EXPIRED, self.late(load.job))
            return True
        return False

    def late(self, job: Job) -> Outcome:
        """Return the outcome of a push whose ttl ended: with the code and the cause of what it waited for."""
        way = self._table.way(job.route)
        hold = self._table.barrier(way) if way is not None else None
        if hold is None and job.code == LIMITED:
            allowed = f"The next push is allowed at {worded(job.due)}."
            expired = ours(Refusal.EXPIRED, detail=f"{ours(Refusal.DEVICE_RATE_LIMITED).cause} {allowed}")
            limit = ours(Refusal.DEVICE_RATE_LIMITED)
            return msgspec.structs.replace(expired, code=LIMITED, reason=limit.reason, fix=limit.fix)
        if hold is None:
            return ours(Refusal.EXPIRED)
        expired = ours(Refusal.EXPIRED, detail=hold.cause)
        return msgspec.structs.replace(expired, code=hold.code, reason=refusal_of_hold(hold), fix=hold.fix)

    async def _count_badges(self, load: Load) -> None:
        """Count badges up, once a notification and device: a second attempt shows the number of the first.

        What was counted before a restart is known to the store by the attempt and by the device's last notification.
        A parcel has nothing to count: what counts goes alone.
        """
        alert = load.notification.content.alert
        if load.members or alert is None or alert.badge != COUNT_UP or not load.ready:
            return
        key = load.notification.key
        devices = {load.recipients[number].device for number in load.ready}
        if len(self._badges) + len(devices) > _BADGES_KEPT:
            self._badges = {}
        fresh = [device for device in devices if (key, device) not in self._badges]
        if fresh:
            again = load.job.attempt > 1
            bumped = await self._parts.devices.bump_badges(fresh, key, again=again)
            self._badges.update(((key, device), badge) for device, badge in bumped.items())
            await self._stop_if_cancelled(load)
        load.badges = {device: self._badges[key, device] for device in devices if (key, device) in self._badges}


def _nameless(job: Job, key: int) -> Notification:
    """Return what stands for a notification that cannot be read."""
    return Notification(
        key=key,
        app=job.app,
        content=Content(),
        lane=job.lane,
        due=job.due,
        expires=job.expires,
        created=job.due,
        bulk=bool(job.chunk),
    )
