"""Background duties: each one small, with its interval, on the injected clock.

A duty that fails is logged and comes again: none of them may stop the others, or the gateway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import structlog

from wakeline.model.credential import Credential
from wakeline.model.delivery import DeliveryState, Job, JobKind
from wakeline.model.device import TargetState
from wakeline.model.errors import WakelineError
from wakeline.model.event import EventType
from wakeline.model.route import HoldReason
from wakeline.pipeline import coverage, report, verdicts
from wakeline.pipeline.claim import Claims
from wakeline.pipeline.dispatch import Dispatch
from wakeline.pipeline.limits import UserLimits
from wakeline.pipeline.livecheck import LiveCheck
from wakeline.pipeline.parts import Parts
from wakeline.pipeline.route import CHECK_EVERY, RouteTable
from wakeline.pipeline.settle import Settle
from wakeline.pipeline.silence.walk import SilenceWatch
from wakeline.pipeline.stale import Stale
from wakeline.pipeline.usual import Usual
from wakeline.pipeline.way import Way, hold_of
from wakeline.ports import FanoutStep
from wakeline.wire.outcomes import Refusal, ours

_log = structlog.get_logger()

DAY = 86_400_000

WARN_DAYS = (30, 14, 7, 3, 1, 0)
"""Days before a credential's end at which its operator is told, once each."""

STALLED_AFTER = 300_000
"""Milliseconds that due work may wait on a route that may send."""

_BATCH = 1000

_DEVICES = 25
"""Devices looked at in one step: each is read whole."""

_PIECE = 500
"""Deliveries that are ended, and written, at once."""

_LOG_PIECE = 250
"""Messages of the webhook log that are forgotten at once: about a millisecond."""

_SPELL = 0.5
"""Seconds that ending what waited too long, or forgetting it, may take before the other duties have their turn."""


class Duty(msgspec.Struct):
    """What to do every so many seconds; `at` is the next time on the monotonic clock."""

    name: str
    every: float
    work: Callable[[], Awaitable[None]]
    at: float = 0.0


