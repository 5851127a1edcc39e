"""What answers change, gathered and written in settlements of some hundred, at most 50 ms after the first answer of each.

Rule 1: what is gathered is cut off at one instant: job progress and the rows that explain it are of the same commit.
Rule 2: a settlement that cannot be written is kept and tried again; meanwhile nothing new is claimed (`failing`). One that
the store chokes on is taken apart, so that a single defect does not stop everything.
Rule 3: verdicts on tokens follow in a transaction of their own, which is idempotent; the registry has its own database.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import structlog

from wakeline.model.delivery import (
    Attempt,
    DeliveryState,
    NewJob,
)
from wakeline.model.device import Device
from wakeline.model.errors import NotFound, StorageError, WakelineError
from wakeline.model.event import EventType
from wakeline.model.ids import delivery_id
from wakeline.model.outcome import Outcome
from wakeline.model.route import HoldReason
from wakeline.pipeline import verdicts
from wakeline.pipeline.apart import by_notification, plainly
from wakeline.pipeline.batch import Batch, Doubt, Report, entry, row
from wakeline.pipeline.batch_events import BatchEvents
from wakeline.pipeline.exchange import Recorder, Sent
from wakeline.pipeline.flight import doubtful
from wakeline.pipeline.hearing import Hearing
from wakeline.pipeline.load import Load
from wakeline.pipeline.parts import Parts
from wakeline.ports import AcceptedRun, Settlement, TargetVerdict
from wakeline.wire.outcomes import apns

_log = structlog.get_logger()

_ACCEPTED = apns(200, "")

PIECE = 250
"""What one settlement weighs, about: others want the loop while it is written. The delivery of a parcel weighs 1."""

_BULK, _ALONE = 1 / 16, 3
"""What a result in a bulk chunk weighs, and that of a job of its own."""

FIRST_BACKOFF = 0.5
LONGEST_BACKOFF = 10.0


class Settle:
    """Gathers and writes. `wake` is called when the first result of a batch comes in; `hearing` is told of each at once."""

    def __init__(self, parts: Parts, wake: Callable[[], None], recorder: Recorder) -> None:
        self._parts = parts
        self._events = BatchEvents(parts, recorder)
        self.hearing = Hearing()
        self._wake = wake
        self._batch = Batch()
        self._cut: deque[Batch] = deque()
        """Batches that are full, the oldest first; that in front may have been tried already."""
        self._chores: list[Coroutine[Any, Any, None]] = []
        self._lock = asyncio.Lock()
        self.failing = False
        self.backoff = FIRST_BACKOFF

    @property
    def size(self) -> int:
        """Count the results that wait to be written."""
        return self._batch.size + sum(batch.size for batch in self._cut)

    @property
    def idle(self) -> bool:
        """Tell whether there is nothing to do."""
        return not (self._cut or self._chores) and self._batch.empty

    def accepted(
        self, load: Load, indexes: Sequence[int], *, at: int, attempt: Attempt, sent: Sent | None = None
    ) -> int:
        """Count recipients as accepted; returns how many were. `sent`, if their requests are to be recorded."""
        fresh = load.settle(indexes)
        if not fresh:
            return 0
        if self.hearing:
            for index in fresh:
                self.hearing.tell(load.key(index), _ACCEPTED)
        if load.job.chunk:
            packed = entry(load, DeliveryState.ACCEPTED, attempt.number, 0, at)
            runs = [(first, packed * count) for first, count in load.runs(fresh)]
            self._batch.bulk.setdefault(load.job.chunk, []).extend(runs)
        else:
            self._batch.settlement.accepted.append(_run(load, fresh, attempt, at))
            if sent is not None or self._parts.wanted(EventType.PUSH_ACCEPTED, load.job.app):
                state, tries = DeliveryState.ACCEPTED, attempt.number
                self._batch.reports.extend(Report(load, index, state, _ACCEPTED, tries, at, sent) for index in fresh)
        # What comes from a parcel is counted with its run.
        self._note(load, None if load.keys else DeliveryState.ACCEPTED, len(fresh))
        return len(fresh)

    def final(
        self,
        load: Load,
        index: int,
        state: DeliveryState,
        outcome: Outcome,
        *,
        at: int,
        attempt: Attempt | None = None,
        sent: Sent | None = None,
    ) -> None:
        """End a delivery in a final state; `attempt` if a request was made, `sent` if that is to be recorded."""
        if not load.settle((index,)):
            return
        self.hearing.tell(load.key(index), outcome)
        tries = attempt.number if attempt is not None else load.job.attempt - 1
        if load.job.chunk:
            packed = entry(load, state, tries, outcome.code or outcome.status, at)
            self._batch.bulk.setdefault(load.job.chunk, []).append((load.places[index], packed))
        else:
            self._batch.settlement.rows.append(row(load, index, state, outcome, tries, at, attempt))
        if state is not DeliveryState.ACCEPTED or (not load.job.chunk and self._wants_success(load, sent)):
            self._batch.reports.append(Report(load, index, state, outcome, tries, at, sent))
        if load.keys:
            self._batch.settlement.ended.append(load.keys[index])
        self._note(load, state, 1, index)

    def _wants_success(self, load: Load, sent: Sent | None) -> bool:
        return sent is not None or self._parts.wanted(EventType.PUSH_ACCEPTED, load.job.app)

    def again(
        self,
        load: Load,
        index: int,
        *,
        due: int,
        attempt: int,
        outcome: Outcome,
        made: Attempt | None,
        state: DeliveryState = DeliveryState.QUEUED,
        route: int | None = None,
        code: int = 0,
        at: int = 0,
    ) -> None:
        """Put a delivery back into the queue: attempt number `attempt`, at `due`. `made`, if a request was made, is shown."""
        if not load.settle((index,)):
            return
        job = load.job
        twin = NewJob(
            notification=load.key(index),
            app=job.app,
            route=job.route if route is None else route,
            lane=job.lane,
            due=due,
            expires=job.expires,
            chunk=job.chunk,
            attempt=attempt,
            code=code,
        )
        self._batch.again.setdefault(twin, []).append(load.packed[index])
        if made is not None and not job.chunk:
            self._batch.settlement.rows.append(row(load, index, state, outcome, made.number, at, made))
        self._note(load, None, 1)

    def doubt(self, load: Load, index: int, outcome: Outcome, *, at: int, accepted_at: int | None, route: int) -> None:
        """Have a verdict reached on a target of this route."""
        self._ring()
        self._batch.doubts.append(Doubt(load, index, outcome, at, accepted_at, route))

    def verdict(self, verdict: TargetVerdict) -> None:
        """Have a verdict written."""
        self._ring()
        self._batch.verdicts.append(verdict)

    def chore(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something written apart from the settlement: a hold, a credential's state."""
        self._chores.append(work)
        self._wake()

    async def flush(self) -> bool:
        """Write what was gathered; returns False if the store refused it, and it has to be tried again.

        A caller who gives up waiting ends nothing of it: what is written is everybody's.
        """
        return await asyncio.shield(self._flush_alone())

    async def _flush_alone(self) -> bool:
        async with self._lock:
            return await self._flush()

    async def _flush(self) -> bool:
        chores, self._chores = self._chores, []
        for chore in chores:
            await self._guarded(chore)
        self._cut_off()
        for _ in range(len(self._cut)):
            if not await self._flush_piece(self._cut[0]):
                return False
        return True

    def _cut_off(self) -> None:
        """End the batch that is gathered now: what comes next belongs to another commit."""
        if not self._batch.empty:
            self._batch.cut()
            self._cut.append(self._batch)
            self._batch = Batch()

    async def _flush_piece(self, batch: Batch) -> bool:
        try:
            devices = await self._write(batch)
        except StorageError as error:
            _log.error("settle.failed", detail=error.detail, results=batch.size)
            self.failing, self.backoff = True, min(self.backoff * 2, LONGEST_BACKOFF)
            return False
        except Exception:
            self.failing = True
            raise
        self._cut.popleft()
        self.failing, self.backoff = False, FIRST_BACKOFF
        await self._guarded(self._judge(batch, devices))
        return True

    async def _write(self, batch: Batch) -> dict[int, Device]:
        """Write a batch, or what is left of it; returns the devices that it is about."""
        devices: dict[int, Device] = {}
        try:
            if not batch.apart:
                devices = await self._events.devices(batch)
                batch.settlement.events = batch.settlement.events or await self._events.events(batch, devices)
                batch.settlement.quiet = not self._events.wants_completion(batch)
                await self._parts.queue.settle(batch.settlement)
                return devices
        except StorageError:
            raise
        except Exception:  # noqa: BLE001 - whatever it is, the results of the others are to be written
            _log.exception("settle.crashed", results=batch.size)
            batch.apart = list(by_notification(batch))
        while batch.apart:
            await self._write_apart(batch.apart[-1])
            batch.apart.pop()
        return devices

    async def _write_apart(self, part: Settlement) -> None:
        try:
            await self._parts.queue.settle(part)
        except StorageError:
            raise
        except Exception:  # noqa: BLE001 - the same
            _log.exception("settle.crashed", jobs=len(part.finished) + len(part.progress))
            await self._parts.queue.settle(plainly(part))

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what may be lost without harm: the next answer says it again. What has vanished meanwhile is no error."""
        try:
            await work
        except NotFound:
            pass
        except WakelineError as error:
            _log.error("store.failed", detail=error.detail)
        except Exception:  # noqa: BLE001 - what comes after it concerns other deliveries
            _log.exception("chore.crashed")

    async def _judge(self, batch: Batch, devices: dict[int, Device]) -> None:
        """Write verdicts and tell of those that changed something."""
        judged: dict[int, tuple[Doubt, TargetVerdict]] = {}
        for doubt in batch.doubts:
            verdict = self._verdict(doubt, devices)
            if verdict is not None:
                judged[verdict.target] = doubt, verdict
        wanted = [*(verdict for _, verdict in judged.values()), *batch.verdicts]
        if not wanted:
            return
        events = []
        for verdict in await self._parts.devices.judge(wanted):
            event = None
            if verdict.target in judged:
                event = self._events.judged(judged[verdict.target][0], verdict, devices[verdict.target])
            if event is not None:
                events.append(event)  # which is a line of the log, too
            else:
                _log.info("target.judged", target=verdict.target, state=verdict.state.value, reason=verdict.reason)
        if events:
            await self._parts.events.append(events)

    def _verdict(self, doubt: Doubt, devices: dict[int, Device]) -> TargetVerdict | None:
        number = doubt.load.packed[doubt.number] >> 16
        device = devices.get(number)
        target = next((target for target in device.targets if target.id == number), None) if device else None
        if target is None:
            return None
        if doubtful(doubt.outcome) and self._braked(doubt.route):
            return None  # what closed the brake is not held against any token
        return verdicts.judge(
            target,
            doubt.outcome,
            now=doubt.at,
            delivery=delivery_id(doubt.load.key(doubt.number), number),
            route=doubt.route,
            route_accepted=doubt.accepted_at,
        )

    def _braked(self, route: int) -> bool:
        known = self._parts.routes.get(route)
        return known is not None and known.hold is not None and known.hold.reason is HoldReason.BRAKE

    def _note(self, load: Load, state: DeliveryState | None, count: int, index: int = 0) -> None:
        """Count results of the notification that a recipient gets; the first of a batch wakes the writer."""
        self._ring()
        batch = self._batch
        if state is not None:
            counts, counted = batch.settlement.counts, (load.key(index), state)
            counts[counted] = counts.get(counted, 0) + count
        batch.loads[load.job.id] = load
        batch.size += count
        batch.weight += count * (_BULK if load.job.chunk else 1 if load.keys else _ALONE)
        if batch.weight >= PIECE:
            self._cut_off()

    def _ring(self) -> None:
        """Wake the writer for the first thing of a batch."""
        if self._batch.empty:
            self._wake()


def _run(load: Load, indexes: Sequence[int], attempt: Attempt, at: int) -> AcceptedRun:
    """Return what was accepted of a load in one attempt."""
    packed = load.packed if len(indexes) == len(load.packed) else [load.packed[index] for index in indexes]
    targets = [recipient >> 16 for recipient in packed]
    if not load.keys:
        return AcceptedRun([load.notification.key] * len(targets), targets, attempt, at)
    keys = load.keys if len(indexes) == len(load.keys) else [load.keys[index] for index in indexes]
    return AcceptedRun(keys, targets, attempt, at, whole=True)