class Maintain:
    """The duties of one gateway."""

    def __init__(
        self,
        parts: Parts,
        table: RouteTable,
        settle: Settle,
        dispatch: Dispatch,
        claims: Claims,
        checks: LiveCheck,
        limits: UserLimits,
    ) -> None:
        self._parts = parts
        self._table = table
        self._settle = settle
        self._dispatch = dispatch
        self._claims = claims
        self._checks = checks
        self._limits = limits
        self._stalled = False
        self.stale = Stale(parts)
        self.usual = Usual(parts, table)
        self.silence = SilenceWatch(parts)
        self.duties = [
            Duty("disk", 1.0, self.watch_disk),
            Duty("expire", 1.0, self.expire),
            Duty("check", 30.0, self.check_failed),
            Duty("checkpoint", 60.0, parts.keeper.checkpoint),
            Duty("credentials", 60.0, self.warn_of_expiry),
            Duty("stalled", 60.0, self.watch_queue),
            Duty("limits", 600.0, self.forget_limits),
            Duty("probation", 3600.0, self.try_quarantined),
            Duty("retention", 3600.0, self.prune),
            Duty("webhook log", 10.0, self.prune_webhook_log),
            Duty("stale", 60.0, self.stale.walk),
            Duty("usual", 3600.0, self.usual.write),
            Duty("silence", 10.0, self.silence.look),
        ]

    async def tick(self) -> float:
        """Do what is due; returns the seconds until there is more to do."""
        for duty in self.duties:
            now = self._parts.clock.monotonic()
            if now < duty.at:
                continue
            duty.at = now + duty.every
            try:
                await duty.work()
            except WakelineError as error:
                _log.error("duty.failed", duty=duty.name, detail=error.detail)
            except Exception:  # noqa: BLE001 - a defect in one duty must not starve those after it
                _log.exception("duty.crashed", duty=duty.name)
        return max(0.0, min(duty.at for duty in self.duties) - self._parts.clock.monotonic())

    async def watch_disk(self) -> None:
        """Stop claiming while the disk is nearly full, so that what was sent can still be settled (promise 7)."""
        health = self._parts.keeper.health()
        full = health.low_disk
        if full is not self._dispatch.full:
            _log.warning("disk.low" if full else "disk.recovered", free=health.disk_free)
            self._dispatch.full = full
            self._dispatch.wake()

    async def expire(self) -> None:
        """End what waited too long: for room, on a held route, behind a limit, behind others."""
        self._dispatch.expire()
        enough = self._parts.clock.monotonic() + _SPELL
        while self._dispatch.claims and self._parts.clock.monotonic() < enough:
            jobs = await self._parts.queue.claim_expired(limit=_PIECE, now=self._parts.clock.now())
            if not jobs:
                return
            await self._end_late(jobs)
            await self._settle.flush()

    async def _end_late(self, jobs: Sequence[Job]) -> None:
        walks = [job for job in jobs if job.kind is JobKind.FANOUT]
        sends = [job for job in jobs if job.kind is JobKind.SEND]
        try:
            while walks:
                walk = walks[-1]
                await self._parts.queue.step(
                    FanoutStep(job=walk.id, notification=walk.notification, cursor=walk.cursor, finished=True, found=0)
                )
                walks.pop()
            loads = await self._claims.loads(sends)
        except BaseException:
            await self._parts.queue.release([job.id for job in (*walks, *sends)])
            raise
        for load in loads:
            self._claims.end_all(load, DeliveryState.EXPIRED, self._claims.late(load.job))

    async def check_failed(self) -> None:
        """Check credentials that failed: they may have been repaired on the provider's side. Finish what could not be written."""
        self._table.look_again()
        now = self._parts.clock.monotonic()
        due = [way for way in self._table.ways() if way.check_at is not None and way.check_at <= now]
        for way in due:
            way.check_at = now + CHECK_EVERY
        for credential in {way.credential.id: way.credential for way in due if way.credential is not None}.values():
            try:
                await self._checks.check(credential)
            except WakelineError as error:
                _log.warning("credential.cannot_be_checked", credential=credential.id, detail=error.detail)

    async def warn_of_expiry(self) -> None:
        """Tell of credentials that end soon, once a step; hold the routes of those that have ended."""
        for credential in self._parts.credentials.all():
            if credential.not_after is not None:
                await self._warn(credential, credential.not_after)
        for way in self._table.ways():
            await self._hold_expired(way)

    async def _warn(self, credential: Credential, not_after: int) -> None:
        now = self._parts.clock.now()
        left = -(-(not_after - now) // DAY) if not_after > now else 0
        step = min((days for days in WARN_DAYS if days >= left), default=None)
        if step is None:
            return
        name = f"expiry_told/{credential.id}/{credential.revision}"
        told = await self._parts.facts.get(name)
        if told is not None and int(told) <= step:
            return
        app = self._parts.apps.by_id(credential.app)
        event_type = EventType.CREDENTIAL_EXPIRED if step == 0 else EventType.CREDENTIAL_EXPIRING
        note = report.ending(credential, not_after, left)
        await self._parts.events.append([report.credential_event(event_type, credential, app, at=now, note=note)])
        await self._parts.facts.set(name, str(step))
        if step == 0:
            self._table.changed(credential.app)

    async def _hold_expired(self, way: Way) -> None:
        now = self._parts.clock.now()
        if way.hold is None and way.credential is not None and coverage.expired(way.credential, now):
            outcome = ours(Refusal.CERTIFICATE_EXPIRED)
            await self._table.put_hold(way, hold_of(HoldReason.CREDENTIAL, outcome, now))

    async def watch_queue(self) -> None:
        """Tell, once, when work is due on a route that may send and nothing takes it."""
        now = self._parts.clock.now()
        stuck = [
            depth
            for depth in await self._parts.queue.depth()
            if depth.oldest is not None and now - depth.oldest >= STALLED_AFTER and self._may_send(depth.route)
        ]
        if stuck and not self._stalled:
            waiting = sum(depth.deliveries for depth in stuck)
            note = (
                f"{waiting} deliveries have been due for more than {STALLED_AFTER // 60_000} minutes, and no hold says why: look "
                "at the log and `wakeline doctor`, and restart the gateway if it stays so."
            )
            await self._parts.events.append([report.stalled(note, now)])
        self._stalled = bool(stuck)

    def _may_send(self, route: int) -> bool:
        way = self._table.way(route)
        resting = way is not None and way.paused_until > self._parts.clock.monotonic()
        return way is None or (self._table.barrier(way) is None and not resting)

    async def try_quarantined(self) -> None:
        """Let devices that have nothing but quarantined targets be tried again after a day."""
        now = self._parts.clock.now()
        for app in self._parts.apps.all():
            cursor: int | None = 0
            while cursor is not None:
                page = await self._parts.devices.find(
                    app.id, state=TargetState.QUARANTINED, cursor=cursor, limit=_DEVICES
                )
                tried = [verdicts.probation(target, now) for device in page.devices for target in device.targets]
                await self._parts.devices.judge([verdict for verdict in tried if verdict is not None])
                cursor = page.cursor
                await asyncio.sleep(0)

    async def forget_limits(self) -> None:
        """Drop counters of users who are back to a full allowance."""
        self._limits.forget(self._parts.clock.now())

    async def prune(self) -> None:
        """Forget what is older than [retention] says, and what expired on the portal and at the SIP edge, in small pieces."""
        keep, now = self._parts.settings.retention, self._parts.clock.now()
        while await self._parts.ledger.prune(now - 1000 * keep.notifications, _BATCH) == _BATCH:
            pass
        await self._parts.events.prune(now - 1000 * keep.events)
        await self._parts.idempotency.prune(now - 1000 * keep.idempotency)
        await self._parts.devices.prune(now - 1000 * keep.notifications)
        await self._parts.brakes.prune(now - 1000 * keep.notifications)
        await self._parts.portal_access.prune(now)
        await self._parts.portal_calls.prune_calls(now - 1000 * keep.notifications)
        await self._parts.event_inbox.prune(now - 1000 * keep.events)
        await self._parts.outbox.prune(now - 1000 * keep.notifications)
        await self._parts.sip_bindings.prune(now)
        await self._parts.sip_messages.prune(now)
        await self._parts.portal_events.prune_events(now - 1000 * self._parts.settings.bitrix24.offline_event_lifetime)

    async def prune_webhook_log(self) -> None:
        """Forget old rows of the delivery log: thousands a second may have been written, so some of them often."""
        rules, endpoints = self._parts.settings.webhooks, self._parts.endpoints
        before = self._parts.clock.now() - 1000 * rules.log_kept
        enough = self._parts.clock.monotonic() + _SPELL
        while self._parts.clock.monotonic() < enough:
            gone = await endpoints.prune(before, _LOG_PIECE)
            if gone < _LOG_PIECE and not await endpoints.trim(rules.log_messages, _LOG_PIECE - gone):
                return
